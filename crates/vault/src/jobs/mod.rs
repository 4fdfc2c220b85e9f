//! Jobs: long-running pieces of work that are asked for, watched and stopped, and the server's own work
//! that is due.

mod cancel;
mod due;
mod list;
mod run;

pub use cancel::cancel;
pub use list::{ItemView, items, list, show};

use strongroom_model::{Job, JobId, JobState, TenantId};
use strongroom_storage::KeyRange;
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::Snapshot;
use crate::{Vault, VaultError, keyspace};

/// Most jobs that are kept of a tenant, or of the provider.
const JOBS_MAX: usize = 1_000;
/// Most things that an item of a job names as kept.
pub(crate) const KEPT_MAX: usize = 1_000;

/// A job in the hands of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errand {
    /// The job.
    pub(crate) job: JobId,
    /// The worker.
    pub(crate) worker: [u8; 16],
}

/// Refuses one job more than are kept.
///
/// # Errors
/// `too_many_jobs`.
pub(crate) async fn check_room(vault: &Vault, tenant: TenantId) -> Result<(), VaultError> {
    let range = KeyRange::prefix_of(tenant, RowKind::Job);
    if vault.store.scan(&range, JOBS_MAX).await?.len() < JOBS_MAX {
        return Ok(());
    }
    Err(VaultError::wrong_state(
        "too_many_jobs",
        "at most 1000 jobs are kept; those that have ended go after 30 days",
    ))
}

impl Snapshot<'_> {
    /// Whether the worker still has the job. That becomes a fact: what is committed on it is not
    /// committed once somebody has stopped the job or taken it over.
    pub(crate) async fn still_ours(&mut self, errand: &Errand) -> Result<bool, VaultError> {
        let job = self.load::<Job>(&keyspace::job(TenantId::PROVIDER, errand.job)).await?;
        Ok(job.is_some_and(|job| {
            let leased = job.lease.is_some_and(|lease| lease.worker == errand.worker);
            job.state == JobState::Running && leased
        }))
    }
}
