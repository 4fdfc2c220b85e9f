//! An operator makes a backend: one credential for all tenants that will admit it.

use strongroom_keyring::{Half, Service};
use strongroom_model::{Action, AuditObject, Backend, BackendId, Label, Plaintext, TenantId};
use strongroom_storage::KeyRange;
use strongroom_storage::keyspace::RowKind;

use crate::backends::list::BackendView;
use crate::backends::{BACKENDS_MAX, new_secret};
use crate::idempotency::Before;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct CreateBackend {
    /// Its name, which the tenants that admit it see.
    pub name: Label,
    /// So that a repeated request makes one backend.
    pub idempotency: Option<Idempotency>,
}

/// A backend that was made, or given a new secret.
#[derive(Debug)]
pub struct CreatedBackend {
    /// The backend.
    pub backend: Versioned<BackendView>,
    /// Its token, shown once.
    pub token: ShownToken,
}

/// A token that is shown once and never written to a log.
pub struct ShownToken(pub Plaintext<String>);

impl std::fmt::Debug for ShownToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a token")
    }
}

/// Makes a backend. No tenant admits it yet.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; `too_many_backends`.
pub async fn create(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: CreateBackend,
) -> Result<Answer<CreatedBackend>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &CreateBackend,
) -> Result<Answer<CreatedBackend>, VaultError> {
    let provider = TenantId::PROVIDER;
    let id = BackendId::new(vault.now(), &*vault.rng)?;
    let object = AuditObject::Other(BackendId::PREFIX, *id.as_bytes());
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageBackends, "backend.create", object)
        .await?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(_) => return Err(VaultError::SecretAlreadyShown),
    };
    let range = KeyRange::prefix_of(provider, RowKind::Backend);
    if vault.store.scan(&range, BACKENDS_MAX).await?.len() >= BACKENDS_MAX {
        return Err(VaultError::wrong_state(
            "too_many_backends",
            "the provider has at most 200 backends, revoked ones among them",
        ));
    }

    let credentials = vault.keyring.service(provider, Half::Account, Service::Credentials).await?;
    let (token, hash) = new_secret(vault, &credentials, id)?;
    let bare = Backend {
        id,
        name: wanted.name.clone(),
        secrets: Vec::new(),
        next_secret: 1,
        created_by: allowed.who.principal,
        created_at: vault.now(),
        revoked: false,
    };
    let row = bare.rotated(hash, vault.now(), 0);
    let mut batch = snapshot.into_batch();
    let key = keyspace::backend(id);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, &row).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, provider, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    batch.line(vault.line(provider, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let value = BackendView::of(row, 0, vault.now());
    let backend = Versioned { version: 1, value };
    let value = CreatedBackend { backend, token: ShownToken(token.reveal()) };
    Ok(Answer { value, lines: committed.places().to_vec() })
}
