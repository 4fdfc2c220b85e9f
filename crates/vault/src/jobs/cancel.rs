//! An operator stops a job; what it has done stays.

use strongroom_model::{Action, AuditObject, Job, JobId};

use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

/// Stops a job. Once it is acknowledged nothing more is done of it.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::NotFound`]; `wrong_state` for a
/// job that has ended.
pub async fn cancel(vault: &Vault, ctx: &TenantCtx, job: JobId) -> Result<Answer<Job>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Other(JobId::PREFIX, *job.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "job.cancel", object)
            .await?;
        let key = keyspace::job(ctx.tenant(), job);
        let found = snapshot.load::<Job>(&key).await?.ok_or(VaultError::NotFound)?;
        let cancelled = Job {
            state: found.state.cancel()?,
            ended_at: Some(vault.now()),
            lease: None,
            ..(*found.value).clone()
        };
        let mut batch = snapshot.into_batch();
        let value = vault.seal_row(&key, OwnerLeaf::NOBODY, found.version + 1, &cancelled).await?;
        batch.put(key, found.version + 1, value);
        batch.line(vault.line(ctx.tenant(), Some(ctx), allowed.event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: cancelled, lines: committed.places().to_vec() })
    })
    .await
}
