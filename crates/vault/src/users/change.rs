//! Somebody who may manage users changes one, or invites one again.

use strongroom_access_policy::keeps_an_owner;
use strongroom_model::{
    Action, AuditObject, ClassId, ClassName, Label, PermissionClass, User, UserId, UserState,
};
use strongroom_storage::KeyRange;
use strongroom_storage::keyspace::RowKind;

use crate::classes::ClassList;
use crate::listing::Expected;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::users::{INVITATION_SECONDS, InvitationOf, UserView, plant_invitation};
use crate::{Answer, Secret, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted; what is absent stays.
#[derive(Debug, Clone)]
pub struct ChangeUser {
    /// The user.
    pub user: UserId,
    /// The version that the change is made against.
    pub expected: Expected,
    /// Their name.
    pub name: Option<Label>,
    /// Their classes.
    pub classes: Option<Vec<ClassName>>,
    /// Where they stand: active, suspended or removed.
    pub state: Option<UserState>,
}

/// Changes a user. What takes rights away is acknowledged when no request that was let in before
/// can use them any more.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_users`; `last_owner` for a change that would leave the
/// tenant without an owner who can sign in; [`VaultError::VersionStale`].
pub async fn change(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ChangeUser,
) -> Result<Answer<Versioned<UserView>>, VaultError> {
    let answer = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.admission.drain().await;
    Ok(answer)
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ChangeUser,
) -> Result<Answer<Versioned<UserView>>, VaultError> {
    let tenant = ctx.tenant();
    let object = AuditObject::Other(UserId::PREFIX, *wanted.user.as_bytes());
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageUsers, "user.change", object)
        .await?;
    let key = keyspace::user(tenant, wanted.user);
    let found = snapshot.load::<User>(&key).await?.ok_or(VaultError::NotFound)?;
    wanted.expected.check(found.version)?;

    let held = allowed.who.held();
    let mut user = (*found.value).clone();
    let before = snapshot.classes_of(tenant, &user.classes).await?;
    if before.iter().any(|class| !held.may_administer(&class.name, &class.terms))
        && allowed.who.user != Some(wanted.user)
    {
        return Err(VaultError::wrong_state(
            "not_yours_to_change",
            "the user holds a class that you may not assign",
        ));
    }
    if let Some(name) = &wanted.name {
        user.name = name.clone();
    }
    if let Some(names) = &wanted.classes {
        let classes = snapshot.classes_named(tenant, names).await?;
        for (place, class) in classes.iter().enumerate() {
            if !held.may_administer(&class.name, &class.terms) {
                return Err(VaultError::invalid(
                    format!("/classes/{place}"),
                    "a class that you may not assign",
                ));
            }
        }
        user.classes = classes.iter().map(|class| class.id).collect();
    }
    if let Some(state) = wanted.state {
        user.state = moved(user.state, state)?;
    }
    let is_resumed = user.state == UserState::Active && found.state == UserState::Suspended;
    if ctx.is_provider() && (is_resumed || user.classes != found.classes) {
        user.let_in_at = Some(vault.now());
    }
    if !snapshot.keeps_an_owner(ctx, &found.value, &user).await? {
        return Err(VaultError::wrong_state(
            "last_owner",
            "the tenant must keep an owner who can sign in",
        ));
    }

    let mut batch = snapshot.into_batch();
    let value = vault.seal_row(&key, found.leaf, found.version + 1, &user).await?;
    batch.put(key, found.version + 1, value);
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let mut after = Snapshot::new(vault);
    let classes = after
        .classes_of(tenant, &user.classes)
        .await?
        .into_iter()
        .map(|class| class.name)
        .collect();
    let value = Versioned { version: found.version + 1, value: UserView { user, classes } };
    Ok(Answer { value, lines: committed.places().to_vec() })
}

fn moved(from: UserState, to: UserState) -> Result<UserState, VaultError> {
    if from == to {
        return Ok(to);
    }
    Ok(match to {
        UserState::Active => from.resume()?,
        UserState::Suspended => from.suspend()?,
        UserState::Removed => from.remove()?,
        UserState::Invited => {
            return Err(VaultError::invalid("/state", "nobody becomes invited again"));
        }
    })
}

/// Invites a user again: a new one-time link, for one who has lost their session or never came.
///
/// # Errors
/// As for [`change`].
pub async fn invite_again(
    vault: &Vault,
    ctx: &TenantCtx,
    user: UserId,
) -> Result<Answer<Secret>, VaultError> {
    attempt(|| async {
        let tenant = ctx.tenant();
        let object = AuditObject::Other(UserId::PREFIX, *user.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ManageUsers, "user.invite_again", object)
            .await?;
        let found = snapshot
            .load::<User>(&keyspace::user(tenant, user))
            .await?
            .ok_or(VaultError::NotFound)?;
        let held = allowed.who.held();
        let classes = snapshot.classes_of(tenant, &found.classes).await?;
        // Whoever can redeem the link becomes this user, so the link takes what assigning takes.
        if classes.iter().any(|class| !held.may_administer(&class.name, &class.terms)) {
            return Err(VaultError::wrong_state(
                "not_yours_to_change",
                "the user holds a class that you may not assign",
            ));
        }
        if found.managed_by.is_some() {
            return Err(VaultError::wrong_state(
                "managed_by_backend",
                "the user is looked after by a backend and does not sign in",
            ));
        }
        match found.state {
            UserState::Invited | UserState::Active => {}
            UserState::Suspended | UserState::Removed => {
                return Err(VaultError::wrong_state(
                    "wrong_state",
                    "the user is suspended or removed",
                ));
            }
        }
        let mut batch = snapshot.into_batch();
        let made_by = allowed.who.in_person(ctx);
        let of = InvitationOf { tenant, user, leaf: found.leaf, made_by };
        let invitation = plant_invitation(vault, &mut batch, of, INVITATION_SECONDS).await?;
        batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok(Answer { value: invitation, lines: committed.places().to_vec() })
    })
    .await
}

/// Users of a tenant are counted for owners up to here.
const USERS_MAX: usize = strongroom_storage::PAGE_MAX;

impl Snapshot<'_> {
    /// The classes with these ids.
    pub(crate) async fn classes_of(
        &mut self,
        tenant: strongroom_model::TenantId,
        ids: &[ClassId],
    ) -> Result<Vec<PermissionClass>, VaultError> {
        let keys: Vec<_> = ids.iter().map(|class| keyspace::class(tenant, *class)).collect();
        let found = self.load_many::<PermissionClass>(&keys).await?;
        Ok(found.into_iter().flatten().map(|class| (*class.value).clone()).collect())
    }

    /// Whether the tenant keeps an owner who can sign in when this user is changed so.
    async fn keeps_an_owner(
        &mut self,
        ctx: &TenantCtx,
        before: &User,
        after: &User,
    ) -> Result<bool, VaultError> {
        let classes = self.load::<ClassList>(&keyspace::class_list(ctx.tenant())).await?;
        let ids: Vec<ClassId> =
            classes.iter().flat_map(|list| list.classes.iter().map(|(_, id)| *id)).collect();
        let all = self.classes_of(ctx.tenant(), &ids).await?;
        let owning: Vec<ClassId> =
            all.iter().filter(|class| class.owns(ctx)).map(|class| class.id).collect();
        let was_owner = before.classes.iter().any(|class| owning.contains(class));
        if !was_owner || keeps_an_owner([after], &owning) {
            return Ok(true);
        }
        let rows = self
            .vault
            .store
            .scan(&KeyRange::prefix_of(ctx.tenant(), RowKind::User), USERS_MAX)
            .await?;
        let keys: Vec<_> = rows.into_iter().map(|(key, _)| key).collect();
        let users = self.load_many::<User>(&keys).await?;
        let others =
            users.iter().flatten().map(|user| &*user.value).filter(|user| user.id != after.id);
        Ok(keeps_an_owner(others, &owning))
    }
}

trait Owns {
    fn owns(&self, ctx: &TenantCtx) -> bool;
}

impl Owns for PermissionClass {
    /// Whether it is an owner class; the provider's is the one that manages its users.
    fn owns(&self, ctx: &TenantCtx) -> bool {
        self.terms.owner
            || (ctx.is_provider() && self.terms.administrative.contains(&Action::ManageUsers))
    }
}
