//! Everybody who is of a tenant may see what its collections are called and what fields they have.

use strongroom_model::{Action, AuditObject, Collection, CollectionName};
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::trail::Attempted;
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError};

/// Lists the tenant's collections in the order in which they were declared.
///
/// # Errors
/// [`VaultError::Unauthenticated`] if the credential has ended meanwhile.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Versioned<Collection>>>, VaultError> {
    attempt(|| async {
        let mut snapshot = Snapshot::new(vault);
        let who = snapshot.who(ctx).await?;
        let (keys, next) =
            vault.page_of_keys(ctx, ctx.tenant(), RowKind::Collection, &page).await?;
        let found = snapshot.load_many::<Collection>(&keys).await?;
        let items = found.into_iter().flatten().filter(|collection| !collection.erased);
        let items = items
            .map(|collection| Versioned {
                version: collection.version,
                value: (*collection.value).clone(),
            })
            .collect();
        let object = AuditObject::Tenant(ctx.tenant());
        let event = Attempted {
            principal: who.principal,
            action: Action::ManageSchema,
            code: "collection.list",
            object,
        }
        .done();
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows a collection.
///
/// # Errors
/// [`VaultError::NotFound`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    name: &CollectionName,
) -> Result<Answer<Versioned<Collection>>, VaultError> {
    attempt(|| async {
        let mut snapshot = Snapshot::new(vault);
        let who = snapshot.who(ctx).await?;
        let found = snapshot.collection(ctx.tenant(), name).await?;
        let object = found.as_ref().map_or(AuditObject::Tenant(ctx.tenant()), |collection| {
            AuditObject::Collection(collection.number)
        });
        let attempted = Attempted {
            principal: who.principal,
            action: Action::ManageSchema,
            code: "collection.read",
            object,
        };
        let Some(found) = found else {
            return vault.refuse_absent(ctx, snapshot, who, attempted).await;
        };
        let committed = vault.put_on_record(ctx, snapshot, attempted.done()).await?;
        let value = Versioned { version: found.version, value: (*found.value).clone() };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}
