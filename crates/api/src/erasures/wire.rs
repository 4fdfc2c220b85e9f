//! Erasures as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{
    CollectionName, ErasureGround, ErasureId, ErasureState, ErasureTarget, Label, ReceiptId,
    RecordId, Retained, SubjectId, TenantId, Timestamp,
};
use strongroom_vault::erasures;
use utoipa::ToSchema;

use crate::extract::{FromBody, Sent};
use crate::problem::Problem;

/// What is to be erased, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureRequest {
    /// What is to be erased.
    target: NewTarget,
    /// Why.
    ground: ErasureGround,
    /// Whether only to say what would be erased.
    #[serde(default)]
    dry_run: bool,
}

impl FromBody for ErasureRequest {}

/// What is to be erased.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NewErasureTarget)]
pub(crate) enum NewTarget {
    /// One record.
    #[serde(deserialize_with = "crate::json::strict")]
    Record(NewRecordTarget),
    /// A person, with all their records.
    #[schema(value_type = String)]
    Subject(SubjectId),
    /// A collection, with all its records.
    Collection(CollectionName),
    /// All data of the tenant, which is named once more. Only an owner may ask for it.
    #[schema(value_type = String)]
    Tenant(TenantId),
}

/// A record that is to be erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRecordTarget {
    /// The name of its collection.
    collection: CollectionName,
    #[schema(value_type = String)]
    id: RecordId,
}

impl ErasureRequest {
    /// As the vault takes it.
    ///
    /// # Errors
    /// 400 for an erasure without an idempotency key.
    pub(crate) fn wanted(sent: Sent<Self>) -> Result<erasures::EraseRequest, Problem> {
        let idempotency =
            if sent.value.dry_run { sent.repeat.clone() } else { Some(sent.must_repeat()?) };
        let Self { target, ground, dry_run } = sent.value;
        Ok(erasures::EraseRequest { target: target.into(), ground, dry_run, idempotency })
    }
}

impl From<NewTarget> for erasures::TargetRef {
    fn from(target: NewTarget) -> Self {
        match target {
            NewTarget::Record(NewRecordTarget { collection, id }) => Self::Record(collection, id),
            NewTarget::Subject(subject) => Self::Subject(subject),
            NewTarget::Collection(name) => Self::Collection(name),
            NewTarget::Tenant(tenant) => Self::Tenant(tenant),
        }
    }
}

/// An erasure, and how far it has come.
#[derive(Serialize, ToSchema)]
pub(crate) struct Erasure {
    #[schema(value_type = String)]
    id: ErasureId,
    /// What is erased.
    target: Target,
    /// Why.
    ground: ErasureGround,
    /// How far it has come.
    state: ErasureState,
    /// When it was asked for.
    requested_at: Timestamp,
    /// When access was closed.
    closed_at: Option<Timestamp>,
    /// When the keys were gone.
    erased_at: Option<Timestamp>,
    /// Its receipt, once there is one.
    #[schema(value_type = Option<String>)]
    receipt: Option<ReceiptId>,
}

/// What is erased.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ErasureTarget)]
pub(crate) enum Target {
    /// One record.
    Record(RecordTarget),
    /// A person, with all their records.
    #[schema(value_type = String)]
    Subject(SubjectId),
    /// A collection, with all its records.
    Collection(CollectionName),
    /// All data of the tenant.
    #[schema(value_type = String)]
    Tenant(TenantId),
}

/// A record that is erased.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecordTarget {
    /// The name of its collection; null when that can no longer be read.
    collection: Option<CollectionName>,
    #[schema(value_type = String)]
    id: RecordId,
}

impl From<&erasures::ErasureView> for Erasure {
    fn from(view: &erasures::ErasureView) -> Self {
        let erasure = &view.erasure;
        let target = match &erasure.target {
            ErasureTarget::Record(_, id) => {
                Target::Record(RecordTarget { collection: view.collection.clone(), id: *id })
            }
            ErasureTarget::Subject(subject) => Target::Subject(*subject),
            ErasureTarget::Collection(_, name, _) => Target::Collection(name.clone()),
            ErasureTarget::Tenant(tenant) => Target::Tenant(*tenant),
        };
        Self {
            id: erasure.id,
            target,
            ground: erasure.ground,
            state: erasure.state,
            requested_at: erasure.requested_at,
            closed_at: erasure.closed_at,
            erased_at: erasure.erased_at,
            receipt: erasure.receipt,
        }
    }
}

/// What an erasure would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct Preview {
    /// What would go.
    would_erase: WouldErase,
    /// What would stay, and why.
    retained: Vec<RetainedRecord>,
}

/// What would go.
#[derive(Serialize, ToSchema)]
pub(crate) struct WouldErase {
    /// How many records.
    records: usize,
    /// Whether there are more than were counted.
    or_more: bool,
}

/// A record that would stay.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetainedRecord {
    #[schema(value_type = String)]
    record: RecordId,
    /// The ground that retains it.
    ground: Label,
    /// Until when, if that is known.
    until: Option<Timestamp>,
}

impl From<&erasures::Preview> for Preview {
    fn from(preview: &erasures::Preview) -> Self {
        let retained = preview.retained.iter().map(|retained: &Retained| RetainedRecord {
            record: retained.record,
            ground: retained.ground.clone(),
            until: retained.until,
        });
        Self {
            would_erase: WouldErase { records: preview.records, or_more: preview.or_more },
            retained: retained.collect(),
        }
    }
}
