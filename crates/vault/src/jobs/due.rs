//! The server's own work that is due: erasures that wait, jobs, and what erasures left.

use std::sync::atomic::Ordering;
use std::time::Duration;

use strongroom_model::{TenantId, Timestamp};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, KeyRange, StoreError};

use crate::jobs::run::LEASE;
use crate::{Vault, VaultError, keyspace};

/// How often the server looks for work that nobody has announced.
const EVERY: Duration = Duration::from_mins(1);
/// Seconds by which the machine's clock may be behind the stored time without a word.
const CLOCK_BEHIND_WARN_S: i64 = 60;
/// Tenants looked at at a time.
const TENANTS_AT_ONCE: usize = 1000;

impl Vault {
    /// Does all work that is due: carries out erasures, works on jobs, clears what erasures left.
    ///
    /// # Errors
    /// [`VaultError::Locked`]; [`VaultError::Unavailable`]: it goes on at the next call.
    pub async fn run_due_jobs(&self) -> Result<(), VaultError> {
        self.remember_time().await?;
        while self.carry_out_erasures().await? > 0 {}
        // What keeps a job from going on does not keep what erasures left.
        let jobs = self.run_jobs().await;
        self.sweep_all().await?;
        self.clear_strays().await?;
        jobs
    }

    /// Clears what erasures of all tenants left, and their jobs that ended long ago.
    async fn sweep_all(&self) -> Result<(), VaultError> {
        let prefix = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::KnownTenant);
        let mut range = prefix.clone();
        loop {
            let rows = self.store.scan(&range, TENANTS_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = prefix.clone().continued(last);
            for (key, _) in &rows {
                if let Some((_, _, tenant)) = keyspace::parse_id(key) {
                    let tenant = TenantId::from_bytes(tenant);
                    self.sweep(tenant).await?;
                    self.forget_old_jobs(tenant).await?;
                }
            }
        }
    }

    /// Stores how far time has come, so that a later start does not begin before it.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`] if the store fails.
    pub(crate) async fn remember_time(&self) -> Result<(), VaultError> {
        let key = keyspace::clock();
        let version = self.recall_time().await?;
        let mut batch = Batch::new();
        batch.put(key, version + 1, self.now().as_micros().to_be_bytes().to_vec());
        match self.store.commit(batch).await {
            // Somebody else has just stored it.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes up the time that was stored, and says so where the machine's clock is behind it.
    pub(crate) async fn take_up_time(&self) -> Result<(), VaultError> {
        self.recall_time().await?;
        let wall = self.clock.now();
        let behind_s = self.now().as_micros().saturating_sub(wall.as_micros()) / 1_000_000;
        if behind_s >= CLOCK_BEHIND_WARN_S {
            tracing::warn!(
                behind_s,
                "the machine's clock is behind the time that was stored: time goes on from there; set the \
                 clock, and start the server again"
            );
        }
        Ok(())
    }

    /// Takes up the time that was stored, and gives the version of its row.
    pub(crate) async fn recall_time(&self) -> Result<u64, VaultError> {
        let found = self.store.get_many(&[keyspace::clock()]).await?.into_iter().flatten().next();
        let Some(row) = found else { return Ok(0) };
        let micros = row.value.as_ref().try_into().map_err(|_| crate::rows::damaged())?;
        self.time.raise(Timestamp::from_micros(i64::from_be_bytes(micros)));
        Ok(row.version)
    }

    /// Does work as it comes up, until the server ends.
    pub async fn work(&self) {
        loop {
            // A job that another server has begun is looked at again when its lease has passed.
            let wait = if self.jobs_wait.load(Ordering::Relaxed) { LEASE } else { EVERY };
            let _ = tokio::time::timeout(wait, self.work_soon.notified()).await;
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
