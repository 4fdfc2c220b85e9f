//! Somebody who may manage keys revokes one.

use strongroom_model::{Action, ApiKey, AuditObject, KeyId};

use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

/// Revokes an API key. It is acknowledged when no request that was let in before can use it.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_keys`; [`VaultError::NotFound`].
pub async fn revoke(vault: &Vault, ctx: &TenantCtx, key: KeyId) -> Result<Answer<()>, VaultError> {
    let answer = attempt(|| async {
        let object = AuditObject::Other(KeyId::PREFIX, *key.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageKeys, "api_key.revoke", object)
            .await?;
        let at = keyspace::api_key(ctx.tenant(), key);
        let found = snapshot.load::<ApiKey>(&at).await?.ok_or(VaultError::NotFound)?;
        let revoked = ApiKey { revoked: true, ..(*found.value).clone() };
        let mut batch = snapshot.into_batch();
        let value = vault.seal_row(&at, OwnerLeaf::NOBODY, found.version + 1, &revoked).await?;
        batch.put(at, found.version + 1, value);
        batch.line(vault.line(ctx.tenant(), Some(ctx), allowed.event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: (), lines: committed.places().to_vec() })
    })
    .await?;
    vault.admission.drain().await;
    Ok(answer)
}
