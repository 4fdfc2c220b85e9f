//! Tenants: the clients of the provider.

use crate::{BlueprintOfTenant, Label, TenantId, Timestamp};

/// One client of the provider.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Tenant {
    /// Its id.
    #[n(0)]
    pub id: TenantId,
    /// Its name.
    #[n(1)]
    pub name: Label,
    /// Where it stands.
    #[n(2)]
    pub state: TenantState,
    /// When it came to be.
    #[n(3)]
    pub created_at: Timestamp,
    /// What it was made from, in the version that it was given last.
    #[n(4)]
    pub blueprint: Option<BlueprintOfTenant>,
}

/// Where a tenant stands: invited → active ⇄ suspended → terminating ⇄ active → frozen → erased.
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
pub enum TenantState {
    /// Made, but nobody has redeemed the owner's invitation.
    #[n(0)]
    Invited,
    /// In use.
    #[n(1)]
    Active,
    /// Stopped by the provider: no writes, no backends; exports, rights requests and erasures go on.
    #[n(2)]
    Suspended,
    /// The contract has ended; the clock runs.
    #[n(3)]
    Terminating,
    /// The last days: export and undo only.
    #[n(4)]
    Frozen,
    /// Its data is gone.
    #[n(5)]
    Erased,
}
