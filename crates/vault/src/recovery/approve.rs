//! Another operator approves a recovery: the wait begins.

use strongroom_access_policy::{AccessRequest, may_approve};
use strongroom_model::{Action, AuditObject, Recovery, TenantId};

use crate::recovery::{RecoveryView, can_be_stopped, own_line};
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Expected, TenantCtx, Vault, VaultError};

/// Approves the recovery that the caller has seen, in the version that they name.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator in person; [`VaultError::NotFound`];
/// `another_operator_needed` for the one who asked; `operator_too_new`; `operator_gone`; `wrong_state` unless it is asked for;
/// [`VaultError::VersionRequired`] and [`VaultError::VersionStale`].
pub async fn approve(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
    expected: Expected,
) -> Result<Answer<Versioned<RecoveryView>>, VaultError> {
    attempt(|| once(vault, ctx, tenant, expected)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
    expected: Expected,
) -> Result<Answer<Versioned<RecoveryView>>, VaultError> {
    let now = vault.now();
    let request = AccessRequest { in_person: true, ..AccessRequest::new(Action::ManageTenants) };
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) =
        vault.administer_as(ctx, Snapshot::new(vault), request, "recovery.approve", object).await?;
    let of = snapshot.named_tenant(ctx, tenant).await?.ok_or(VaultError::NotFound)?;
    let found = snapshot.recovery(tenant).await?.ok_or(VaultError::NotFound)?;
    expected.check(found.version)?;
    let state = found.state_at(now).approve()?;
    can_be_stopped(of.state)?;
    let approver = snapshot.operator(&allowed.who).await?;
    if let Err(wrong) = may_approve(&found, &approver, now) {
        return snapshot.wrong_operator(ctx, allowed.event, wrong).await;
    }
    snapshot.stand_for_it(&[found.requested_by]).await?;

    let row = Recovery {
        state,
        approved_by: Some(approver.id),
        approved_at: Some(now),
        ..(*found.value).clone()
    };
    let version = found.version + 1;
    let mut batch = snapshot.into_batch();
    vault.put_recovery(&mut batch, tenant, version, &row).await?;
    vault.in_both_logs(&mut batch, ctx, tenant, allowed.event).await?;
    let committed = vault.store.commit(batch).await?;
    let value = RecoveryView::of(&row, version, now);
    Ok(Answer { value, lines: own_line(&committed) })
}
