//! The words of the audit log.

use std::fmt;

use crate::{
    Action, BackendId, CollectionNumber, FieldNumber, KeyId, RecordId, SubjectId, TenantId, UserId,
};

/// Who acts: one of the principals of the access model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
pub enum Principal {
    /// A signed-in user of the tenant.
    #[n(0)]
    User(#[n(0)] UserId),
    /// An API key of the tenant.
    #[n(1)]
    ApiKey(#[n(0)] KeyId),
    /// A person of the provider: an operator, a support agent or its privacy officer, as the classes
    /// say.
    #[n(2)]
    Operator(#[n(0)] UserId),
    /// A piece of the server's own work.
    #[n(3)]
    Job(#[n(0)] JobName),
    /// Somebody without a credential, on a route that needs none.
    #[n(4)]
    Anonymous,
    /// A software product of the provider, in a tenant that admits it.
    #[n(5)]
    Backend(#[n(0)] BackendId),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::ApiKey(id) => write!(f, "api-key:{id}"),
            Self::Operator(id) => write!(f, "operator:{id}"),
            Self::Job(name) => write!(f, "job:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Backend(id) => write!(f, "backend:{id}"),
        }
    }
}

/// The server's own kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum JobName {
    /// Carries out erasures and clears what they left.
    #[n(0)]
    Eraser,
    /// Makes the installation.
    #[n(1)]
    Init,
    /// Gives tenants a version of their blueprint.
    #[n(2)]
    ApplyBlueprint,
    /// Brings rows of a backup back.
    #[n(3)]
    Restore,
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eraser => "eraser",
            Self::Init => "init",
            Self::ApplyBlueprint => "apply_blueprint",
            Self::Restore => "restore",
        })
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed.
    Allowed,
    /// Refused.
    Refused,
}

/// What an audit line says; `docs/formats/audit-line.md` has its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Who acted.
    pub principal: Principal,
    /// For which user, where a key, backend or connection acts for one.
    pub acting_for: Option<UserId>,
    /// Through which backend, connection or grant: its kind and id.
    pub through: Option<(Through, [u8; 16])>,
    /// What was asked.
    pub action: Action,
    /// Under which purpose, by its name; empty where the action has none.
    pub purpose: String,
    /// The class whose rule decided, its version, and the rule's place in it.
    pub rule: Option<RuleRef>,
    /// What was decided.
    pub outcome: Outcome,
    /// A stable word for what was done or refused, such as `record.read` or `no_rule`.
    pub code: &'static str,
    /// What it was about.
    pub object: AuditObject,
    /// Which records and fields were touched, at most 1,000.
    pub touches: Vec<Touch>,
    /// A keyed commitment to the caller's address; zeros where there was none.
    pub address_commitment: [u8; 16],
    /// The reason that the caller gave, sealed.
    pub reason: Option<SealedReason>,
}

/// The reason that a caller gave: free text, so it is sealed under the key of the person whom the
/// event is about, where there is one, and dies with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedReason {
    /// The person, and the leaf of their seed; none where it is sealed under the tenant's key.
    pub subject: Option<(SubjectId, u64)>,
    /// The sealed text, at most 1 KiB.
    pub sealed: Vec<u8>,
}

/// By what a principal came in for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// A backend of the provider.
    Backend,
    /// A third party admitted by the tenant.
    Connection,
    /// A support grant.
    Grant,
    /// A job that the principal asked for.
    Job,
}

/// A rule of a version of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleRef {
    /// The class.
    pub class: crate::ClassId,
    /// Its version.
    pub version: u64,
    /// The rule's place in it, from 0.
    pub rule: u16,
}

/// What an event was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditObject {
    /// The tenant as a whole.
    Tenant(TenantId),
    /// A collection.
    Collection(CollectionNumber),
    /// A record.
    Record(CollectionNumber, RecordId),
    /// A subject.
    Subject(SubjectId),
    /// Anything else that has an id: its kind's prefix and bytes.
    Other(&'static str, [u8; 16]),
}

/// A record and which of its fields were shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The record.
    pub record: RecordId,
    /// Fields shown in the clear or written.
    pub clear: Vec<FieldNumber>,
    /// Fields shown masked.
    pub masked: Vec<FieldNumber>,
}

/// A touch list is cut here; a list that would touch more is refused before it is read.
pub const TOUCHES_MAX: usize = 1000;
