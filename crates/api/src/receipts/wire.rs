//! Receipts as JSON.

use serde::Serialize;
use strongroom_model::{
    ErasureGround, ErasureId, InstallId, ReceiptId, RecordId, SubjectId, TenantId, Timestamp,
};
use strongroom_vault::erasures::ReceiptView;
use strongroom_vault::log::receipt;
use utoipa::ToSchema;

/// A signed receipt of an erasure.
#[derive(Serialize, ToSchema)]
pub(crate) struct Receipt {
    #[schema(value_type = String)]
    id: ReceiptId,
    /// The signed receipt as a file, to be verified offline. This alone is proof.
    #[schema(example = "-----BEGIN STRONGROOM RECEIPT-----\n…")]
    armored: String,
    /// What it says.
    #[serde(rename = "receipt")]
    said: Said,
}

/// What a receipt says.
#[derive(Serialize, ToSchema)]
#[schema(as = ReceiptContent)]
pub(crate) struct Said {
    #[schema(value_type = String)]
    id: ReceiptId,
    /// The installation that erased.
    #[schema(value_type = String)]
    install: InstallId,
    #[schema(value_type = String)]
    tenant: TenantId,
    #[schema(value_type = String)]
    erasure: ErasureId,
    /// What was erased.
    scope: Scope,
    /// Why.
    ground: ErasureGround,
    /// When it was asked for.
    requested_at: Timestamp,
    /// When access was closed.
    fenced_at: Timestamp,
    /// When the last holder that counts had forgotten; null while the state is `partial`.
    forgotten_at: Option<Timestamp>,
    /// The number of the root secret that was forgotten.
    number_before: u64,
    /// The number of the root secret in force since.
    number_after: u64,
    /// Whether everything that counts has forgotten.
    state: State,
    /// How far the holders of the root secret have come, by class.
    holders: Vec<Holder>,
    /// How many pages of the index were given new keys.
    index_pages: u32,
    /// Until when it shows which pages of the index were touched.
    index_residue_until: Option<Timestamp>,
    /// What an erasure does not reach.
    exclusions: Vec<Exclusion>,
    /// The audit line that records the erasure: `node.n.tag`.
    audit: String,
}

/// What was erased, by ids that mean nothing to a stranger.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReceiptScope)]
pub(crate) enum Scope {
    /// One record.
    Record {
        /// The number of its collection.
        collection: u32,
        #[schema(value_type = String)]
        id: RecordId,
    },
    /// A person.
    #[schema(value_type = String)]
    Subject(SubjectId),
    /// A collection, by its number.
    Collection(u32),
    /// All data of the tenant.
    Tenant,
}

/// How far an erasure has come.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReceiptState)]
pub(crate) enum State {
    /// Everything that counts has forgotten.
    Erased,
    /// Some replicas have not forgotten yet.
    Partial,
}

/// A class of holders of the root secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ReceiptHolder)]
pub(crate) struct Holder {
    /// Its number.
    class: u8,
    /// How well it forgets: `logical`, `overwritten`, `hardware` or `delayed`.
    grade: &'static str,
    /// For `delayed`: until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    delayed_until: Option<Timestamp>,
    /// How many replicas it has.
    replicas: u16,
    /// How many of them have forgotten.
    forgotten: u16,
}

/// Something that an erasure does not reach.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReceiptExclusion)]
pub(crate) enum Exclusion {
    /// What was exported or printed before.
    Exports,
    /// What was disclosed to recipients, who keep their own copies.
    Recipients,
    /// Free text elsewhere that names the target without a reference to it.
    FreeText,
    /// Images of the machine, its memory included.
    MachineImages,
    /// Keys that somebody copied before the erasure.
    CopiedKeys,
    /// Index pages: which ones were touched, until the residue date.
    IndexResidue,
    /// Values of fields indexed as weak.
    WeakIndexes,
    /// Mail that was sent.
    SentMail,
    /// Ids, sizes and times of writing, which stand in the clear.
    Metadata,
    /// Records kept because a named ground retains them.
    Retained,
}

impl From<&ReceiptView> for Receipt {
    fn from(view: &ReceiptView) -> Self {
        Self { id: view.id, armored: view.armoured.clone(), said: Said::from(&view.receipt) }
    }
}

impl From<&receipt::Receipt> for Said {
    fn from(said: &receipt::Receipt) -> Self {
        Self {
            id: said.id,
            install: said.install,
            tenant: said.tenant,
            erasure: said.erasure,
            scope: said.scope.into(),
            ground: said.ground,
            requested_at: said.requested_at,
            fenced_at: said.fenced_at,
            forgotten_at: said.forgotten_at,
            number_before: said.number_before,
            number_after: said.number_after,
            state: match said.state {
                receipt::ReceiptState::Erased => State::Erased,
                receipt::ReceiptState::Partial => State::Partial,
            },
            holders: said.holders.iter().map(Holder::from).collect(),
            index_pages: said.index_pages,
            index_residue_until: said.index_residue_until,
            exclusions: said.exclusions.iter().copied().map(Exclusion::from).collect(),
            audit: said.audit.to_string(),
        }
    }
}

impl From<receipt::Scope> for Scope {
    fn from(scope: receipt::Scope) -> Self {
        match scope {
            receipt::Scope::Record(collection, id) => {
                Self::Record { collection: collection.0, id: RecordId::from_bytes(id) }
            }
            receipt::Scope::Subject(id) => Self::Subject(SubjectId::from_bytes(id)),
            receipt::Scope::Collection(collection) => Self::Collection(collection.0),
            receipt::Scope::Tenant => Self::Tenant,
        }
    }
}

impl From<&receipt::Holder> for Holder {
    fn from(holder: &receipt::Holder) -> Self {
        let (grade, delayed_until) = match holder.grade {
            receipt::Grade::Logical => ("logical", None),
            receipt::Grade::Overwritten => ("overwritten", None),
            receipt::Grade::Hardware => ("hardware", None),
            receipt::Grade::DelayedUntil(until) => ("delayed", Some(until)),
        };
        let receipt::Holder { class, replicas, forgotten, .. } = *holder;
        Self { class, grade, delayed_until, replicas, forgotten }
    }
}

impl From<receipt::Exclusion> for Exclusion {
    fn from(exclusion: receipt::Exclusion) -> Self {
        match exclusion {
            receipt::Exclusion::Exports => Self::Exports,
            receipt::Exclusion::Recipients => Self::Recipients,
            receipt::Exclusion::FreeText => Self::FreeText,
            receipt::Exclusion::MachineImages => Self::MachineImages,
            receipt::Exclusion::CopiedKeys => Self::CopiedKeys,
            receipt::Exclusion::IndexResidue => Self::IndexResidue,
            receipt::Exclusion::WeakIndexes => Self::WeakIndexes,
            receipt::Exclusion::SentMail => Self::SentMail,
            receipt::Exclusion::Metadata => Self::Metadata,
            receipt::Exclusion::Retained => Self::Retained,
        }
    }
}
