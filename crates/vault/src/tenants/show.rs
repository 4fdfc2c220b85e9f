//! A tenant looks at itself, or an operator at one of them.

use strongroom_model::{Action, AuditObject, Tenant, TenantId};

use crate::recovery::RecoveryNotice;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::trail::Attempted;
use crate::{Answer, TenantCtx, Vault, VaultError};

/// A tenant, and what everybody of it is told.
#[derive(Debug)]
pub struct TenantView {
    /// The tenant.
    pub tenant: Tenant,
    /// That the recovery of an owner is under way.
    pub recovery: Option<RecoveryNotice>,
}

/// Shows a tenant. An operator's look is put on record in the tenant's own log.
///
/// # Errors
/// [`VaultError::NotFound`] for a tenant that the caller is not of, unless it is an operator.
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
) -> Result<Answer<Versioned<TenantView>>, VaultError> {
    attempt(|| once(vault, ctx, tenant)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
) -> Result<Answer<Versioned<TenantView>>, VaultError> {
    let object = AuditObject::Tenant(tenant);
    let mut snapshot = Snapshot::new(vault);
    let event = if ctx.is_provider() {
        let (decided, allowed) =
            vault.administer(ctx, snapshot, Action::ManageTenants, "tenant.read", object).await?;
        snapshot = decided;
        allowed.event
    } else {
        // Everybody who is of a tenant may know its name and state.
        let who = snapshot.who(ctx).await?;
        Attempted { principal: who.principal, action: Action::Read, code: "tenant.read", object }
            .done()
    };
    let found = snapshot.named_tenant(ctx, tenant).await?.ok_or(VaultError::NotFound)?;
    let recovery = snapshot.recovery_notice(tenant).await?;
    let line = vault.line(tenant, Some(ctx), event).await?;
    let committed = vault.store.append(vec![line], snapshot.into_facts()).await?;
    let view = TenantView { tenant: (*found.value).clone(), recovery };
    let value = Versioned { version: found.version, value: view };
    Ok(Answer { value, lines: committed.places().to_vec() })
}
