//! An operator asks for the recovery of a tenant's owner.

use strongroom_access_policy::{AccessRequest, may_ask};
use strongroom_model::{
    Action, AuditEvent, AuditObject, Label, Recovery, TenantId, User, UserId, UserState,
};
use strongroom_storage::Batch;

use crate::idempotency::Before;
use crate::recovery::{RecoveryView, can_be_stopped, own_line};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct StartRecovery {
    /// The tenant.
    pub tenant: TenantId,
    /// Why; the tenant reads it.
    pub reason: Label,
    /// So that a repeated request asks once.
    pub idempotency: Option<Idempotency>,
}

/// Asks for a recovery. Nothing happens before another operator has approved it.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator in person; [`VaultError::NotFound`];
/// `recovery_under_way`; `operator_too_new`; `wrong_state` for a tenant whose people cannot sign in.
pub async fn start(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: StartRecovery,
) -> Result<Answer<Versioned<RecoveryView>>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &StartRecovery,
) -> Result<Answer<Versioned<RecoveryView>>, VaultError> {
    let (tenant, now) = (wanted.tenant, vault.now());
    let request = AccessRequest { in_person: true, ..AccessRequest::new(Action::ManageTenants) };
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) =
        vault.administer_as(ctx, Snapshot::new(vault), request, "recovery.start", object).await?;
    let found = snapshot.named_tenant(ctx, tenant).await?.ok_or(VaultError::NotFound)?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(_) => {
            let last = snapshot.recovery(tenant).await?.ok_or(VaultError::NotFound)?;
            let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
            let value = RecoveryView::of(&last, last.version, now);
            return Ok(Answer { value, lines: committed.places().to_vec() });
        }
    };
    can_be_stopped(found.state)?;
    let last = snapshot.recovery(tenant).await?;
    if last.as_ref().is_some_and(|last| last.state_at(now).is_under_way()) {
        return Err(VaultError::wrong_state(
            "recovery_under_way",
            "a recovery of the tenant's owner is under way",
        ));
    }

    let asking = snapshot.operator(&allowed.who).await?;
    if let Err(wrong) = may_ask(&asking, now) {
        return snapshot.wrong_operator(ctx, allowed.event, wrong).await;
    }
    // Whom an earlier recovery invited, and who never came, may be invited by this one.
    let left = match last.as_ref().and_then(|last| last.user) {
        Some(user) => snapshot.load::<User>(&keyspace::user(tenant, user)).await?,
        None => None,
    };
    let left = left.filter(|user| user.state == UserState::Invited);

    let row = Recovery::requested(wanted.reason.clone(), asking.id, now);
    let version = last.map_or(0, |last| last.version) + 1;
    let mut batch = Batch::new();
    if let Some(user) = &left {
        snapshot.take_back(&mut batch, tenant, user).await?;
    }
    snapshot.expect_in(&mut batch);
    vault.put_recovery(&mut batch, tenant, version, &row).await?;
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, ctx.tenant(), OwnerLeaf::NOBODY, *tenant.as_bytes()).await?;
    }
    vault.in_both_logs(&mut batch, ctx, tenant, allowed.event.clone()).await?;
    if let Some(user) = left {
        let object = AuditObject::Other(UserId::PREFIX, *user.id.as_bytes());
        let event = AuditEvent { code: "recovery.expire", object, ..allowed.event };
        batch.line(vault.line(tenant, Some(ctx), event).await?);
    }
    let committed = vault.store.commit(batch).await?;
    let value = RecoveryView::of(&row, version, now);
    Ok(Answer { value, lines: own_line(&committed) })
}
