//! Somebody who may manage keys looks at them; secrets are not among what is kept.

use strongroom_model::{Action, ApiKey, AuditObject, ClassName, KeyId};
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// A key, and the names of its classes.
#[derive(Debug, Clone)]
pub struct ApiKeyView {
    /// The key.
    pub key: ApiKey,
    /// The names of its classes.
    pub classes: Vec<ClassName>,
}

/// Lists the tenant's API keys in the order in which they were made.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_keys`.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Versioned<ApiKeyView>>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(ctx.tenant());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageKeys, "api_key.list", object)
            .await?;
        let (keys, next) = vault.page_of_keys(ctx, ctx.tenant(), RowKind::ApiKey, &page).await?;
        let mut items = Vec::new();
        for key in snapshot.load_many::<ApiKey>(&keys).await?.into_iter().flatten() {
            let classes = snapshot.classes_of(ctx.tenant(), &key.classes).await?;
            let classes = classes.into_iter().map(|class| class.name).collect();
            items.push(Versioned {
                version: key.version,
                value: ApiKeyView { key: (*key.value).clone(), classes },
            });
        }
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows an API key.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_keys`; [`VaultError::NotFound`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    key: KeyId,
) -> Result<Answer<Versioned<ApiKeyView>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Other(KeyId::PREFIX, *key.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageKeys, "api_key.read", object)
            .await?;
        let found = snapshot.load::<ApiKey>(&keyspace::api_key(ctx.tenant(), key)).await?;
        let classes = match &found {
            Some(found) => snapshot.classes_of(ctx.tenant(), &found.classes).await?,
            None => Vec::new(),
        };
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        let found = found.ok_or(VaultError::NotFound)?;
        let classes = classes.into_iter().map(|class| class.name).collect();
        let value = Versioned {
            version: found.version,
            value: ApiKeyView { key: (*found.value).clone(), classes },
        };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}
