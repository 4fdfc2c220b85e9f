//! Somebody of the tenant who may manage users stops a recovery, or an operator does.

use strongroom_access_policy::AccessRequest;
use strongroom_model::{Action, AuditObject, Recovery, RecoveryState, TenantId, User, UserState};
use strongroom_storage::Batch;

use crate::recovery::own_line;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

/// Stops the recovery. A new owner who was invited and has not come in is removed, and their
/// invitation with them.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_users` in the tenant, or `manage_tenants` for an operator;
/// [`VaultError::NotFound`]; `wrong_state` for one that is over.
pub async fn stop(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
) -> Result<Answer<()>, VaultError> {
    attempt(|| once(vault, ctx, tenant)).await
}

async fn once(vault: &Vault, ctx: &TenantCtx, tenant: TenantId) -> Result<Answer<()>, VaultError> {
    let now = vault.now();
    let action = if ctx.is_provider() { Action::ManageTenants } else { Action::ManageUsers };
    // The provider can suspend a tenant; it must not keep it from stopping a recovery by that.
    let request = AccessRequest { defends: true, ..AccessRequest::new(action) };
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) =
        vault.administer_as(ctx, Snapshot::new(vault), request, "recovery.stop", object).await?;
    snapshot.named_tenant(ctx, tenant).await?.ok_or(VaultError::NotFound)?;
    let found = snapshot.recovery(tenant).await?.ok_or(VaultError::NotFound)?;
    let before = found.state_at(now);
    let row = Recovery {
        state: before.stop()?,
        stopped_by: Some(allowed.who.author()),
        closed_at: Some(now),
        ..(*found.value).clone()
    };
    let invited = match (before, found.user) {
        (RecoveryState::Invited, Some(user)) => {
            snapshot.load::<User>(&keyspace::user(tenant, user)).await?
        }
        (
            RecoveryState::Requested
            | RecoveryState::Waiting
            | RecoveryState::Ready
            | RecoveryState::Invited
            | RecoveryState::Finished
            | RecoveryState::Stopped
            | RecoveryState::Expired,
            _,
        ) => None,
    };

    let mut batch = Batch::new();
    // Whatever the tenant has done with them meanwhile: as long as it is not finished they have not come in.
    if let Some(user) = invited.filter(|user| user.state != UserState::Removed) {
        snapshot.take_back(&mut batch, tenant, &user).await?;
    }
    snapshot.expect_in(&mut batch);
    vault.put_recovery(&mut batch, tenant, found.version + 1, &row).await?;
    vault.in_both_logs(&mut batch, ctx, tenant, allowed.event).await?;
    let committed = vault.store.commit(batch).await?;
    Ok(Answer { value: (), lines: own_line(&committed) })
}
