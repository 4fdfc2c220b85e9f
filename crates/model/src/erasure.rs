//! Erasures: asked for, under way, done.

use crate::{
    CollectionId, CollectionName, CollectionNumber, ErasureId, Label, Principal, ReceiptId,
    RecordId, SubjectId, TenantId, Timestamp,
};

/// What is to be erased, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum ErasureTarget {
    /// One record.
    #[n(0)]
    Record(#[n(0)] CollectionNumber, #[n(1)] RecordId),
    /// A person, with all their records.
    #[n(1)]
    Subject(#[n(0)] SubjectId),
    /// A collection, with all its records.
    #[n(2)]
    Collection(#[n(0)] CollectionNumber, #[n(1)] CollectionName, #[n(2)] CollectionId),
    /// All data of the tenant; its account information has its own erasure.
    #[n(3)]
    Tenant(#[n(0)] TenantId),
}

/// Why something is erased.
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
pub enum ErasureGround {
    /// The person asked for it.
    #[n(0)]
    SubjectRequest,
    /// The tenant asked for it.
    #[n(1)]
    TenantRequest,
    /// Consent was withdrawn.
    #[n(2)]
    ConsentWithdrawn,
    /// Nothing justifies keeping it any longer.
    #[n(3)]
    NoLongerNeeded,
    /// It was collected unlawfully.
    #[n(4)]
    UnlawfullyCollected,
    /// The contract has ended.
    #[n(5)]
    ContractEnded,
}

/// Where an erasure stands: pending → erasing → (partial →) erased.
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
pub enum ErasureState {
    /// Access is closed; the keys still exist.
    #[n(0)]
    Pending,
    /// The new key state is committed; the old root secret still exists.
    #[n(1)]
    Erasing,
    /// Forgotten by some holders, not yet by all that count.
    #[n(2)]
    Partial,
    /// The keys are gone.
    #[n(3)]
    Erased,
}

/// An erasure and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Erasure {
    /// Its id.
    #[n(0)]
    pub id: ErasureId,
    /// The tenant whose data it is.
    #[n(1)]
    pub tenant: TenantId,
    /// What is erased.
    #[n(2)]
    pub target: ErasureTarget,
    /// Why.
    #[n(3)]
    pub ground: ErasureGround,
    /// Where it stands.
    #[n(4)]
    pub state: ErasureState,
    /// Who asked.
    #[n(5)]
    pub requested_by: Principal,
    /// When it was asked for.
    #[n(6)]
    pub requested_at: Timestamp,
    /// When access was closed.
    #[n(7)]
    pub closed_at: Option<Timestamp>,
    /// When the keys were gone.
    #[n(8)]
    pub erased_at: Option<Timestamp>,
    /// Its receipt.
    #[n(9)]
    pub receipt: Option<ReceiptId>,
    /// How many index pages got new keys because they held entries of the target.
    #[n(10)]
    pub index_pages: u32,
}

/// A record that an erasure leaves, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retained {
    /// The record.
    pub record: RecordId,
    /// The ground that retains it.
    pub ground: Label,
    /// Until when, if that is known.
    pub until: Option<Timestamp>,
}
