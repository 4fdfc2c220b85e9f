//! The installation: made, unlocked, locked, looked at.

use strongroom_crypto::Key;
use strongroom_keyring::{KeyError, Unlocked};
use strongroom_model::{Action, AuditObject, InstallId, TenantId};
use strongroom_storage::Description;

use crate::integrity::{self, Rejected};
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Secret, TenantCtx, Vault, VaultError, keyspace, tenants};

/// How the server stands; anybody may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether its keys are not loaded.
    pub locked: bool,
    /// The installation.
    pub install: InstallId,
    /// The number of the root secret in force, while unlocked.
    pub number: Option<u64>,
}

/// How the server stands.
pub fn status(vault: &Vault) -> Status {
    let locked = vault.keyring.is_locked();
    Status {
        locked,
        install: vault.keyring.install(),
        number: (!locked).then(|| vault.keyring.number()),
    }
}

/// Reads a row that every store has, to see whether the store answers.
///
/// # Errors
/// [`VaultError::Unavailable`] or [`VaultError::Damaged`] if it does not.
pub async fn reach_store(vault: &Vault) -> Result<(), VaultError> {
    vault.store.get_many(&[keyspace::format()]).await?;
    Ok(())
}

/// What the store is and how much it has done since it was opened.
pub fn store_work(vault: &Vault) -> Description {
    vault.store.describe()
}

/// Makes the provider in a new installation, and invites its first operator. The vault must be
/// unlocked.
///
/// # Errors
/// [`VaultError::Conflict`] if it was made before.
pub async fn plant(vault: &Vault, operator: tenants::Owner) -> Result<Secret, VaultError> {
    tenants::plant_provider(vault, operator).await
}

/// Loads the keys.
///
/// # Errors
/// What [`strongroom_keyring::Keyring::unlock`] says; [`Rejected`] if the store is not the newest, or
/// not what was written.
pub async fn unlock(vault: &Vault, seal: &Key) -> Result<Unlocked, Rejected> {
    let _age = integrity::check_age(vault).await?;
    // Before anybody is let in: what had ended by then has ended.
    if let Err(error) = vault.take_up_time().await {
        tracing::warn!(error = %error, "the time that was stored could not be read");
    }
    let unlocked = vault.keyring.unlock(seal).await?;
    if let Err(rejected) = vault.begin_sums().await {
        vault.keyring.lock();
        return Err(rejected);
    }
    vault.work_soon.notify_one();
    Ok(unlocked)
}

/// Loads the keys to restore a backup, whatever the store has lost: nothing of it is compared with its
/// sums and its head, which a restore takes anew at its end.
///
/// # Errors
/// What [`strongroom_keyring::Keyring::unlock`] says.
pub async fn unlock_to_restore(vault: &Vault, seal: &Key) -> Result<Unlocked, KeyError> {
    if let Err(error) = vault.take_up_time().await {
        tracing::warn!(error = %error, "the time that was stored could not be read");
    }
    vault.keyring.unlock(seal).await
}

/// Drops the keys.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator.
pub async fn lock(vault: &Vault, ctx: &TenantCtx) -> Result<Answer<()>, VaultError> {
    let answer = attempt(|| async {
        let object = AuditObject::Tenant(TenantId::PROVIDER);
        let (snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::Operate, "system.lock", object)
            .await?;
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: (), lines: committed.places().to_vec() })
    })
    .await?;
    vault.admission.drain().await;
    vault.keyring.lock();
    vault.decoded.clear();
    vault.opened.clear();
    Ok(answer)
}

/// The public key with which receipts are verified (Ed25519, 32 bytes).
///
/// # Errors
/// [`VaultError::Locked`].
pub async fn receipt_key(vault: &Vault) -> Result<[u8; 32], VaultError> {
    Ok(vault.receipt_key().await?.public())
}
