//! Batches of records as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use strongroom_model::{
    ClearValue, CollectionName, ExternalId, FieldName, RecordId, RequestId, UserId, Wiping,
};
use strongroom_vault::records::{self, NamedRecord, Outcomes, RecordView, Written};
use strongroom_vault::{Expected, Idempotency};
use utoipa::ToSchema;

use super::wire::{Named, NewRecord, Record, UserShape, users};
use crate::extract::FromBody;
use crate::limits::IMPORT_BYTES_MAX;
use crate::problem::{Problem, ProblemDocument};
use crate::wire::write_results;
use strongroom_model::objects::Strict;

/// Records that are to be read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchRead {
    /// 1 to 100 records.
    #[serde(deserialize_with = "crate::json::strict_items")]
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<RecordNamed>,
    /// Which fields of the records of a collection, by its name; all that the caller may see, where a
    /// collection is not named.
    #[serde(default, deserialize_with = "crate::json::members")]
    #[schema(value_type = BTreeMap<String, FieldsShown>,
        example = json!({"customers": {"fields": ["name"], "reveal": []}}))]
    shown: Vec<(CollectionName, Strict<FieldsShown>)>,
}

impl FromBody for BatchRead {}

/// A record by its id or its external id.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecordNamed {
    /// The name of its collection.
    #[schema(example = "customers")]
    collection: CollectionName,
    /// Its id. An item has this or `external_id`.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, nullable = false)]
    id: Option<RecordId>,
    /// The id that the SaaS product has for it.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false, example = "C-1024")]
    external_id: Option<ExternalId>,
}

/// Which fields of the records of a collection are wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FieldsShown {
    /// Only these; absent: all that the caller may see. What is not asked for is not decrypted.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false)]
    fields: Option<Vec<FieldName>>,
    /// Revealable fields that are to come in the clear, which is recorded as such.
    #[serde(default)]
    reveal: Vec<FieldName>,
}

impl BatchRead {
    /// How many items there are.
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    /// As the vault takes it.
    ///
    /// # Errors
    /// 422 for an item that does not name its record by one id.
    pub(crate) fn of(self) -> Result<records::BatchGet, Problem> {
        let items = self.items.into_iter().enumerate().map(|(place, item)| {
            named(place, item.id, item.external_id).map(|record| (item.collection, record))
        });
        let wanted = self.shown.into_iter().map(|(collection, Strict(shown))| {
            (collection, records::Wanted { fields: shown.fields, reveal: shown.reveal })
        });
        Ok(records::BatchGet {
            items: items.collect::<Result<_, _>>()?,
            wanted: wanted.collect::<BTreeMap<_, _>>(),
        })
    }
}

/// By which of its two ids an item names a record.
fn named(
    place: usize,
    id: Option<RecordId>,
    external_id: Option<ExternalId>,
) -> Result<NamedRecord, Problem> {
    match (id, external_id) {
        (Some(id), None) => Ok(NamedRecord::Id(id)),
        (None, Some(external_id)) => Ok(NamedRecord::External(external_id)),
        (Some(_), Some(_)) | (None, None) => Err(Problem::invalid_at(
            format!("/items/{place}"),
            "an item names its record by one of `id` and `external_id`",
        )),
    }
}

/// Records that are to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchOfNew {
    /// 1 to 100 records.
    #[serde(deserialize_with = "crate::json::strict_items")]
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<NewRecord>,
    /// Whether all of them are to be created or none.
    #[serde(default)]
    atomic: bool,
}

impl FromBody for BatchOfNew {
    const BYTES_MAX: usize = IMPORT_BYTES_MAX;
}

impl BatchOfNew {
    /// How many items there are.
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    /// As the vault takes it.
    pub(crate) fn of(
        self,
        collection: CollectionName,
        idempotency: Option<Idempotency>,
    ) -> records::BatchCreate {
        let items = self.items.into_iter().map(Into::into).collect();
        records::BatchCreate { collection, items, atomic: self.atomic, idempotency }
    }
}

/// Changes that are to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchChanges {
    /// 1 to 100 changes, of as many records.
    #[serde(deserialize_with = "crate::json::strict_items")]
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<ItemPatch>,
    /// Whether all of them are to be made or none.
    #[serde(default)]
    atomic: bool,
}

impl FromBody for BatchChanges {
    const BYTES_MAX: usize = IMPORT_BYTES_MAX;
}

/// What is to change of one record: a merge patch (RFC 7396).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ItemPatch {
    /// Its id. An item has this or `external_id`.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, nullable = false)]
    id: Option<RecordId>,
    /// The id that the SaaS product has for it.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false, example = "C-1024")]
    external_id: Option<ExternalId>,
    /// The version that the change is made against, or `*`; an item without it is refused.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<VersionShape>, nullable = false)]
    if_match: Option<VersionNamed>,
    /// Fields by name; null takes a field away.
    #[serde(default, deserialize_with = "crate::json::members")]
    #[schema(value_type = BTreeMap<String, serde_json::Value>,
        example = json!({"phone": "+49 30 5550199", "fax": null}))]
    fields: Vec<(FieldName, ClearValue)>,
    /// The users to whom it is to be assigned, each by their id or as `{"external_id": …}`.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<Vec<UserShape>>, nullable = false)]
    assignees: Option<Vec<Named<UserId>>>,
    /// Whether what stood there was wrong and is to be erased.
    #[serde(default)]
    correction: bool,
}

impl BatchChanges {
    /// How many items there are.
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    /// As the vault takes it.
    ///
    /// # Errors
    /// 422 for an item that does not name its record by one id.
    pub(crate) fn of(
        self,
        collection: CollectionName,
        idempotency: Option<Idempotency>,
    ) -> Result<records::BatchChange, Problem> {
        let items = self.items.into_iter().enumerate().map(|(place, item)| {
            let ItemPatch { id, external_id, if_match, fields, assignees, correction } = item;
            let record = named(place, id, external_id)?;
            let expected = if_match.map_or(Expected::Missing, |version| version.0);
            let assignees = assignees.map(users);
            Ok(records::ItemChange { record, expected, fields, assignees, correction })
        });
        let items = items.collect::<Result<_, Problem>>()?;
        Ok(records::BatchChange { collection, items, atomic: self.atomic, idempotency })
    }
}

/// Records that are to be deleted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchRemoval {
    /// 1 to 100 records.
    #[serde(deserialize_with = "crate::json::strict_items")]
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<ItemRemoval>,
    /// Whether all of them are to be deleted or none.
    #[serde(default)]
    atomic: bool,
}

impl FromBody for BatchRemoval {}

/// A record that is to be deleted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ItemRemoval {
    /// Its id. An item has this or `external_id`.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<String>, nullable = false)]
    id: Option<RecordId>,
    /// The id that the SaaS product has for it.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(nullable = false, example = "C-1024")]
    external_id: Option<ExternalId>,
    /// The version that is to be deleted, or `*`; whichever is there, if absent.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<VersionShape>, nullable = false)]
    if_match: Option<VersionNamed>,
}

impl BatchRemoval {
    /// How many items there are.
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    /// As the vault takes it.
    ///
    /// # Errors
    /// 422 for an item that does not name its record by one id.
    pub(crate) fn of(
        self,
        collection: CollectionName,
        idempotency: Option<Idempotency>,
    ) -> Result<records::BatchDelete, Problem> {
        let items = self.items.into_iter().enumerate().map(|(place, item)| {
            let record = named(place, item.id, item.external_id)?;
            Ok((record, item.if_match.map_or(Expected::Any, |version| version.0)))
        });
        let items = items.collect::<Result<_, Problem>>()?;
        Ok(records::BatchDelete { collection, items, atomic: self.atomic, idempotency })
    }
}

/// The version that an item is about.
struct VersionNamed(Expected);

/// The same as the document describes it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = VersionNamed)]
#[expect(dead_code, reason = "only its shape is used")]
enum VersionShape {
    /// This one.
    Version(u64),
    /// Whichever is there.
    Any(Star),
}

/// Whichever version there is.
#[derive(Serialize, ToSchema)]
#[expect(dead_code, reason = "only its shape is used")]
enum Star {
    /// Whichever is there.
    #[serde(rename = "*")]
    Any,
}

impl<'de> Deserialize<'de> for VersionNamed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Named;
        impl Visitor<'_> for Named {
            type Value = VersionNamed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version or `*`")
            }

            fn visit_u64<E: de::Error>(self, version: u64) -> Result<VersionNamed, E> {
                Ok(VersionNamed(Expected::Version(version)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<VersionNamed, E> {
                match text {
                    "*" => Ok(VersionNamed(Expected::Any)),
                    _ => Err(E::invalid_value(de::Unexpected::Other("a text"), &self)),
                }
            }
        }
        from.deserialize_any(Named)
    }
}

/// What became of a batch of changes.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchWriteOutcome<'a> {
    /// One result for each item, in their order.
    results: Vec<WriteOutcome<'a>>,
}

/// What became of one item.
#[derive(Serialize, ToSchema)]
struct WriteOutcome<'a> {
    /// The item's place, from 0.
    index: usize,
    /// The record, if the item was carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    id: Option<RecordId>,
    /// Its version from now on; of a deleted record the one that was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<u64>,
    /// Why the item was not carried out. Pointers in it lead into the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<ProblemDocument<'a>>,
}

/// What became of the items of a batch of changes.
pub(crate) struct WriteItems(Vec<Result<Written, Problem>>);

impl From<Outcomes<Written>> for WriteItems {
    fn from(outcomes: Outcomes<Written>) -> Self {
        Self(outcomes.into_iter().map(|outcome| outcome.map_err(Problem::from)).collect())
    }
}

impl WriteItems {
    /// As it is answered to a request.
    pub(crate) fn outcome(&self, request: RequestId) -> BatchWriteOutcome<'_> {
        let results = self.0.iter().enumerate().map(|(index, item)| match item {
            Ok(Written { id, version }) => {
                WriteOutcome { index, id: Some(*id), version: Some(*version), problem: None }
            }
            Err(problem) => {
                let problem = Some(problem.document(request));
                WriteOutcome { index, id: None, version: None, problem }
            }
        });
        BatchWriteOutcome { results: results.collect() }
    }
}

/// What became of a batch that reads.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its shape is used; `write_read` writes it")]
pub(crate) struct BatchReadOutcome<'a> {
    /// One result for each item, in their order.
    results: Vec<ReadOutcome<'a>>,
}

/// What became of one item.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its shape is used; `write_read` writes it")]
struct ReadOutcome<'a> {
    /// The item's place, from 0.
    index: usize,
    /// The record, if the caller may see it.
    #[schema(nullable = false)]
    record: Option<Record>,
    /// Why it is not shown; the same for what is not there and what the caller may not know about.
    #[schema(nullable = false)]
    problem: Option<ProblemDocument<'a>>,
}

/// Writes what became of a batch that reads.
pub(crate) fn write_read(outcomes: Outcomes<RecordView>, request: RequestId) -> Wiping<Vec<u8>> {
    let outcomes: Vec<_> =
        outcomes.into_iter().map(|outcome| outcome.map_err(Problem::from)).collect();
    write_results(&outcomes, |place, outcome, out| {
        // Writing to memory does not fail.
        let _ = write!(out, "{{\"index\":{place},");
        match outcome {
            Ok(record) => {
                out.extend_from_slice(b"\"record\":");
                crate::wire::WriteJson::write_json(record, out);
            }
            Err(problem) => {
                out.extend_from_slice(b"\"problem\":");
                // Texts and numbers can always be written.
                let _ = serde_json::to_writer(&mut *out, &problem.document(request));
            }
        }
        out.push(b'}');
    })
}
