//! Jobs: long-running pieces of work that are asked for, watched and stopped, and the server's own work
//! that is due.
//!
//! A job lies under whoever asked for it: the provider or a tenant. Those of tenants have a row in one
//! queue besides, so that a worker finds them without looking at every tenant, and stand in a list of
//! their tenant's open jobs, which an erasure reads as a fact.

mod apply;
mod cancel;
mod due;
mod list;
mod open;
mod run;
mod sight;

pub use cancel::cancel;
pub use list::{ItemView, items, list, show};
pub use open::{OPEN_EXPORTS_MAX, OPEN_JOBS_MAX};

use strongroom_model::{Job, JobId, JobKind, JobState, TenantId};
use strongroom_storage::KeyRange;
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::{Loaded, Snapshot};
use crate::{Vault, VaultError, keyspace};

/// Most jobs that are kept of a tenant, or of the provider.
const JOBS_MAX: usize = 1_000;
/// Most things that an item of a job names as kept.
pub(crate) const KEPT_MAX: usize = 1_000;

/// A job in the hands of a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errand {
    /// Whose job it is.
    pub(crate) tenant: TenantId,
    /// The job.
    pub(crate) job: JobId,
    /// The worker.
    pub(crate) worker: [u8; 16],
}

/// Refuses one job more than are kept. Exports and archives that have ended make room for others: beside
/// how they ended they have nothing to tell, and somebody may make many of them.
///
/// # Errors
/// `too_many_jobs`.
pub(crate) async fn check_room(vault: &Vault, tenant: TenantId) -> Result<(), VaultError> {
    let range = KeyRange::prefix_of(tenant, RowKind::Job);
    if vault.store.scan(&range, JOBS_MAX).await?.len() < JOBS_MAX {
        return Ok(());
    }
    let is_over = |job: &Job| {
        let keeps_nothing = match job.kind {
            JobKind::Export(_) | JobKind::Archive(_) => true,
            JobKind::ApplyBlueprint(_) | JobKind::Import(_) | JobKind::Backup(_) => false,
        };
        keeps_nothing && job.state.has_ended()
    };
    let over = vault.jobs_of(tenant).await?.into_iter().find(is_over);
    let Some(over) = over else {
        return Err(VaultError::wrong_state(
            "too_many_jobs",
            "at most 1000 jobs are kept; those that have ended go after 30 days",
        ));
    };
    vault.forget_job(tenant, over.id).await
}

impl Snapshot<'_> {
    /// The job, if the worker still has it. That becomes a fact: what is committed on it is not
    /// committed once somebody has stopped the job or taken it over.
    pub(crate) async fn ours(
        &mut self,
        errand: &Errand,
    ) -> Result<Option<Loaded<Job>>, VaultError> {
        let job = self.load::<Job>(&keyspace::job(errand.tenant, errand.job)).await?;
        Ok(job.filter(|job| {
            let leased = job.lease.is_some_and(|lease| lease.worker == errand.worker);
            job.state == JobState::Running && leased
        }))
    }
}
