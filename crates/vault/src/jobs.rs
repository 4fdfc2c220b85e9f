//! The server's own work: erasures that wait, and what they left.

use std::time::Duration;

use strongroom_model::TenantId;
use strongroom_storage::KeyRange;
use strongroom_storage::keyspace::RowKind;

use crate::{Vault, VaultError, keyspace};

/// How often the server looks for work that nobody has announced.
const EVERY: Duration = Duration::from_secs(60);
/// Tenants looked at at a time.
const TENANTS_AT_ONCE: usize = 1000;

impl Vault {
    /// Does all work that is due: carries out erasures, clears what they left.
    ///
    /// # Errors
    /// [`VaultError::Locked`]; [`VaultError::Unavailable`]: it goes on at the next call.
    pub async fn run_due_jobs(&self) -> Result<(), VaultError> {
        while self.carry_out_erasures().await? > 0 {}
        let prefix = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::KnownTenant);
        let mut range = prefix.clone();
        loop {
            let rows = self.store.scan(&range, TENANTS_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = prefix.clone().continued(last);
            for (key, _) in &rows {
                if let Some((_, _, tenant)) = keyspace::parse_id(key) {
                    self.sweep(TenantId::from_bytes(tenant)).await?;
                }
            }
        }
    }

    /// Does work as it comes up, until the server ends.
    pub async fn work(&self) {
        loop {
            let _ = tokio::time::timeout(EVERY, self.erase_soon.notified()).await;
            self.keyring.expire();
            if self.keyring.is_locked() {
                continue;
            }
            if let Err(error) = self.run_due_jobs().await {
                tracing::warn!(error = %error, "work that is due could not be done; it is tried again");
            }
        }
    }
}
