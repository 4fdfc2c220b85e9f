//! After the wait one of the two operators makes the one invitation for the tenant's new owner.

use strongroom_access_policy::{AccessRequest, may_invite_owner};
use strongroom_model::{
    Action, AuditObject, ClassId, PermissionClass, Recovery, TenantId, Timestamp,
};

use crate::classes::ClassList;
use crate::idempotency::Before;
use crate::recovery::{RecoveryView, can_be_stopped, own_line};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::tenants::Owner;
use crate::users::{INVITATION_SECONDS, NewUser};
use crate::{Answer, Idempotency, Secret, TenantCtx, Vault, VaultError, keyspace, users};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct RedeemRecovery {
    /// The tenant.
    pub tenant: TenantId,
    /// Who is to be its new owner.
    pub owner: Owner,
    /// So that a repeated request invites once.
    pub idempotency: Option<Idempotency>,
}

/// A recovery whose new owner is invited.
#[derive(Debug)]
pub struct RedeemedRecovery {
    /// The recovery.
    pub recovery: Versioned<RecoveryView>,
    /// The new owner's invitation, shown once.
    pub invitation: Secret,
}

/// Invites the new owner. Those whom the tenant has keep what they have.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator in person; [`VaultError::NotFound`]; `wrong_state`
/// unless the wait is over; `another_operator_needed` for an operator who stands not for it;
/// `operator_too_new`; `operator_gone`; `email_taken`; [`VaultError::SecretAlreadyShown`].
pub async fn redeem(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: RedeemRecovery,
) -> Result<Answer<RedeemedRecovery>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &RedeemRecovery,
) -> Result<Answer<RedeemedRecovery>, VaultError> {
    let (tenant, now) = (wanted.tenant, vault.now());
    let request = AccessRequest { in_person: true, ..AccessRequest::new(Action::ManageTenants) };
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) =
        vault.administer_as(ctx, Snapshot::new(vault), request, "recovery.redeem", object).await?;
    let of = snapshot.named_tenant(ctx, tenant).await?.ok_or(VaultError::NotFound)?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(_) => return Err(VaultError::SecretAlreadyShown),
    };
    let found = snapshot.recovery(tenant).await?.ok_or(VaultError::NotFound)?;
    let state = found.state_at(now).invite()?;
    can_be_stopped(of.state)?;
    let inviter = snapshot.operator(&allowed.who).await?;
    if let Err(wrong) = may_invite_owner(&found, &inviter, now) {
        return snapshot.wrong_operator(ctx, allowed.event, wrong).await;
    }
    let standing: Vec<_> =
        [Some(found.requested_by), found.approved_by].into_iter().flatten().collect();
    snapshot.stand_for_it(&standing).await?;
    let owner = snapshot.owner_class(tenant).await?;

    let new = NewUser {
        name: wanted.owner.name.clone(),
        email: wanted.owner.email.clone(),
        external_id: None,
        classes: vec![owner],
        managed_by: None,
    };
    let mut batch = snapshot.into_batch();
    let seconds = seconds_left(&found, now);
    let (user, invitation) = users::plant(vault, &mut batch, tenant, new, seconds).await?;
    let row = Recovery {
        state,
        invited_by: Some(inviter.id),
        user: Some(user.id),
        invitation_ends_at: Some(invitation.expires_at),
        ..(*found.value).clone()
    };
    let version = found.version + 1;
    vault.put_recovery(&mut batch, tenant, version, &row).await?;
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, ctx.tenant(), OwnerLeaf::NOBODY, *user.id.as_bytes()).await?;
    }
    vault.in_both_logs(&mut batch, ctx, tenant, allowed.event).await?;
    let committed = vault.store.commit(batch).await?;
    let recovery = RecoveryView::of(&row, version, now);
    Ok(Answer { value: RedeemedRecovery { recovery, invitation }, lines: own_line(&committed) })
}

/// How long the invitation can be redeemed: as long as others, and never beyond the recovery's end.
fn seconds_left(recovery: &Recovery, now: Timestamp) -> i64 {
    let ends = recovery.ends_at().unwrap_or(now);
    let left = ends.as_micros().saturating_sub(now.as_micros()) / 1_000_000;
    left.clamp(0, INVITATION_SECONDS)
}

impl Snapshot<'_> {
    /// The tenant's owner class. Every tenant has one that stays as it is.
    pub(crate) async fn owner_class(&mut self, tenant: TenantId) -> Result<ClassId, VaultError> {
        let list = self.load::<ClassList>(&keyspace::class_list(tenant)).await?;
        let ids: Vec<ClassId> =
            list.iter().flat_map(|list| list.classes.iter().map(|(_, id)| *id)).collect();
        let classes: Vec<PermissionClass> = self.classes_of(tenant, &ids).await?;
        let owner = classes.iter().find(|class| class.terms.owner).map(|class| class.id);
        owner.ok_or_else(|| VaultError::Damaged("a tenant without an owner class".into()))
    }
}
