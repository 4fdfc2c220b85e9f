//! Somebody who may manage connections revokes the admission of a backend.

use strongroom_model::{Action, Admission, AuditObject, BackendId};

use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

/// Revokes an admission: the next request of the backend finds no such tenant. It is acknowledged when
/// no request that was let in before can go on.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_connections`; [`VaultError::NotFound`].
pub async fn revoke(
    vault: &Vault,
    ctx: &TenantCtx,
    backend: BackendId,
) -> Result<Answer<()>, VaultError> {
    let answer = attempt(|| async {
        let object = AuditObject::Other(BackendId::PREFIX, *backend.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(
                ctx,
                Snapshot::new(vault),
                Action::ManageConnections,
                "admission.revoke",
                object,
            )
            .await?;
        let key = keyspace::admission(ctx.tenant(), backend);
        let found = snapshot.load::<Admission>(&key).await?.ok_or(VaultError::NotFound)?;
        // The row stays: its version goes on, and the tenant sees that the backend was there.
        let revoked =
            Admission { revoked: true, changed_at: vault.now(), ..(*found.value).clone() };
        let mut batch = snapshot.into_batch();
        let value = vault.seal_row(&key, OwnerLeaf::NOBODY, found.version + 1, &revoked).await?;
        batch.put(key, found.version + 1, value);
        batch.line(vault.line(ctx.tenant(), Some(ctx), allowed.event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: (), lines: committed.places().to_vec() })
    })
    .await?;
    vault.admission.drain().await;
    Ok(answer)
}
