//! Everybody who is of a tenant may see its classes: what others may do is no secret among them.

use strongroom_model::{Action, AuditObject, ClassId, ClassName, PermissionClass};
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::trail::Attempted;
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError};

/// Lists the tenant's classes in the order in which they were made.
///
/// # Errors
/// [`VaultError::Unauthenticated`] if the credential has ended meanwhile.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Versioned<PermissionClass>>>, VaultError> {
    attempt(|| async {
        let mut snapshot = Snapshot::new(vault);
        let who = snapshot.who(ctx).await?;
        let (keys, next) = vault.page_of_keys(ctx, ctx.tenant(), RowKind::Class, &page).await?;
        let found = snapshot.load_many::<PermissionClass>(&keys).await?;
        let items = found.into_iter().flatten();
        let items = items
            .map(|class| Versioned { version: class.version, value: (*class.value).clone() })
            .collect();
        let object = AuditObject::Tenant(ctx.tenant());
        let event = Attempted {
            principal: who.principal,
            action: Action::ManageClasses,
            code: "class.list",
            object,
        }
        .done();
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows a class.
///
/// # Errors
/// [`VaultError::NotFound`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    name: &ClassName,
) -> Result<Answer<Versioned<PermissionClass>>, VaultError> {
    attempt(|| async {
        let mut snapshot = Snapshot::new(vault);
        let who = snapshot.who(ctx).await?;
        let found = snapshot.class_named(ctx.tenant(), name).await?;
        let object = found.as_ref().map_or(AuditObject::Tenant(ctx.tenant()), |class| {
            AuditObject::Other(ClassId::PREFIX, *class.id.as_bytes())
        });
        let event = Attempted {
            principal: who.principal,
            action: Action::ManageClasses,
            code: "class.read",
            object,
        }
        .done();
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        let found = found.ok_or(VaultError::NotFound)?;
        let value = Versioned { version: found.version, value: (*found.value).clone() };
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}
