//! Users: the people of a tenant who sign in.

use crate::{ClassId, Email, ExternalId, InvitationId, Label, Timestamp, UserId};

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct User {
    /// Their id.
    #[n(0)]
    pub id: UserId,
    /// Their name.
    #[n(1)]
    pub name: Label,
    /// Their e-mail address.
    #[n(2)]
    pub email: Option<Email>,
    /// The id that the SaaS product has for them.
    #[n(3)]
    pub external_id: Option<ExternalId>,
    /// The permission classes they have.
    #[n(4)]
    pub classes: Vec<ClassId>,
    /// Where they stand.
    #[n(5)]
    pub state: UserState,
    /// When they came to be.
    #[n(6)]
    pub created_at: Timestamp,
    /// By whom they are looked after instead of signing in themselves; absent: by nobody.
    #[n(7)]
    pub managed_by: Option<ManagedBy>,
    /// When somebody else last let a person in here: by an invitation that this user had not made
    /// themselves, by other classes, by the end of a suspension. Kept for people of the provider; absent
    /// until they come in.
    #[n(8)]
    pub let_in_at: Option<Timestamp>,
}

impl User {
    /// Since when nobody else has let a person in here.
    pub fn theirs_since(&self) -> Timestamp {
        self.let_in_at.map_or(self.created_at, |let_in| let_in.max(self.created_at))
    }
}

/// By whom a user is looked after who does not sign in themselves.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum ManagedBy {
    /// The provider's product signs them in and acts for them; they are known by its id for them.
    #[n(0)]
    Backend,
}

/// Where a user stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum UserState {
    /// Invited, not yet come.
    #[n(0)]
    Invited,
    /// May sign in.
    #[n(1)]
    Active,
    /// May not.
    #[n(2)]
    Suspended,
    /// Gone.
    #[n(3)]
    Removed,
}

/// A one-time invitation for a user to come in.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Invitation {
    /// Its id.
    #[n(0)]
    pub id: InvitationId,
    /// The user who is invited.
    #[n(1)]
    pub user: UserId,
    /// Until when it can be redeemed.
    #[n(2)]
    pub until: Timestamp,
    /// The keyed hash of its secret.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub secret_hash: [u8; 32],
    /// The user of the same tenant who made it, signed in; absent for what keys, operators and the
    /// server have made.
    #[n(4)]
    pub made_by: Option<UserId>,
}
