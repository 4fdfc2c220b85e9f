//! What a decision is made of: the facts that its caller has fetched.

use std::net::IpAddr;

use strongroom_model::{
    Action, Collection, Consent, FieldNumber, Network, PermissionClass, Principal, Purpose,
    RecordHead, RecordId, SubjectHead, SubjectId, SubjectState, TenantState, Timestamp, UserId,
};

/// Everything that a decision depends on, beside the request and the time.
///
/// What is absent takes nothing away by itself, but gives nothing either: without classes nothing
/// is allowed, without a record only rules on all records count.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where the tenant stands.
    pub tenant: TenantState,
    /// Who asks.
    pub principal: Actor<'a>,
    /// The user for whom a key, backend or connection acts.
    pub acting_for: Option<Delegation<'a>>,
    /// What takes away: the bounds of the credential and what is not in order.
    pub ceilings: &'a [Ceiling<'a>],
    /// What the law says about the tenant's purposes.
    pub purposes: PurposeFacts<'a>,
    /// The collection that it is about.
    pub collection: Option<&'a Collection>,
    /// The record that it is about; for a creation the head that the new record is to have.
    pub record: Option<RecordFacts<'a>>,
    /// The subject that it is about, where it is about no record.
    pub subject: Option<SubjectFacts<'a>>,
}

impl<'a> Facts<'a> {
    /// The facts about somebody in an active tenant, with every other slot empty.
    pub const fn of(principal: Actor<'a>) -> Self {
        Self {
            tenant: TenantState::Active,
            principal,
            acting_for: None,
            ceilings: &[],
            purposes: PurposeFacts { need_consent: &[], open_when_restricted: &[] },
            collection: None,
            record: None,
            subject: None,
        }
    }
}

/// Somebody with permission classes.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// Who.
    pub principal: Principal,
    /// The user whom `own` and `assigned` mean. For a key that acts for a user this is that user.
    pub user: Option<UserId>,
    /// The subject linked to that user.
    pub linked_subject: Option<SubjectId>,
    /// The permission classes; those of a user who may not sign in are none.
    pub classes: &'a [HeldClass<'a>],
}

impl<'a> Actor<'a> {
    /// A signed-in user, and the subject linked to them.
    pub const fn user(
        user: UserId,
        linked_subject: Option<SubjectId>,
        classes: &'a [HeldClass<'a>],
    ) -> Self {
        Self { principal: Principal::User(user), user: Some(user), linked_subject, classes }
    }

    /// Anybody else: a key, a job, an operator.
    pub const fn other(principal: Principal, classes: &'a [HeldClass<'a>]) -> Self {
        Self { principal, user: None, linked_subject: None, classes }
    }
}

/// A permission class that somebody has, in the version that was read.
#[derive(Debug, Clone, Copy)]
pub struct HeldClass<'a> {
    /// The class.
    pub class: &'a PermissionClass,
    /// Its version, for the audit line.
    pub version: u64,
}

/// That a key, backend or connection acts for a user.
#[derive(Debug, Clone, Copy)]
pub struct Delegation<'a> {
    /// The user.
    pub user: Actor<'a>,
    /// What the credential asserts about the user's sign-in; only for a credential that may assert
    /// it. Without it the user's conditions on address and second factor count as unmet.
    pub asserted: Option<Assertion>,
}

/// What a credential asserts about the sign-in of the user for whom it acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assertion {
    /// Where the user is.
    pub address: Option<IpAddr>,
    /// When the user showed a second factor.
    pub second_factor_at: Option<Timestamp>,
}

/// Something that takes away and never gives.
#[derive(Debug, Clone, Copy)]
pub enum Ceiling<'a> {
    /// The bounds of an API key.
    Key(Bound<'a>),
    /// The bounds under which the tenant admits a backend.
    Backend(Bound<'a>),
    /// The bounds under which the tenant admits a third party.
    Connection(Bound<'a>),
    /// The bounds of a support grant.
    Grant(Bound<'a>),
    /// A document in force has not been accepted.
    DocumentAcceptance,
    /// This node may not open the tenant's keys.
    Residency,
}

impl Ceiling<'_> {
    /// Which ceiling it is.
    pub const fn kind(&self) -> CeilingKind {
        match self {
            Self::Key(_) => CeilingKind::Key,
            Self::Backend(_) => CeilingKind::Backend,
            Self::Connection(_) => CeilingKind::Connection,
            Self::Grant(_) => CeilingKind::Grant,
            Self::DocumentAcceptance => CeilingKind::DocumentAcceptance,
            Self::Residency => CeilingKind::Residency,
        }
    }

    /// Its bounds, if it has any.
    pub const fn bound(&self) -> Option<&Bound<'_>> {
        match self {
            Self::Key(bound)
            | Self::Backend(bound)
            | Self::Connection(bound)
            | Self::Grant(bound) => Some(bound),
            Self::DocumentAcceptance | Self::Residency => None,
        }
    }
}

/// How far a credential or a grant reaches at most. What is absent is no bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bound<'a> {
    /// Only what these classes allow.
    pub classes: Option<&'a [HeldClass<'a>]>,
    /// Only for these purposes.
    pub purposes: Option<&'a [Purpose]>,
    /// Only from these networks; empty: from anywhere.
    pub networks: &'a [Network],
    /// Only before this moment.
    pub until: Option<Timestamp>,
    /// Only these records.
    pub records: Option<&'a [RecordId]>,
    /// Only what is about these subjects.
    pub subjects: Option<&'a [SubjectId]>,
    /// In whose name it may be used.
    pub acts: Acts,
}

/// In whose name a credential may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acts {
    /// In its own, or for a user where one is named.
    #[default]
    Itself,
    /// Only for a user.
    ForUsers,
}

/// Every ceiling that there is, as reasons name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CeilingKind {
    /// The principal is of a kind that never has client data, or nobody.
    Principal,
    /// The bounds of an API key.
    Key,
    /// The bounds of a backend.
    Backend,
    /// The bounds of a connection.
    Connection,
    /// The bounds of a support grant.
    Grant,
    /// The subject is restricted, closed or erased.
    SubjectState,
    /// The subject's consent is missing, or the subject said no.
    Consent,
    /// The tenant is suspended, frozen or gone.
    TenantState,
    /// A document in force has not been accepted.
    DocumentAcceptance,
    /// This node may not open the tenant's keys.
    Residency,
    /// The collection or the record was not collected for the purpose.
    Purpose,
}

/// What the law says about the purposes of the tenant.
#[derive(Debug, Clone, Copy, Default)]
pub struct PurposeFacts<'a> {
    /// Purposes that rest on consent: without it, they are refused.
    pub need_consent: &'a [Purpose],
    /// Purposes for which restricted and closed subjects may still be looked at.
    pub open_when_restricted: &'a [Purpose],
}

/// What is known of a record before anything of it is shown.
#[derive(Debug, Clone, Copy)]
pub struct RecordFacts<'a> {
    /// Its id.
    pub id: RecordId,
    /// Its head.
    pub head: &'a RecordHead,
    /// The subject whose key seals it.
    pub subject: SubjectFacts<'a>,
}

/// What is known of a subject before anything about them is shown.
#[derive(Debug, Clone, Copy)]
pub struct SubjectFacts<'a> {
    /// The subject.
    pub id: SubjectId,
    /// Where they stand.
    pub state: SubjectState,
    /// What they said about purposes.
    pub consents: &'a [Consent],
}

impl<'a> From<&'a SubjectHead> for SubjectFacts<'a> {
    fn from(head: &'a SubjectHead) -> Self {
        Self { id: head.id, state: head.state, consents: &head.consents }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// What is to be done.
    pub action: Action,
    /// The fields that are asked for (`fields=`); absent: every one.
    pub requested: Option<&'a [FieldNumber]>,
    /// Revealable fields that are to come in the clear (`reveal=`).
    pub reveal: &'a [FieldNumber],
    /// The fields that are to be written.
    pub written: &'a [FieldNumber],
    /// The fields by whose values records are found, filtered or sorted. An answer tells something
    /// of them, so they must be in the caller's clear view.
    pub by_value: &'a [FieldNumber],
    /// The purpose that is stated.
    pub purpose: Option<&'a Purpose>,
    /// From where the request comes.
    pub address: Option<IpAddr>,
    /// When the principal showed a second factor.
    pub second_factor_at: Option<Timestamp>,
    /// Whether only a person who has signed in may do it, whatever credentials they have made.
    pub in_person: bool,
    /// Whether it only stops what is being done to the tenant: then the tenant's state does not stop it.
    pub defends: bool,
}

impl AccessRequest<'_> {
    /// A request for every field, which states nothing else.
    pub const fn new(action: Action) -> Self {
        Self {
            action,
            requested: None,
            reveal: &[],
            written: &[],
            by_value: &[],
            purpose: None,
            address: None,
            second_factor_at: None,
            in_person: false,
            defends: false,
        }
    }
}
