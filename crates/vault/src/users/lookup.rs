//! Somebody who may manage users finds one by the id that the SaaS product has for them.

use strongroom_model::{Action, AuditObject, ExternalId, UserId};

use crate::index::Index;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::users::list::{UserView, show};
use crate::{Answer, TenantCtx, Vault, VaultError};

/// Shows the user with this external id.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_users` for anybody but oneself; [`VaultError::NotFound`].
pub async fn look_up(
    vault: &Vault,
    ctx: &TenantCtx,
    external_id: &ExternalId,
) -> Result<Answer<Versioned<UserView>>, VaultError> {
    match find(vault, ctx, external_id).await? {
        Some(user) => show(vault, ctx, user).await,
        None => attempt(|| absent(vault, ctx)).await,
    }
}

/// The user with this external id, whoever asks: what may be done with them is decided afterwards.
pub(crate) async fn find(
    vault: &Vault,
    ctx: &TenantCtx,
    external_id: &ExternalId,
) -> Result<Option<UserId>, VaultError> {
    let index = Index::of_users(ctx.tenant());
    let found =
        attempt(|| async { Snapshot::new(vault).find(index, external_id.as_str()).await }).await?;
    Ok(found.map(|hit| UserId::from_bytes(*hit.record.as_bytes())))
}

/// Whoever may not manage users gets the same refusal for a user who is not there as for another one.
async fn absent<T>(vault: &Vault, ctx: &TenantCtx) -> Result<Answer<T>, VaultError> {
    let object = AuditObject::Tenant(ctx.tenant());
    let (snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageUsers, "user.read", object)
        .await?;
    let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
    let error = Box::new(VaultError::NotFound);
    Err(VaultError::OnRecord { error, lines: committed.places().to_vec() })
}
