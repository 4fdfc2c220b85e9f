//! An operator gives a backend a new secret; the old one ends at once or after an overlap.

use strongroom_keyring::{Half, Service};
use strongroom_model::{
    Action, AuditObject, BACKEND_OVERLAP_SECONDS_MAX, Backend, BackendId, TenantId,
};

use crate::backends::create::{CreatedBackend, ShownToken};
use crate::backends::list::BackendView;
use crate::backends::new_secret;
use crate::idempotency::Before;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct RotateBackend {
    /// The backend.
    pub backend: BackendId,
    /// For how long the old secret stays in force: 0 to seven days.
    pub overlap_seconds: i64,
    /// So that a repeated request makes one secret.
    pub idempotency: Option<Idempotency>,
}

/// Gives a backend a new secret. It is acknowledged when no request that was let in before can use a
/// secret that has ended.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::NotFound`];
/// [`VaultError::Invalid`] for an overlap beyond seven days; `revoked`.
pub async fn rotate(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: RotateBackend,
) -> Result<Answer<CreatedBackend>, VaultError> {
    let answer = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.admission.drain().await;
    Ok(answer)
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &RotateBackend,
) -> Result<Answer<CreatedBackend>, VaultError> {
    let provider = TenantId::PROVIDER;
    let id = wanted.backend;
    let object = AuditObject::Other(BackendId::PREFIX, *id.as_bytes());
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageBackends, "backend.rotate", object)
        .await?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(_) => return Err(VaultError::SecretAlreadyShown),
    };
    if !(0..=BACKEND_OVERLAP_SECONDS_MAX).contains(&wanted.overlap_seconds) {
        return Err(VaultError::invalid(
            "/overlap_seconds",
            "the old secret ends at once or within seven days",
        ));
    }
    let key = keyspace::backend(id);
    let found = snapshot.load::<Backend>(&key).await?.ok_or(VaultError::NotFound)?;
    if found.revoked {
        return Err(VaultError::wrong_state("revoked", "the backend has been revoked"));
    }
    let credentials = vault.keyring.service(provider, Half::Account, Service::Credentials).await?;
    let (token, hash) = new_secret(vault, &credentials, id)?;
    let row = found.rotated(hash, vault.now(), wanted.overlap_seconds);
    let version = found.version + 1;
    let mut batch = snapshot.into_batch();
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, version, &row).await?;
    batch.put(key, version, value);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, provider, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    batch.line(vault.line(provider, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let tenants = vault.count_admitting(&[id]).await?.first().copied().unwrap_or(0);
    let backend = Versioned { version, value: BackendView::of(row, tenants, vault.now()) };
    let value = CreatedBackend { backend, token: ShownToken(token.reveal()) };
    Ok(Answer { value, lines: committed.places().to_vec() })
}
