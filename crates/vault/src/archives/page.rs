//! An archive while it is made: its pages, and the job in which others see how far it is and stop it.

use strongroom_model::{Action, CollectionName, Job, JobId, JobKind, JobState, WrongState};
use strongroom_storage::Batch;

use crate::records::{
    Decided, EXPORT, ExportPage, Exported, Sought, Stretch, Wanted, columns, decide_page,
};
use crate::rows::damaged;
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::{Answer, Listed, TenantCtx, Vault, VaultError};

/// The page that is wanted.
#[derive(Debug, Clone)]
pub struct ArchivePage {
    /// The job of the archive.
    pub job: JobId,
    /// The collection.
    pub collection: CollectionName,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// So many records at most.
    pub limit: usize,
}

/// How an archive ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// Nobody takes it any more.
    ReaderGone,
    /// Whoever asked may not take it any more.
    NotAllowed,
    /// It could not go on.
    BrokeOff,
}

impl GivenUp {
    /// What it is where the making of a page ended with this.
    pub fn by(error: &VaultError) -> Self {
        if error.is_refusal() { Self::NotAllowed } else { Self::BrokeOff }
    }
}

/// Makes a page of an archive, as for an export: it is decided on with the rights that the caller has
/// now, and is on record before anything of it leaves. The same commit counts it in the job, so none is
/// made once somebody has stopped the archive.
///
/// # Errors
/// As for an export; `wrong_state` once the job has ended.
pub async fn page(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ArchivePage,
) -> Result<Answer<ExportPage>, VaultError> {
    let ctx = &ctx.clone().through(wanted.job);
    attempt(|| once(vault, ctx, wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ArchivePage,
) -> Result<Answer<ExportPage>, VaultError> {
    let tenant = ctx.tenant();
    let mut snapshot = Snapshot::new(vault);
    let found = snapshot.running_archive(ctx, wanted.job).await?;
    let sought = Sought {
        collection: &wanted.collection,
        wanted: &Wanted::default(),
        limit: wanted.limit,
        stretch: Stretch::Cursor(wanted.cursor.as_deref()),
        action: Action::Export,
        code: EXPORT,
    };
    let Decided { mut snapshot, event, contents } =
        decide_page(vault, ctx, snapshot, &sought).await?;

    // The record of it.
    let mut job = (*found.value).clone();
    job.progress.done = job.progress.done.saturating_add(contents.len() as u64);
    let JobKind::Archive(archiving) = &mut job.kind else { return Err(damaged()) };
    archiving.moved_at = vault.now();
    let mut batch = Batch::new();
    snapshot.put_job(&mut batch, tenant, found.version, &job).await?;
    snapshot.expect_in(&mut batch);
    batch.line(vault.line(tenant, Some(ctx), event).await?);
    let committed = vault.store.commit(batch).await?;

    // The effect.
    let collection = contents.collection.clone();
    let next = contents.next(vault, ctx).await?;
    let items = contents.disclose(&committed, Exported::of)?;
    let records = Listed { items, next };
    let page = ExportPage { columns: columns(&collection), records };
    Ok(Answer { value: page, lines: committed.places().to_vec() })
}

/// Ends the job of an archive of which everything has been made: before this is answered, its reader is
/// not given its end.
///
/// # Errors
/// `wrong_state` where somebody has stopped it.
pub async fn finish(vault: &Vault, ctx: &TenantCtx, job: JobId) -> Result<(), VaultError> {
    end(vault, ctx, job, JobState::finish, None).await
}

/// Ends the job of an archive that is not made any more; one that has ended stays as it is.
///
/// # Errors
/// [`VaultError::Locked`], [`VaultError::Unavailable`]: it ends by itself after a day.
pub async fn give_up(
    vault: &Vault,
    ctx: &TenantCtx,
    job: JobId,
    why: GivenUp,
) -> Result<(), VaultError> {
    let (how, word): (End, _) = match why {
        GivenUp::ReaderGone => (JobState::cancel, "reader_gone"),
        GivenUp::NotAllowed => (JobState::fail, "asker_not_allowed"),
        GivenUp::BrokeOff => (JobState::fail, "broke_off"),
    };
    match end(vault, ctx, job, how, Some(word)).await {
        Err(VaultError::WrongState { .. }) => Ok(()),
        ended => ended,
    }
}

/// How a job comes to its last state.
type End = fn(JobState) -> Result<JobState, WrongState>;

async fn end(
    vault: &Vault,
    ctx: &TenantCtx,
    job: JobId,
    how: End,
    word: Option<&str>,
) -> Result<(), VaultError> {
    attempt(|| async {
        let mut snapshot = Snapshot::new(vault);
        let found = snapshot.running_archive(ctx, job).await?;
        let mut ended = (*found.value).clone();
        ended.end(how, word, vault.now())?;
        if ended.state == JobState::Done {
            ended.progress.total = ended.progress.done;
        }
        let mut batch = Batch::new();
        snapshot.put_job(&mut batch, ctx.tenant(), found.version, &ended).await?;
        snapshot.expect_in(&mut batch);
        let _committed = vault.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    // It leaves the queue soon.
    vault.work_soon.notify_one();
    Ok(())
}

impl Snapshot<'_> {
    /// The job of an archive that is being made.
    async fn running_archive(
        &mut self,
        ctx: &TenantCtx,
        job: JobId,
    ) -> Result<Loaded<Job>, VaultError> {
        let found = self.job(ctx.tenant(), job).await?.ok_or(VaultError::NotFound)?;
        if found.state == JobState::Running {
            Ok(found)
        } else {
            Err(WrongState(found.state.name()).into())
        }
    }
}
