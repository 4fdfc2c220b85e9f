//! The one place where a job's row is written: a job of a tenant enters its lists with its first row
//! and leaves them with its last, and the key of what it kept is retired then.

use strongroom_keyring::{Half, Leaf};
use strongroom_model::{Job, JobState, OpenJob, OpenJobs, TenantId};
use strongroom_storage::{Batch, RowKey};

use crate::rows::OwnerLeaf;
use crate::snapshot::Snapshot;
use crate::{Vault, VaultError, keyspace};

/// Most jobs of a tenant that have not ended and keep clients' data: an erasure ends them all at once.
pub const OPEN_JOBS_MAX: usize = 4;
/// Most jobs of a tenant that have not ended and keep none, such as exports.
pub const OPEN_EXPORTS_MAX: usize = 16;

/// The word of a job that an erasure has ended.
const ERASURE_CAME: &str = "erasure_came";

impl Snapshot<'_> {
    /// Writes the row of a job that has this version now; 0 for a new one.
    ///
    /// # Errors
    /// `too_many_open_jobs` for one more than a tenant may have.
    pub(crate) async fn put_job(
        &mut self,
        batch: &mut Batch,
        tenant: TenantId,
        version: u64,
        job: &Job,
    ) -> Result<(), VaultError> {
        let key = keyspace::job(tenant, job.id);
        if version == 0 {
            batch.expect_absent(key.clone());
        }
        let value = self.vault.seal_row(&key, OwnerLeaf::NOBODY, version + 1, job).await?;
        batch.put(key, version + 1, value);
        if tenant == TenantId::PROVIDER {
            return Ok(());
        }
        if version == 0 {
            self.enter(batch, tenant, job).await
        } else if job.state.has_ended() {
            self.leave(batch, tenant, job).await
        } else {
            Ok(())
        }
    }

    async fn enter(
        &mut self,
        batch: &mut Batch,
        tenant: TenantId,
        job: &Job,
    ) -> Result<(), VaultError> {
        let (key, version, mut open) = self.open_jobs(tenant).await?;
        let (most, what) = match job.slot {
            Some(_) => (OPEN_JOBS_MAX, "imports"),
            None => (OPEN_EXPORTS_MAX, "exports and archives"),
        };
        let alike = |entry: &&OpenJob| entry.slot.is_some() == job.slot.is_some();
        if open.jobs.iter().filter(alike).count() >= most {
            return Err(VaultError::wrong_state(
                "too_many_open_jobs",
                format!("a tenant has at most {most} {what} that have not ended"),
            ));
        }
        open.jobs.push(OpenJob { job: job.id, slot: job.slot });
        let queued = keyspace::queued_job(tenant, job.id);
        let value = self.vault.seal_row(&queued, OwnerLeaf::NOBODY, 1, &job.asked_at).await?;
        batch.expect_absent(queued.clone()).put(queued, 1, value);
        put_open(self.vault, batch, key, version, &open).await
    }

    async fn leave(
        &mut self,
        batch: &mut Batch,
        tenant: TenantId,
        job: &Job,
    ) -> Result<(), VaultError> {
        let (key, version, mut open) = self.open_jobs(tenant).await?;
        let Some(place) = open.jobs.iter().position(|entry| entry.job == job.id) else {
            return Ok(());
        };
        let left = open.jobs.remove(place);
        retire(self.vault, batch, tenant, &left);
        put_open(self.vault, batch, key, version, &open).await
    }

    /// Ends the tenant's jobs that keep clients' data, with an erasure's fence: what they keep may be
    /// of whoever is erased. Their keys go with the same batch as the keys of what is erased.
    pub(crate) async fn end_jobs_with_data(
        &mut self,
        batch: &mut Batch,
        tenant: TenantId,
    ) -> Result<(), VaultError> {
        let (key, version, mut open) = self.open_jobs(tenant).await?;
        let (ended, stay): (Vec<OpenJob>, Vec<OpenJob>) =
            open.jobs.iter().partition(|entry| entry.slot.is_some());
        if ended.is_empty() {
            return Ok(());
        }
        for entry in &ended {
            let at = keyspace::job(tenant, entry.job);
            if let Some(found) = self.load::<Job>(&at).await? {
                let mut job = (*found.value).clone();
                job.end(JobState::fail, Some(ERASURE_CAME), self.vault.now())?;
                let next = found.version + 1;
                let value = self.vault.seal_row(&at, OwnerLeaf::NOBODY, next, &job).await?;
                batch.put(at, next, value);
            }
            retire(self.vault, batch, tenant, entry);
        }
        open.jobs = stay;
        put_open(self.vault, batch, key, version, &open).await
    }

    async fn open_jobs(&mut self, tenant: TenantId) -> Result<(RowKey, u64, OpenJobs), VaultError> {
        let key = keyspace::open_jobs(tenant);
        let found = self.load::<OpenJobs>(&key).await?;
        let version = found.as_ref().map_or(0, |found| found.version);
        Ok((key, version, found.map(|found| (*found.value).clone()).unwrap_or_default()))
    }
}

async fn put_open(
    vault: &Vault,
    batch: &mut Batch,
    key: RowKey,
    version: u64,
    open: &OpenJobs,
) -> Result<(), VaultError> {
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, version + 1, open).await?;
    batch.put(key, version + 1, value);
    Ok(())
}

fn retire(vault: &Vault, batch: &mut Batch, tenant: TenantId, ended: &OpenJob) {
    if let Some(slot) = ended.slot {
        vault.keyring.retire(batch, Leaf { tenant, half: Half::Data, slot });
    }
}
