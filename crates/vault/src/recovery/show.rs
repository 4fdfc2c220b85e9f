//! A tenant or an operator looks at how the recovery of an owner stands.

use strongroom_access_policy::AccessRequest;
use strongroom_model::{
    Action, AuditObject, Label, Principal, Recovery, RecoveryState, TenantId, Timestamp, UserId,
};

use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, TenantCtx, Vault, VaultError};

/// A recovery as both sides see it.
#[derive(Debug, Clone)]
pub struct RecoveryView {
    /// Where it stands now.
    pub state: RecoveryState,
    /// Why.
    pub reason: Label,
    /// The operator who asked for it.
    pub requested_by: UserId,
    /// When.
    pub requested_at: Timestamp,
    /// The operator who approved it.
    pub approved_by: Option<UserId>,
    /// When.
    pub approved_at: Option<Timestamp>,
    /// From when on the invitation can be made.
    pub opens_at: Option<Timestamp>,
    /// When it ends by itself if nothing more is done.
    pub ends_at: Option<Timestamp>,
    /// The operator who made the invitation.
    pub invited_by: Option<UserId>,
    /// The user who was invited as new owner.
    pub user: Option<UserId>,
    /// Who stopped it.
    pub stopped_by: Option<Principal>,
    /// When it was stopped, or the new owner came in.
    pub closed_at: Option<Timestamp>,
}

impl RecoveryView {
    pub(super) fn of(row: &Recovery, version: u64, now: Timestamp) -> Versioned<Self> {
        let state = row.state_at(now);
        let value = Self {
            state,
            reason: row.reason.clone(),
            requested_by: row.requested_by,
            requested_at: row.requested_at,
            approved_by: row.approved_by,
            approved_at: row.approved_at,
            opens_at: row.opens_at(),
            ends_at: row.ends_at(),
            invited_by: row.invited_by,
            user: row.user,
            stopped_by: row.stopped_by,
            closed_at: row.closed_at,
        };
        Versioned { version, value }
    }
}

/// What everybody of a tenant is told while a recovery is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryNotice {
    /// Where it stands.
    pub state: RecoveryState,
    /// From when on a new owner can be invited; absent before the approval.
    pub opens_at: Option<Timestamp>,
}

/// Shows the tenant's last recovery. An operator's look is put on record in the tenant's own log.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_users` in the tenant, or `manage_tenants` for an operator;
/// [`VaultError::NotFound`] where none was ever asked for.
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
) -> Result<Answer<Versioned<RecoveryView>>, VaultError> {
    attempt(|| once(vault, ctx, tenant)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
) -> Result<Answer<Versioned<RecoveryView>>, VaultError> {
    let action = if ctx.is_provider() { Action::ManageTenants } else { Action::ManageUsers };
    let request = AccessRequest { defends: true, ..AccessRequest::new(action) };
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) =
        vault.administer_as(ctx, Snapshot::new(vault), request, "recovery.read", object).await?;
    snapshot.named_tenant(ctx, tenant).await?.ok_or(VaultError::NotFound)?;
    let found = snapshot.recovery(tenant).await?.ok_or(VaultError::NotFound)?;
    let line = vault.line(tenant, Some(ctx), allowed.event).await?;
    let committed = vault.store.append(vec![line], snapshot.into_facts()).await?;
    let value = RecoveryView::of(&found, found.version, vault.now());
    Ok(Answer { value, lines: committed.places().to_vec() })
}

impl Snapshot<'_> {
    /// That a recovery of the tenant's owner is under way.
    pub(crate) async fn recovery_notice(
        &mut self,
        tenant: TenantId,
    ) -> Result<Option<RecoveryNotice>, VaultError> {
        if tenant == TenantId::PROVIDER {
            return Ok(None);
        }
        let found = self.recovery(tenant).await?;
        let now = self.vault.now();
        Ok(found
            .filter(|found| found.state_at(now).is_under_way())
            .map(|found| RecoveryNotice { state: found.state_at(now), opens_at: found.opens_at() }))
    }
}
