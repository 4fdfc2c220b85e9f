//! An operator asks for a backup: a job that copies the store's rows to a place is made.

use strongroom_model::{
    Action, AuditObject, Backup, BackupPlaceName, Job, JobId, JobKind, Timestamp,
};
use strongroom_storage::Batch;

use crate::idempotency::Before;
use crate::jobs::check_room;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct BeginBackup {
    /// Where it is to go, as the configuration calls it.
    pub place: BackupPlaceName,
    /// So that a repeated request makes one job.
    pub idempotency: Option<Idempotency>,
}

/// Asks for the job.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::Invalid`] for a place that the
/// configuration does not name; `too_many_jobs`.
pub async fn begin(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: BeginBackup,
) -> Result<Answer<Job>, VaultError> {
    let answer = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.work_soon.notify_one();
    Ok(answer)
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &BeginBackup,
) -> Result<Answer<Job>, VaultError> {
    let now = vault.now();
    let id = JobId::new(now, &*vault.rng)?;
    let object = AuditObject::Other(JobId::PREFIX, *id.as_bytes());
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::Operate, "backup.begin", object)
        .await?;
    let provider = ctx.tenant();
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(id) => {
            let id = JobId::from_bytes(id);
            return vault.job_made_before(ctx, snapshot, id, allowed.event).await;
        }
    };
    if vault.backup_place(&wanted.place).is_none() {
        vault.put_on_record(ctx, snapshot, allowed.event).await?;
        return Err(VaultError::invalid(
            "/place",
            "the server's configuration names no place for backups of this name",
        ));
    }
    check_room(vault, provider).await?;
    let backup = Backup { place: wanted.place.clone(), name: name(id, now).into(), bytes: 0 };
    let job = Job::new(id, JobKind::Backup(backup), allowed.who.principal, now);
    let mut batch = Batch::new();
    snapshot.put_job(&mut batch, provider, 0, &job).await?;
    snapshot.expect_in(&mut batch);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, provider, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    batch.line(vault.line(provider, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    Ok(Answer { value: job, lines: committed.places().to_vec() })
}

/// `YYYYMMDDTHHMMSS-job_…`: in a list by name, the oldest comes first.
fn name(id: JobId, now: Timestamp) -> String {
    let time: String =
        now.to_string().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    format!("{time}-{id}")
}
