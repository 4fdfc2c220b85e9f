//! Whoever may see an import looks at the rows that became no records.

use strongroom_model::{JobId, JobReject};

use crate::snapshot::attempt;
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// Lists the rejects of a job in the order of the file.
///
/// # Errors
/// [`VaultError::NotFound`] for whoever may not see the job.
pub async fn rejects(
    vault: &Vault,
    ctx: &TenantCtx,
    job: JobId,
    page: Page,
) -> Result<Answer<Listed<JobReject>>, VaultError> {
    attempt(|| async {
        let (mut snapshot, _, event) = vault.see_job(ctx, job, "job.read").await?;
        let prefix = keyspace::job_rejects_prefix(ctx.tenant(), job);
        let (keys, next) = vault.page_below(ctx, prefix.as_bytes(), &page).await?;
        let found = snapshot.load_many::<JobReject>(&keys).await?;
        let items = found.into_iter().flatten().map(|it| (*it.value).clone()).collect();
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}
