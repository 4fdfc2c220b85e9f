//! The job of an archive: it ends with the stream, however that ends.

use std::sync::Arc;

use strongroom_model::JobId;
use strongroom_vault::archives::{self, GivenUp};
use strongroom_vault::{TenantCtx, Vault, VaultError};
use tokio::runtime::Handle;

use crate::extract::Caller;

/// The job. Unless it was finished, it is given up when this is dropped: where a reader goes away,
/// nothing else of the stream is done any more.
pub(super) struct ArchiveJob {
    vault: Arc<Vault>,
    ctx: TenantCtx,
    id: JobId,
    why: GivenUp,
    is_over: bool,
}

impl ArchiveJob {
    pub(super) fn of(caller: &Caller, id: JobId) -> Self {
        let (vault, ctx) = (caller.vault.clone(), caller.ctx.clone());
        Self { vault, ctx, id, why: GivenUp::ReaderGone, is_over: false }
    }

    pub(super) const fn id(&self) -> JobId {
        self.id
    }

    /// Says why it will be given up.
    pub(super) const fn ends_by(&mut self, why: GivenUp) {
        self.why = why;
    }

    /// Ends it: all of the archive has been made.
    ///
    /// # Errors
    /// `wrong_state` where somebody has stopped it.
    pub(super) async fn finish(mut self) -> Result<(), VaultError> {
        self.ends_by(GivenUp::BrokeOff);
        archives::finish(&self.vault, &self.ctx, self.id).await?;
        self.is_over = true;
        Ok(())
    }
}

impl Drop for ArchiveJob {
    fn drop(&mut self) {
        // Without a runtime the server has ended, and the job ends by itself after a day.
        let Ok(runtime) = Handle::try_current() else { return };
        if self.is_over {
            return;
        }
        let (vault, ctx, id, why) = (self.vault.clone(), self.ctx.clone(), self.id, self.why);
        runtime.spawn(async move {
            if let Err(error) = archives::give_up(&vault, &ctx, id, why).await {
                tracing::info!(job = %id, code = error.code(), "an archive ends by itself later");
            }
        });
    }
}
