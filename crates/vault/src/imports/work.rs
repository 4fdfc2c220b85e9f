//! A worker makes records of the rows that wait: each page is one commit, decided like a request of
//! whoever asked, with the rights that they have now.

use strongroom_model::{AuditEvent, Collection, Job, JobKind, JobOutcome, JobState, WrongState};
use strongroom_storage::{KeyRange, Row, RowKey};

use crate::imports::spool::{self, FileRow, Spool};
use crate::imports::upload::reject;
use crate::jobs::Errand;
use crate::records::{Gathered, IMPORT, Imported, Intent, May, NO_SUCH_RECORD, gather, may};
use crate::rows::damaged;
use crate::snapshot::{Loaded, Snapshot};
use crate::{Flaw, TenantCtx, Vault, VaultError, keyspace};

/// The word of a job whose asker may not do any more what was asked for.
const ASKER_NOT_ALLOWED: &str = "asker_not_allowed";

impl Vault {
    /// Makes records of the next page of rows, and says whether there is more.
    pub(crate) async fn import_page(&self, errand: &Errand) -> Result<bool, VaultError> {
        let _ticket = self.admission.enter();
        let mut snapshot = Snapshot::new(self);
        let Some(found) = snapshot.ours(errand).await? else { return Ok(false) };
        let (Some(asker), Some(slot)) = (&found.asker, found.slot) else { return Err(damaged()) };
        let prefix = keyspace::job_spool_prefix(errand.tenant, errand.job);
        let first = self.store.scan(&KeyRange::prefix(prefix.as_bytes()), 1).await?;
        let Some((key, row)) = first.into_iter().next() else {
            return self.end_import(snapshot, errand, &found, JobState::finish, None).await;
        };
        let ctx = TenantCtx::of_job(errand.tenant, errand.job, asker);
        match self.make_page(&ctx, snapshot, errand, &found, slot, (&key, &row)).await {
            Ok(()) => Ok(true),
            Err(error) => match problem_of(&error) {
                Some(problem) => {
                    let mut again = Snapshot::new(self);
                    let Some(found) = again.ours(errand).await? else { return Ok(false) };
                    self.end_import(again, errand, &found, JobState::fail, Some(problem)).await
                }
                None => Err(error),
            },
        }
    }

    async fn end_import(
        &self,
        snapshot: Snapshot<'_>,
        errand: &Errand,
        found: &Loaded<Job>,
        how: fn(JobState) -> Result<JobState, WrongState>,
        problem: Option<&str>,
    ) -> Result<bool, VaultError> {
        let mut job = (*found.value).clone();
        job.end(how, problem, self.now())?;
        self.write_job(snapshot, errand.tenant, found.version, &job).await?;
        Ok(false)
    }

    /// One page, and the job's row with what became of it, in one commit.
    async fn make_page<'v>(
        &'v self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'v>,
        errand: &Errand,
        found: &Loaded<Job>,
        slot: u64,
        (key, row): (&RowKey, &Row),
    ) -> Result<(), VaultError> {
        let mut job = (*found.value).clone();
        let JobKind::Import(import) = &mut job.kind else { return Err(damaged()) };
        let (_, _, round, part, page) = keyspace::parse_job_spool(key).ok_or_else(damaged)?;
        import.enter(round);
        let waits = import.may_wait();
        let import = import.clone();
        let rows = Spool::read(self, key, row).await?;
        let intent = Intent::to_create(&import.collection, IMPORT);
        let (snapshot, allowed) = may(ctx, snapshot, &intent).await?;
        let (lines, records): (Vec<u64>, Vec<_>) =
            rows.into_iter().map(|row| (row.line, row.record)).unzip();
        let Gathered { writer, outcomes, touches } =
            gather(ctx, snapshot, &allowed, &records).await?;
        let May { collection, event, .. } = allowed;
        let event = if import.dry_run { event } else { AuditEvent { touches, ..event } };
        let (mut batch, grown) = if import.dry_run {
            (writer.snapshot.into_batch(), None)
        } else {
            let (batch, grown) = writer.finish(ctx).await?;
            (batch, Some(grown))
        };
        let mut waiting = Vec::new();
        for ((line, record), outcome) in lines.into_iter().zip(records).zip(outcomes) {
            match outcome {
                Imported::Created(_) => {
                    job.count(JobOutcome::Created);
                    if let JobKind::Import(import) = &mut job.kind {
                        import.made = import.made.saturating_add(1);
                    }
                }
                Imported::Exists(_) => job.count(JobOutcome::Exists),
                Imported::Failed(error) => {
                    let flaws = flaws_of(&collection, error);
                    if waits && flaws.iter().all(|flaw| flaw.detail == NO_SUCH_RECORD) {
                        waiting.push(spool::write(&FileRow { line, record })?);
                    } else {
                        reject(self, &mut batch, &mut job, ctx, (part, line), &flaws).await?;
                    }
                }
            }
        }
        if !waiting.is_empty() {
            let spool = Spool { tenant: errand.tenant, job: errand.job, slot };
            spool.put(self, &mut batch, (round + 1, part, page), &waiting).await?;
        }
        batch.delete(key.clone());
        job.lease = Some(self.lease(errand));
        Snapshot::new(self).put_job(&mut batch, errand.tenant, found.version, &job).await?;
        batch.line(self.line(errand.tenant, Some(ctx), event).await?);
        let _committed = self.store.commit(batch).await?;
        if let Some(grown) = grown {
            grown.keep(self);
        }
        Ok(())
    }
}

/// Why a job cannot go on, where trying again does not help.
fn problem_of(error: &VaultError) -> Option<&'static str> {
    match error {
        VaultError::Unauthenticated
        | VaultError::Refused(_)
        | VaultError::UserNotAllowed
        | VaultError::NotFound => Some(ASKER_NOT_ALLOWED),
        VaultError::OnRecord { error, .. } => problem_of(error).or(Some(ASKER_NOT_ALLOWED)),
        VaultError::Damaged(_) => Some("damaged"),
        VaultError::TooManySubjects { .. }
        | VaultError::Erased(_)
        | VaultError::Invalid(_)
        | VaultError::WrongState { .. }
        | VaultError::BatchFailed(_)
        | VaultError::VersionRequired
        | VaultError::VersionStale { .. }
        | VaultError::IdempotencyReused
        | VaultError::SecretAlreadyShown
        | VaultError::Conflict
        | VaultError::Locked
        | VaultError::Unavailable(_)
        | VaultError::Internal(_) => None,
    }
}

/// What is wrong with a row. The names of fields that the collection does not have were written by
/// whoever made the file, so they are not repeated.
fn flaws_of(collection: &Collection, error: VaultError) -> Vec<Flaw> {
    match error {
        VaultError::Invalid(flaws) => flaws
            .into_iter()
            .map(|flaw| {
                let field = flaw.pointer.strip_prefix("/fields/");
                let name = field.and_then(|rest| rest.split('/').next());
                let known = name.is_none_or(|name| {
                    collection.fields.iter().any(|field| field.name.as_str() == name)
                });
                if known { flaw } else { Flaw { pointer: "/fields".to_owned(), ..flaw } }
            })
            .collect(),
        other => vec![Flaw { pointer: String::new(), detail: other.to_string() }],
    }
}
