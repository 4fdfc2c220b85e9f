//! Somebody who may manage users looks at them; everybody may look at themselves.

use strongroom_model::{Action, AuditObject, ClassName, TenantId, User, UserId};
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::{Loaded, Snapshot, Versioned, attempt};
use crate::trail::Attempted;
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// A user, and the names of their classes.
#[derive(Debug, Clone)]
pub struct UserView {
    /// The user.
    pub user: User,
    /// The names of their classes.
    pub classes: Vec<ClassName>,
}

/// Lists the tenant's users in the order of their ids.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_users`.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Versioned<UserView>>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Tenant(ctx.tenant());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageUsers, "user.list", object)
            .await?;
        let (keys, next) = vault.page_of_keys(ctx, ctx.tenant(), RowKind::User, &page).await?;
        let mut items = Vec::new();
        for user in snapshot.load_many::<User>(&keys).await?.into_iter().flatten() {
            items.push(snapshot.view(ctx.tenant(), &user).await?);
        }
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows a user.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_users` for anybody but oneself; [`VaultError::NotFound`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    user: UserId,
) -> Result<Answer<Versioned<UserView>>, VaultError> {
    attempt(|| async {
        let object = AuditObject::Other(UserId::PREFIX, *user.as_bytes());
        let mut snapshot = Snapshot::new(vault);
        let who = snapshot.who(ctx).await?;
        let event = if who.user == Some(user) && who.acting_for.is_none() {
            Attempted {
                principal: who.principal,
                action: Action::ManageUsers,
                code: "user.read",
                object,
            }
            .done()
        } else {
            let (decided, allowed) =
                vault.administer(ctx, snapshot, Action::ManageUsers, "user.read", object).await?;
            snapshot = decided;
            allowed.event
        };
        let found = snapshot.load::<User>(&keyspace::user(ctx.tenant(), user)).await?;
        let view = match &found {
            Some(found) => Some(snapshot.view(ctx.tenant(), found).await?),
            None => None,
        };
        let committed = vault.put_on_record(ctx, snapshot, event).await?;
        let value = view.ok_or(VaultError::NotFound)?;
        Ok(Answer { value, lines: committed.places().to_vec() })
    })
    .await
}

impl Snapshot<'_> {
    /// A user with the names of their classes.
    pub(crate) async fn view(
        &mut self,
        tenant: TenantId,
        user: &Loaded<User>,
    ) -> Result<Versioned<UserView>, VaultError> {
        let keys: Vec<_> =
            user.classes.iter().map(|class| keyspace::class(tenant, *class)).collect();
        let classes = self.load_many::<strongroom_model::PermissionClass>(&keys).await?;
        let classes = classes.into_iter().flatten().map(|class| class.name.clone()).collect();
        Ok(Versioned {
            version: user.version,
            value: UserView { user: (*user.value).clone(), classes },
        })
    }
}
