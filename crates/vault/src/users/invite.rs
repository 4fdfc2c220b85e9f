//! Somebody who may manage users invites one.

use strongroom_access_policy::may_administer;
use strongroom_keyring::{Half, Service};
use strongroom_model::{
    Action, AuditObject, ClassId, ClassName, Email, ExternalId, Invitation, InvitationId, Label,
    RecordId, SubjectId, TenantId, User, UserId, UserState,
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
    /// So that a repeated request makes one user.
    pub idempotency: Option<Idempotency>,
}

/// A user who was invited.
#[derive(Debug)]
pub struct InvitedUser {
    /// The user.
    pub user: Versioned<UserView>,
    /// The invitation, shown once.
    pub invitation: Secret,
}

/// Invites a user.
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
        Before::Made(_) => return Err(VaultError::SecretAlreadyShown),
    };
    let classes = snapshot.classes_named(tenant, &wanted.classes).await?;
    let held = allowed.who.held();
    for (place, class) in classes.iter().enumerate() {
        if !may_administer(&held, &class.name, &class.terms) {
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
    };

    let mut batch = Batch::new();
    let id = UserId::new(vault.now(), &*vault.rng)?;
    claim(&mut snapshot, &mut batch, tenant, id, &new).await?;
    snapshot.expect_in(&mut batch);
    let (user, invitation) =
        plant_as(vault, &mut batch, tenant, id, new, INVITATION_SECONDS).await?;
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, *id.as_bytes()).await?;
    }
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let names = classes.iter().map(|class| class.name.clone()).collect();
    let user = Versioned { version: 1, value: UserView { user, classes: names } };
    Ok(Answer { value: InvitedUser { user, invitation }, lines: committed.places().to_vec() })
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
        addition.finish(snapshot.vault, batch).await?;
    }
    Ok(())
}

/// A user who is about to be written.
pub(crate) struct NewUser {
    pub(crate) name: Label,
    pub(crate) email: Option<Email>,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) classes: Vec<ClassId>,
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
    plant_as(vault, batch, tenant, id, new, seconds).await
}

async fn plant_as(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    id: UserId,
    new: NewUser,
    seconds: i64,
) -> Result<(User, Secret), VaultError> {
    let slots = vault.keyring.take_slots(tenant, Half::Account, 1).await?;
    let slot = slots.first().copied().ok_or_else(crate::rows::damaged)?;
    let leaf = OwnerLeaf::user(id, slot);
    let user = User {
        id,
        name: new.name,
        email: new.email,
        external_id: new.external_id,
        classes: new.classes,
        state: UserState::Invited,
        created_at: vault.now(),
    };
    let key = keyspace::user(tenant, id);
    let value = vault.seal_row(&key, leaf, 1, &user).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    let invitation = plant_invitation(vault, batch, tenant, id, leaf, seconds).await?;
    Ok((user, invitation))
}

/// Writes an invitation for a user, sealed under the user's own key.
pub(crate) async fn plant_invitation(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    user: UserId,
    leaf: OwnerLeaf,
    seconds: i64,
) -> Result<Secret, VaultError> {
    let id = InvitationId::new(vault.now(), &*vault.rng)?;
    let until = vault.now().plus_seconds(seconds);
    let token = Token::new(TokenKind::Invitation, tenant, *id.as_bytes(), &*vault.rng)?;
    let credentials = vault.keyring.service(tenant, Half::Account, Service::Credentials).await?;
    let invitation = Invitation { id, user, until, secret_hash: token.hash(&credentials) };
    let key = keyspace::invitation(tenant, id);
    let value = vault.seal_row(&key, leaf, 1, &invitation).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(Secret { token: token.reveal(), expires_at: until })
}
