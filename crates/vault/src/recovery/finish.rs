//! The new owner comes in: the recovery is over.

use strongroom_model::{Recovery, RecoveryState, TenantId, UserId};

use crate::VaultError;
use crate::snapshot::Snapshot;

/// A recovery that the redemption of an invitation finishes.
pub(crate) struct Finishing {
    /// The row's next version.
    pub(crate) version: u64,
    /// Its next value.
    pub(crate) row: Recovery,
}

impl Snapshot<'_> {
    /// The recovery that a user finishes by coming in, if there is one. What was read is a fact of the
    /// redemption, so that nobody comes in by a recovery that is being stopped.
    pub(crate) async fn recovery_finished_by(
        &mut self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Option<Finishing>, VaultError> {
        if tenant == TenantId::PROVIDER {
            return Ok(None);
        }
        let now = self.vault.now();
        let found = self.recovery(tenant).await?;
        let Some(found) = found.filter(|found| found.user == Some(user)) else { return Ok(None) };
        if found.state_at(now) != RecoveryState::Invited {
            return Ok(None);
        }
        let state = found.state_at(now).finish()?;
        let row = Recovery { state, closed_at: Some(now), ..(*found.value).clone() };
        Ok(Some(Finishing { version: found.version + 1, row }))
    }
}
