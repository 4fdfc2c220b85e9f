//! Subjects: the people whom records are about.

use crate::{CollectionNumber, ExternalId, Label, Purpose, SubjectId, Timestamp};

/// What is known of a subject before anything of theirs is opened: state, consents, holds and the
/// epoch of their seed, in one row, so that a creation cannot slip past an erasure.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SubjectHead {
    /// The subject.
    #[n(0)]
    pub id: SubjectId,
    /// What kind of subject it is.
    #[n(1)]
    pub kind: SubjectKind,
    /// Where it stands.
    #[n(2)]
    pub state: SubjectState,
    /// The seed's epoch.
    #[n(3)]
    pub epoch: u16,
    /// The next number that has not been given to a record or file.
    #[n(4)]
    pub next_number: u32,
    /// The id that the SaaS product has for the person.
    #[n(5)]
    pub external_id: Option<ExternalId>,
    /// Consents given, refused, withdrawn; the newest per purpose counts.
    #[n(6)]
    pub consents: Vec<Consent>,
    /// Holds that block the erasure of this person.
    #[n(7)]
    pub holds: Vec<Hold>,
    /// When it came to be.
    #[n(8)]
    pub created_at: Timestamp,
}

/// The first number that a record or file may have under a subject; those below are reserved.
pub const FIRST_RECORD_NUMBER: u32 = 16;

/// What kind of subject it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum SubjectKind {
    /// A person that was named when the subject was made.
    #[n(0)]
    Person,
    /// Shared by records of one collection that are about nobody.
    #[n(1)]
    Filler(#[n(0)] CollectionNumber),
}

/// Where a subject stands: active ⇄ restricted → closed → erased.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum SubjectState {
    /// In use.
    #[n(0)]
    Active,
    /// Storage only.
    #[n(1)]
    Restricted,
    /// Kept only as far as a named ground retains it.
    #[n(2)]
    Closed,
    /// Gone: its seed is dead or about to die.
    #[n(3)]
    Erased,
}

/// What a person said about one purpose.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Consent {
    /// The purpose.
    #[n(0)]
    pub purpose: Purpose,
    /// What was said.
    #[n(1)]
    pub state: ConsentState,
    /// Since when.
    #[n(2)]
    pub since: Timestamp,
    /// Until when, if it ends by itself.
    #[n(3)]
    pub until: Option<Timestamp>,
}

/// What was said: given or refused → withdrawn, expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum ConsentState {
    /// Yes.
    #[n(0)]
    Given,
    /// No.
    #[n(1)]
    Refused,
    /// No longer.
    #[n(2)]
    Withdrawn,
    /// Ended by itself.
    #[n(3)]
    Expired,
}

/// A legal hold: blocks erasure.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Hold {
    /// Why.
    #[n(0)]
    pub ground: Label,
    /// Since when.
    #[n(1)]
    pub since: Timestamp,
}
