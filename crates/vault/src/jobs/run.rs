//! A worker takes jobs up in turns, works on each page by page, and can be stopped anywhere: another
//! one goes on where the last checkpoint is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use strongroom_model::{Job, JobId, JobKind, JobState, Lease, TenantId, Timestamp};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, KeyRange, RowKey};

use crate::blueprints::total;
use crate::jobs::{Errand, JOBS_MAX};
use crate::snapshot::{Snapshot, attempt};
use crate::{Vault, VaultError, keyspace};

/// For so many seconds nobody else takes up a job after a checkpoint.
const LEASE_SECONDS: i64 = 10;
/// The same, for whoever waits for it.
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// Jobs that have ended are kept for so many seconds: 30 days.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;
/// For so many seconds what a job is done with may be sent: a day.
const UPLOAD_SECONDS: i64 = 24 * 60 * 60;
/// The word of a job whose upload came to no end.
const UPLOAD_ABANDONED: &str = "upload_abandoned";
/// So many seconds may lie between two parts of an export: a day.
const PART_SECONDS: i64 = 24 * 60 * 60;
/// So many seconds an export or an archive may take: seven days.
const EXPORT_SECONDS: i64 = 7 * 24 * 60 * 60;
/// The word of an export or an archive that nobody goes on taking.
const EXPORT_ABANDONED: &str = "export_abandoned";
/// Pages of a job that are worked on before others have their turn.
const TURN_PAGES: usize = 16;
/// Rows of the queue that are looked at at a time.
const QUEUED_AT_ONCE: usize = 1_000;

impl Vault {
    /// Works on jobs until none is left that could be taken up. They take turns, so that none waits for
    /// the end of a long one.
    ///
    /// # Errors
    /// [`VaultError::Locked`], [`VaultError::Unavailable`]: it goes on at the next call.
    pub(crate) async fn run_jobs(&self) -> Result<(), VaultError> {
        let _one_at_a_time = self.working.lock().await;
        let worker = self.worker()?;
        loop {
            let due = self.jobs_due(worker).await?;
            if due.is_empty() {
                return Ok(());
            }
            let mut failed = None;
            for errand in due {
                // What is wrong with one job does not keep the others from their turn.
                if let Err(error) = self.take_turn(&errand).await {
                    tracing::warn!(job = %errand.job, %error, "a job could not go on; it is tried again");
                    failed = Some(error);
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// Who works on jobs here: random, and another one at each start.
    pub(crate) fn worker(&self) -> Result<[u8; 16], VaultError> {
        if let Some(worker) = self.worker.get() {
            return Ok(*worker);
        }
        let mut worker = [0; 16];
        self.rng.fill(&mut worker)?;
        Ok(*self.worker.get_or_init(|| worker))
    }

    /// The jobs that this worker may take up: the first of the provider's, which are done in their
    /// order, and those of tenants. Those of the provider that ended long ago go.
    async fn jobs_due(&self, worker: [u8; 16]) -> Result<Vec<Errand>, VaultError> {
        let mut due = Vec::new();
        let mut waits = false;
        let now = self.now();
        let tenant = TenantId::PROVIDER;
        for job in self.jobs_of(tenant).await? {
            if job.is_free_for(worker, now) {
                due.push(Errand { tenant, job: job.id, worker });
                break;
            }
            waits |= job.is_due();
            if is_old(&job, now) {
                self.forget_job(tenant, job.id).await?;
            }
        }
        let prefix = KeyRange::prefix_of(tenant, RowKind::JobQueue);
        let mut range = prefix.clone();
        loop {
            let rows = self.store.scan(&range, QUEUED_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { break };
            range = prefix.clone().continued(last);
            for (key, _) in &rows {
                let Some((tenant, job)) = keyspace::parse_queued_job(key) else { continue };
                let Some(found) = attempt(|| self.look_at(tenant, job)).await? else {
                    continue;
                };
                if found.is_free_for(worker, now) {
                    due.push(Errand { tenant, job, worker });
                } else {
                    waits |= found.is_due();
                }
            }
        }
        self.jobs_wait.store(waits, Ordering::Relaxed);
        Ok(due)
    }

    pub(super) async fn jobs_of(&self, tenant: TenantId) -> Result<Vec<Job>, VaultError> {
        let range = KeyRange::prefix_of(tenant, RowKind::Job);
        let keys: Vec<RowKey> =
            self.store.scan(&range, JOBS_MAX).await?.into_iter().map(|(key, _)| key).collect();
        let jobs = Snapshot::new(self).load_many::<Job>(&keys).await?;
        Ok(jobs.into_iter().flatten().map(|job| (*job.value).clone()).collect())
    }

    /// A job of a tenant that is in the queue, unless it has ended: then what it kept is cleared, and it
    /// leaves the queue.
    async fn look_at(&self, tenant: TenantId, job: JobId) -> Result<Option<Job>, VaultError> {
        let mut snapshot = Snapshot::new(self);
        let found = snapshot.job(tenant, job).await?;
        if let Some(found) = &found {
            if let Some(word) = is_abandoned(found, self.now()) {
                let mut job = (*found.value).clone();
                job.end(JobState::cancel, Some(word), self.now())?;
                self.write_job(snapshot, tenant, found.version, &job).await?;
            } else if !found.state.has_ended() {
                return Ok(Some((*found.value).clone()));
            }
        }
        self.clear_kept(tenant, job).await?;
        let mut batch = Batch::new();
        batch.delete(keyspace::queued_job(tenant, job));
        let _committed = self.store.commit(batch).await?;
        Ok(None)
    }

    /// Clears what a job kept of clients' data: it cannot be read any more, but takes space.
    async fn clear_kept(&self, tenant: TenantId, job: JobId) -> Result<(), VaultError> {
        for prefix in
            [keyspace::job_spool_prefix(tenant, job), keyspace::job_parts_prefix(tenant, job)]
        {
            self.clear_rows(KeyRange::prefix(prefix.as_bytes()), |_| true).await?;
        }
        let mut batch = Batch::new();
        batch.delete(keyspace::job_mapping(tenant, job));
        let _committed = self.store.commit(batch).await?;
        Ok(())
    }

    /// Jobs of a tenant that ended long ago go.
    pub(super) async fn forget_old_jobs(&self, tenant: TenantId) -> Result<(), VaultError> {
        let range = KeyRange::prefix_of(tenant, RowKind::Job);
        loop {
            // Their ids are in the order in which they were asked for.
            let rows = self.store.scan(&range, 1).await?;
            let Some((key, _)) = rows.first() else { return Ok(()) };
            let Some((_, _, oldest)) = keyspace::parse_id(key) else { return Ok(()) };
            let oldest = Snapshot::new(self).job(tenant, JobId::from_bytes(oldest)).await?;
            match oldest.filter(|job| is_old(job, self.now())) {
                Some(job) => self.forget_job(tenant, job.id).await?,
                None => return Ok(()),
            }
        }
    }

    pub(super) async fn forget_job(&self, tenant: TenantId, job: JobId) -> Result<(), VaultError> {
        for prefix in
            [keyspace::job_items_prefix(tenant, job), keyspace::job_rejects_prefix(tenant, job)]
        {
            self.clear_rows(KeyRange::prefix(prefix.as_bytes()), |_| true).await?;
        }
        // The job's own row goes last: as long as it is there, its other rows are looked for again.
        let mut batch = Batch::new();
        batch.delete(keyspace::job(tenant, job));
        let _committed = self.store.commit(batch).await?;
        Ok(())
    }

    /// Works on some pages of a job.
    async fn take_turn(&self, errand: &Errand) -> Result<(), VaultError> {
        let Some(job) = attempt(|| self.take_up(errand)).await? else { return Ok(()) };
        let mut checkpoint = job.checkpoint;
        for _ in 0..TURN_PAGES {
            // An erasure that was asked for meanwhile does not wait for the end of a job.
            if let Err(error) = self.carry_out_erasures().await {
                tracing::warn!(%error, "an erasure could not be carried out; it goes on later");
            }
            let more = match &job.kind {
                JobKind::ApplyBlueprint(order) => {
                    self.apply_page(errand, order, &mut checkpoint).await?
                }
                JobKind::Import(_) => attempt(|| self.import_page(errand)).await?,
                JobKind::Backup(_) => self.backup_part(errand).await?,
                // They are made when somebody takes them.
                JobKind::Export(_) | JobKind::Archive(_) => false,
            };
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes the job up; nothing if somebody else has it, or it has ended.
    async fn take_up(&self, errand: &Errand) -> Result<Option<Job>, VaultError> {
        let key = keyspace::job(errand.tenant, errand.job);
        let mut snapshot = Snapshot::new(self);
        let Some(found) = snapshot.load::<Job>(&key).await? else { return Ok(None) };
        let now = self.now();
        if !found.is_free_for(errand.worker, now) {
            return Ok(None);
        }
        let mut job = (*found.value).clone();
        if job.state == JobState::Queued {
            match &job.kind {
                JobKind::ApplyBlueprint(order) => job.progress.total = total(self, order).await?,
                // Its rows were counted when they came; those of a backup are counted as it copies them.
                JobKind::Import(_)
                | JobKind::Export(_)
                | JobKind::Archive(_)
                | JobKind::Backup(_) => {}
            }
            job.state = job.state.begin()?;
            job.started_at = Some(now);
        }
        let missing = match &job.kind {
            JobKind::ApplyBlueprint(order) => snapshot.missing_for_apply(order).await?,
            JobKind::Import(_) | JobKind::Export(_) | JobKind::Archive(_) | JobKind::Backup(_) => {
                None
            }
        };
        match missing {
            Some(problem) => job.end(JobState::fail, Some(problem), now)?,
            None => job.lease = Some(self.lease(errand)),
        }
        self.write_job(snapshot, errand.tenant, found.version, &job).await?;
        Ok(missing.is_none().then_some(job))
    }

    /// That the worker has the job from now on for a while.
    pub(crate) fn lease(&self, errand: &Errand) -> Lease {
        Lease { worker: errand.worker, until: self.now().plus_seconds(LEASE_SECONDS) }
    }

    /// Writes the job's row in a commit of its own.
    pub(crate) async fn write_job(
        &self,
        mut snapshot: Snapshot<'_>,
        tenant: TenantId,
        version: u64,
        job: &Job,
    ) -> Result<(), VaultError> {
        let mut batch = Batch::new();
        snapshot.put_job(&mut batch, tenant, version, job).await?;
        snapshot.expect_in(&mut batch);
        let _committed = self.store.commit(batch).await?;
        Ok(())
    }
}

/// The word with which a job ends that whoever asked has left, if they have.
fn is_abandoned(job: &Job, now: Timestamp) -> Option<&'static str> {
    if job.state.has_ended() {
        return None;
    }
    let has_passed = |since: Timestamp, seconds| since.plus_seconds(seconds) < now;
    let is_left = |moved_at: Timestamp| {
        has_passed(moved_at, PART_SECONDS) || has_passed(job.asked_at, EXPORT_SECONDS)
    };
    match &job.kind {
        JobKind::ApplyBlueprint(_) | JobKind::Backup(_) => None,
        JobKind::Import(_) => (job.state == JobState::Uploading
            && has_passed(job.asked_at, UPLOAD_SECONDS))
        .then_some(UPLOAD_ABANDONED),
        JobKind::Export(export) => {
            is_left(export.moved_at.unwrap_or(job.asked_at)).then_some(EXPORT_ABANDONED)
        }
        JobKind::Archive(archiving) => is_left(archiving.moved_at).then_some(EXPORT_ABANDONED),
    }
}

/// Whether a job ended so long ago that it goes.
fn is_old(job: &Job, now: Timestamp) -> bool {
    job.ended_at.is_some_and(|ended| ended.plus_seconds(KEPT_SECONDS) < now)
}
