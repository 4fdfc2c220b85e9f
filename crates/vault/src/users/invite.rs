//! Somebody who may manage users invites one.

use strongroom_keyring::{Half, Service};
use strongroom_model::{
    Action, AuditEvent, AuditObject, ClassId, ClassName, Email, ExternalId, Invitation,
    InvitationId, Label, ManagedBy, RecordId, SubjectId, TenantId, User, UserId, UserState,
};
use strongroom_storage::Batch;

use crate::idempotency::Before;
use crate::index::{Additions, Hit, Index};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::users::UserView;
use crate::{
    Answer, Idempotency, Secret, TenantCtx, Token, TokenKind, Vault, VaultError, keyspace,
};

/// How long an invitation can be redeemed.
pub(crate) const INVITATION_SECONDS: i64 = 72 * 60 * 60;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct InviteUser {
    /// Their name.
    pub name: Label,
    /// Their e-mail address, which no other user of the tenant has.
    pub email: Option<Email>,
    /// The id that the SaaS product has for them.
    pub external_id: Option<ExternalId>,
    /// The classes they are to have.
    pub classes: Vec<ClassName>,
    /// By whom they are looked after: then they need no invitation, and have an external id.
    pub managed_by: Option<ManagedBy>,
    /// So that a repeated request makes one user.
    pub idempotency: Option<Idempotency>,
}

/// A user who was invited.
#[derive(Debug)]
pub struct InvitedUser {
    /// The user.
    pub user: Versioned<UserView>,
    /// The invitation, shown once; none for a user who is looked after.
    pub invitation: Option<Secret>,
}

/// Invites a user. One who is looked after by a backend is there at once.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_users` or for classes that the caller may not assign;
/// `email_taken` and `external_id_taken` for what another user has.
pub async fn invite(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: InviteUser,
) -> Result<Answer<InvitedUser>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &InviteUser,
) -> Result<Answer<InvitedUser>, VaultError> {
    let tenant = ctx.tenant();
    let object = AuditObject::Tenant(tenant);
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageUsers, "user.invite", object)
        .await?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(id) if wanted.managed_by.is_some() => {
            return snapshot.made_before(ctx, allowed.event, UserId::from_bytes(id)).await;
        }
        Before::Made(_) => return Err(VaultError::SecretAlreadyShown),
    };
    if wanted.managed_by.is_some() && ctx.is_provider() {
        return Err(VaultError::invalid(
            "/managed_by",
            "people of the provider sign in themselves",
        ));
    }
    if wanted.managed_by.is_some() && wanted.external_id.is_none() {
        return Err(VaultError::invalid(
            "/external_id",
            "a user whom a backend looks after has an external id",
        ));
    }
    let classes = snapshot.classes_named(tenant, &wanted.classes).await?;
    let held = allowed.who.held();
    for (place, class) in classes.iter().enumerate() {
        if !held.may_administer(&class.name, &class.terms) {
            return Err(VaultError::invalid(
                format!("/classes/{place}"),
                "a class that you may not assign",
            ));
        }
    }
    let new = NewUser {
        name: wanted.name.clone(),
        email: wanted.email.clone(),
        external_id: wanted.external_id.clone(),
        classes: classes.iter().map(|class| class.id).collect(),
        managed_by: wanted.managed_by,
    };

    let mut batch = Batch::new();
    let id = UserId::new(vault.now(), &*vault.rng)?;
    claim(&mut snapshot, &mut batch, tenant, id, &new).await?;
    snapshot.expect_in(&mut batch);
    let made_by = allowed.who.in_person(ctx);
    let (user, invitation) =
        plant_as(vault, &mut batch, tenant, id, new, made_by, INVITATION_SECONDS).await?;
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let names = classes.iter().map(|class| class.name.clone()).collect();
    let user = Versioned { version: 1, value: UserView { user, classes: names } };
    Ok(Answer { value: InvitedUser { user, invitation }, lines: committed.places().to_vec() })
}

impl Snapshot<'_> {
    /// The user whom an earlier request of the same key has made.
    async fn made_before(
        mut self,
        ctx: &TenantCtx,
        event: AuditEvent,
        user: UserId,
    ) -> Result<Answer<InvitedUser>, VaultError> {
        let found = self.load::<User>(&keyspace::user(ctx.tenant(), user)).await?;
        let found = found.ok_or(VaultError::NotFound)?;
        let user = self.view(ctx.tenant(), &found).await?;
        let committed = self.vault.put_on_record(ctx, self, event).await?;
        let value = InvitedUser { user, invitation: None };
        Ok(Answer { value, lines: committed.places().to_vec() })
    }
}

/// Takes the e-mail address and external id of a new user, which nobody else in the tenant has.
async fn claim(
    snapshot: &mut Snapshot<'_>,
    batch: &mut Batch,
    tenant: TenantId,
    user: UserId,
    new: &NewUser,
) -> Result<(), VaultError> {
    let unique = [
        (Index::of_emails(tenant), new.email.as_ref().map(Email::as_str), "email_taken"),
        (
            Index::of_users(tenant),
            new.external_id.as_ref().map(ExternalId::as_str),
            "external_id_taken",
        ),
    ];
    let hit = Hit {
        subject: SubjectId::from_bytes([0; 16]),
        record: RecordId::from_bytes(*user.as_bytes()),
    };
    for (index, value, code) in unique {
        let Some(value) = value else { continue };
        snapshot.make_room(index, &[value]).await?;
        let mut addition = Additions::new(index);
        if !addition.add(snapshot, batch, value, hit).await? {
            return Err(VaultError::wrong_state(code, "another user of the tenant has it"));
        }
        let _grown = addition.finish(snapshot.vault, batch).await?;
    }
    Ok(())
}

/// A user who is about to be written.
pub(crate) struct NewUser {
    pub(crate) name: Label,
    pub(crate) email: Option<Email>,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) classes: Vec<ClassId>,
    pub(crate) managed_by: Option<ManagedBy>,
}

/// Writes a new tenant's first user and an invitation for them.
pub(crate) async fn plant(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    new: NewUser,
    seconds: i64,
) -> Result<(User, Secret), VaultError> {
    let id = UserId::new(vault.now(), &*vault.rng)?;
    let mut snapshot = Snapshot::new(vault);
    // An index is planted in a commit of its own; what was read before it is read again.
    match claim(&mut snapshot, batch, tenant, id, &new).await {
        Err(VaultError::Conflict) => {
            snapshot = Snapshot::new(vault);
            claim(&mut snapshot, batch, tenant, id, &new).await?;
        }
        claimed => claimed?,
    }
    snapshot.expect_in(batch);
    let (user, invitation) = plant_as(vault, batch, tenant, id, new, None, seconds).await?;
    let invitation =
        invitation.ok_or_else(|| VaultError::Internal("a first user who is not invited".into()))?;
    Ok((user, invitation))
}

async fn plant_as(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    id: UserId,
    new: NewUser,
    made_by: Option<UserId>,
    seconds: i64,
) -> Result<(User, Option<Secret>), VaultError> {
    let slots = vault.keyring.take_slots(tenant, Half::Account, 1).await?;
    let slot = slots.first().copied().ok_or_else(crate::rows::damaged)?;
    let leaf = OwnerLeaf::user(id, slot);
    let user = User {
        id,
        name: new.name,
        email: new.email,
        external_id: new.external_id,
        classes: new.classes,
        state: match new.managed_by {
            None => UserState::Invited,
            Some(ManagedBy::Backend) => UserState::Active,
        },
        created_at: vault.now(),
        managed_by: new.managed_by,
        let_in_at: None,
    };
    let key = keyspace::user(tenant, id);
    let value = vault.seal_row(&key, leaf, 1, &user).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    let invitation = match user.managed_by {
        None => {
            let of = InvitationOf { tenant, user: id, leaf, made_by };
            Some(plant_invitation(vault, batch, of, seconds).await?)
        }
        Some(ManagedBy::Backend) => None,
    };
    Ok((user, invitation))
}

/// Whose an invitation is that is about to be written.
pub(crate) struct InvitationOf {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    /// The leaf of the user.
    pub(crate) leaf: OwnerLeaf,
    /// The user of the same tenant who makes it, signed in.
    pub(crate) made_by: Option<UserId>,
}

/// Writes an invitation for a user, sealed under the user's own key.
pub(crate) async fn plant_invitation(
    vault: &Vault,
    batch: &mut Batch,
    of: InvitationOf,
    seconds: i64,
) -> Result<Secret, VaultError> {
    let InvitationOf { tenant, user, leaf, made_by } = of;
    let id = InvitationId::new(vault.now(), &*vault.rng)?;
    let until = vault.now().plus_seconds(seconds);
    let token = Token::new(TokenKind::Invitation, tenant, *id.as_bytes(), &*vault.rng)?;
    let credentials = vault.keyring.service(tenant, Half::Account, Service::Credentials).await?;
    let secret_hash = token.hash(&credentials);
    let invitation = Invitation { id, user, until, secret_hash, made_by };
    let key = keyspace::invitation(tenant, id);
    let value = vault.seal_row(&key, leaf, 1, &invitation).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(Secret { token: token.reveal(), expires_at: until })
}
