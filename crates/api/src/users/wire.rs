//! Users as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{
    ClassName, Email, ExternalId, Label, ManagedBy, Timestamp, UserId, UserState,
};
use strongroom_vault::{Expected, Versioned, users};
use utoipa::ToSchema;

use crate::extract::{FromBody, Sent};
use crate::reply::SecretShown;

/// A user who is to be invited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// Their name.
    #[schema(example = "Carl Clerk")]
    name: Label,
    /// Their e-mail address, which no other user of the tenant has.
    #[serde(default)]
    email: Option<Email>,
    /// The id that the SaaS product has for them.
    #[serde(default)]
    external_id: Option<ExternalId>,
    /// The permission classes they are to have, by name.
    #[schema(example = json!(["clerk"]))]
    classes: Vec<ClassName>,
    /// `backend`: they do not sign in, a backend acts for them. Then they need an external id and get
    /// no invitation.
    #[serde(default)]
    managed_by: Option<ManagedBy>,
}

impl FromBody for NewUser {}

impl From<Sent<NewUser>> for users::InviteUser {
    fn from(sent: Sent<NewUser>) -> Self {
        let NewUser { name, email, external_id, classes, managed_by } = sent.value;
        Self { name, email, external_id, classes, managed_by, idempotency: sent.repeat }
    }
}

/// A user as the product knows them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserUpsert {
    /// The id that the SaaS product has for them.
    external_id: ExternalId,
    /// Their name.
    #[schema(example = "Carl Clerk")]
    name: Label,
    /// Their e-mail address, where they are created.
    #[serde(default)]
    email: Option<Email>,
    /// The permission classes they are to have, by name.
    #[schema(example = json!(["clerk"]))]
    classes: Vec<ClassName>,
}

impl FromBody for UserUpsert {}

impl From<UserUpsert> for users::UpsertUser {
    fn from(sent: UserUpsert) -> Self {
        let UserUpsert { external_id, name, email, classes } = sent;
        Self { external_id, name, email, classes }
    }
}

/// By what a user is looked up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserLookup {
    /// The id that the SaaS product has for them.
    pub(crate) external_id: ExternalId,
}

impl FromBody for UserLookup {}

/// What is to change of a user: a merge patch (RFC 7396).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    /// Their name.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false)]
    name: Option<Label>,
    /// The permission classes they are to have, by name.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false)]
    classes: Option<Vec<ClassName>>,
    /// Where they are to stand: `active`, `suspended` or `removed`.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false)]
    state: Option<UserState>,
}

impl FromBody for UserPatch {}

impl UserPatch {
    /// As the vault takes it.
    pub(crate) fn of(self, user: UserId, expected: Expected) -> users::ChangeUser {
        let Self { name, classes, state } = self;
        users::ChangeUser { user, expected, name, classes, state }
    }
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    #[schema(value_type = String)]
    id: UserId,
    /// Their name.
    name: Label,
    /// Their e-mail address.
    email: Option<Email>,
    /// The id that the SaaS product has for them.
    external_id: Option<ExternalId>,
    /// Their permission classes, by name.
    classes: Vec<ClassName>,
    /// Where they stand.
    state: UserState,
    /// By whom they are looked after; null for those who sign in themselves.
    managed_by: Option<ManagedBy>,
    /// When they were invited.
    created_at: Timestamp,
    /// For people of the provider: when somebody else last let them in, by an invitation, by other classes
    /// or by the end of a suspension.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    let_in_at: Option<Timestamp>,
}

impl From<&Versioned<users::UserView>> for User {
    fn from(found: &Versioned<users::UserView>) -> Self {
        let users::UserView { user, classes } = found.value.clone();
        Self {
            id: user.id,
            name: user.name,
            email: user.email,
            external_id: user.external_id,
            classes,
            state: user.state,
            managed_by: user.managed_by,
            created_at: user.created_at,
            let_in_at: user.let_in_at,
        }
    }
}

/// A user who was invited.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvitedUser<'a> {
    #[serde(flatten)]
    user: User,
    /// Their invitation; none for those who are looked after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    invitation: Option<SecretShown<'a>>,
}

impl<'a> From<&'a users::InvitedUser> for InvitedUser<'a> {
    fn from(invited: &'a users::InvitedUser) -> Self {
        Self {
            user: User::from(&invited.user),
            invitation: invited.invitation.as_ref().map(Into::into),
        }
    }
}
