//! An operator invites the first owner of a tenant again, where nobody has come in yet.

use strongroom_model::{
    Action, AuditObject, Invitation, TenantId, TenantState, User, UserState, WrongState,
};
use strongroom_storage::KeyRange;
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::users::{INVITATION_SECONDS, InvitationOf, plant_invitation};
use crate::{Answer, Secret, TenantCtx, Vault, VaultError};

/// A tenant into which nobody has come has at most so many users and invitations that are looked at.
const LOOKED_AT_MAX: usize = strongroom_storage::PAGE_MAX;

/// Makes a new invitation for the owner of a tenant into which nobody has come. The old one ends.
///
/// # Errors
/// [`VaultError::Refused`] for whoever is no operator; [`VaultError::NotFound`]; `wrong_state` for a
/// tenant whose owner has come in.
pub async fn invite_owner(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
) -> Result<Answer<Secret>, VaultError> {
    attempt(|| once(vault, ctx, tenant)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    tenant: TenantId,
) -> Result<Answer<Secret>, VaultError> {
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageTenants, "tenant.invite_owner", object)
        .await?;
    let found = snapshot.named_tenant(ctx, tenant).await?.ok_or(VaultError::NotFound)?;
    match found.state {
        TenantState::Invited => {}
        state @ (TenantState::Active
        | TenantState::Suspended
        | TenantState::Terminating
        | TenantState::Frozen
        | TenantState::Erased) => return Err(WrongState(state.name()).into()),
    }
    let class = snapshot.owner_class(tenant).await?;
    let users = snapshot.rows_of::<User>(tenant, RowKind::User).await?;
    let owner = users.into_iter().map(|(_, user)| user).find(|user| {
        user.state == UserState::Invited
            && user.managed_by.is_none()
            && user.classes.contains(&class)
    });
    let owner = owner.ok_or(VaultError::NotFound)?;
    let old = snapshot.rows_of::<Invitation>(tenant, RowKind::Invitation).await?;

    let mut batch = snapshot.into_batch();
    for (key, invitation) in old {
        if invitation.user == owner.id {
            batch.delete(key);
        }
    }
    let of = InvitationOf { tenant, user: owner.id, leaf: owner.leaf, made_by: None };
    let invitation = plant_invitation(vault, &mut batch, of, INVITATION_SECONDS).await?;
    batch.line(vault.line(ctx.tenant(), Some(ctx), allowed.event.clone()).await?);
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let lines = committed.places().iter().take(1).copied().collect();
    Ok(Answer { value: invitation, lines })
}

impl Snapshot<'_> {
    /// The tenant's rows of a kind, with their keys.
    async fn rows_of<T>(
        &mut self,
        tenant: TenantId,
        kind: RowKind,
    ) -> Result<Vec<(strongroom_storage::RowKey, Loaded<T>)>, VaultError>
    where
        T: for<'b> minicbor::Decode<'b, ()> + std::any::Any + Send + Sync,
    {
        let range = KeyRange::prefix_of(tenant, kind);
        let rows = self.vault.store.scan(&range, LOOKED_AT_MAX).await?;
        let keys: Vec<_> = rows.into_iter().map(|(key, _)| key).collect();
        let found = self.load_many::<T>(&keys).await?;
        Ok(keys.into_iter().zip(found).filter_map(|(key, row)| Some((key, row?))).collect())
    }
}
