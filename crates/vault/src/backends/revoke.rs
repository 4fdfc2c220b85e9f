//! An operator revokes a backend: at every tenant, and for good.

use strongroom_model::{Action, AuditObject, Backend, BackendId, TenantId};

use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

/// Revokes a backend. It is acknowledged when no request that was let in before can use it.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::NotFound`].
pub async fn revoke(
    vault: &Vault,
    ctx: &TenantCtx,
    backend: BackendId,
) -> Result<Answer<()>, VaultError> {
    let answer = attempt(|| async {
        let object = AuditObject::Other(BackendId::PREFIX, *backend.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageBackends, "backend.revoke", object)
            .await?;
        let key = keyspace::backend(backend);
        let found = snapshot.load::<Backend>(&key).await?.ok_or(VaultError::NotFound)?;
        let revoked = Backend { revoked: true, secrets: Vec::new(), ..(*found.value).clone() };
        let mut batch = snapshot.into_batch();
        let value = vault.seal_row(&key, OwnerLeaf::NOBODY, found.version + 1, &revoked).await?;
        batch.put(key, found.version + 1, value);
        batch.line(vault.line(TenantId::PROVIDER, Some(ctx), allowed.event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: (), lines: committed.places().to_vec() })
    })
    .await?;
    vault.admission.drain().await;
    Ok(answer)
}
