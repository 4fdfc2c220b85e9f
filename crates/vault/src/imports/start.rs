//! Whoever asked for an import says that all parts of the file are there.

use strongroom_model::{Job, JobId, JobKind};
use strongroom_storage::Batch;

use crate::rows::damaged;
use crate::snapshot::attempt;
use crate::{Answer, TenantCtx, Vault, VaultError};

/// Starts the import of a file that has so many parts.
///
/// # Errors
/// [`VaultError::NotFound`] for whoever has not asked for the job; `parts_missing`; `wrong_state` for
/// one that was started or has ended.
pub async fn start(
    vault: &Vault,
    ctx: &TenantCtx,
    job: JobId,
    parts: u32,
) -> Result<Answer<Job>, VaultError> {
    let answer = attempt(|| async {
        let (mut snapshot, found, event) = vault.own_import(ctx, job, "import.start").await?;
        let mut started = (*found.value).clone();
        started.state = found.state.start()?;
        let JobKind::Import(import) = &found.kind else { return Err(damaged()) };
        if import.parts != parts || import.last_part != parts {
            return Err(VaultError::wrong_state(
                "parts_missing",
                format!(
                    "{} parts are there, the last with the number {}; the file has {parts}",
                    import.parts, import.last_part
                ),
            ));
        }
        let mut batch = Batch::new();
        snapshot.put_job(&mut batch, ctx.tenant(), found.version, &started).await?;
        snapshot.expect_in(&mut batch);
        batch.line(vault.line(ctx.tenant(), Some(ctx), event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: started, lines: committed.places().to_vec() })
    })
    .await?;
    vault.work_soon.notify_one();
    Ok(answer)
}
