//! Whoever may see a job stops it; what it has done stays.

use strongroom_model::{Job, JobId, JobState};
use strongroom_storage::Batch;

use crate::snapshot::attempt;
use crate::{Answer, TenantCtx, Vault, VaultError};

/// Stops a job. Once it is acknowledged nothing more is done of it.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator, under the provider; [`VaultError::NotFound`];
/// `wrong_state` for a job that has ended.
pub async fn cancel(vault: &Vault, ctx: &TenantCtx, job: JobId) -> Result<Answer<Job>, VaultError> {
    let answer = attempt(|| async {
        let (mut snapshot, found, event) = vault.see_job(ctx, job, "job.cancel").await?;
        let mut cancelled = (*found.value).clone();
        cancelled.end(JobState::cancel, None, vault.now())?;
        let mut batch = Batch::new();
        snapshot.put_job(&mut batch, ctx.tenant(), found.version, &cancelled).await?;
        snapshot.expect_in(&mut batch);
        batch.line(vault.line(ctx.tenant(), Some(ctx), event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: cancelled, lines: committed.places().to_vec() })
    })
    .await?;
    // What it kept is cleared soon.
    vault.work_soon.notify_one();
    Ok(answer)
}
