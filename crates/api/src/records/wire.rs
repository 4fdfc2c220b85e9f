//! Records as JSON, on their way in; `wire/record.rs` writes them on their way out.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use strongroom_model::{
    ClearValue, CollectionName, ExternalId, FieldName, Label, NamedUser, Purpose, RecordId,
    SubjectId, Timestamp, UserId,
};
use strongroom_vault::{Expected, Idempotency, records};
use utoipa::ToSchema;

use crate::extract::{FromBody, Sent};
use crate::limits::{IMPORT_BYTES_MAX, IMPORT_ITEMS_MAX};
use crate::problem::{FlawDocument, Problem};

/// A record that is to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRecord {
    /// The id that the SaaS product has for it, which no other record of the collection has.
    #[serde(default)]
    #[schema(example = "C-1024")]
    external_id: Option<ExternalId>,
    /// The subject whom it is about, by its id or as `{"external_id": …}`; by the collection's rule, if
    /// absent. A subject whose external id there is not yet is made with the record.
    #[serde(default)]
    #[schema(value_type = Option<SubjectShape>)]
    subject: Option<Named<SubjectId>>,
    /// Who gave the data.
    #[serde(default)]
    source: Option<Label>,
    /// When the data was collected; now, if absent. Retention runs from here.
    #[serde(default)]
    collected_at: Option<Timestamp>,
    /// The version of the notice that was in force when it was collected.
    #[serde(default)]
    notice: Option<u32>,
    /// For what it may be used; for everything that the collection may, if absent.
    #[serde(default)]
    purposes: Option<Vec<Purpose>>,
    /// The users to whom it is assigned, each by their id or as `{"external_id": …}`.
    #[serde(default)]
    #[schema(value_type = Vec<UserShape>)]
    assignees: Vec<Named<UserId>>,
    /// Its fields by name. A reference is a record's id, or `{"external_id": …}`.
    #[serde(deserialize_with = "crate::json::members")]
    #[schema(value_type = BTreeMap<String, serde_json::Value>,
        example = json!({"name": "Sandra Sample", "phone": "+49 30 5550100"}))]
    fields: Vec<(FieldName, ClearValue)>,
}

impl FromBody for NewRecord {}

impl NewRecord {
    /// As the vault takes it.
    pub(crate) fn create(sent: Sent<Self>, collection: CollectionName) -> records::CreateRecord {
        records::CreateRecord { collection, record: sent.value.into(), idempotency: sent.repeat }
    }
}

impl From<NewRecord> for records::NewRecord {
    fn from(new: NewRecord) -> Self {
        let NewRecord {
            external_id,
            subject,
            source,
            collected_at,
            notice,
            purposes,
            assignees,
            fields,
        } = new;
        let subject = subject.map(records::NamedSubject::from);
        let assignees = users(assignees);
        Self { external_id, subject, source, collected_at, notice, purposes, assignees, fields }
    }
}

/// Something that a record names: by its id, or by the SaaS product's own.
pub(crate) enum Named<I> {
    /// By its id.
    Id(I),
    /// By the id that the SaaS product has for it.
    External(ExternalId),
}

impl From<Named<SubjectId>> for records::NamedSubject {
    fn from(named: Named<SubjectId>) -> Self {
        match named {
            Named::Id(id) => Self::Id(id),
            Named::External(external_id) => Self::External(external_id),
        }
    }
}

impl From<Named<UserId>> for NamedUser {
    fn from(named: Named<UserId>) -> Self {
        match named {
            Named::Id(id) => Self::Id(id),
            Named::External(external_id) => Self::External(external_id),
        }
    }
}

/// Users as the vault takes them.
pub(crate) fn users(named: Vec<Named<UserId>>) -> Vec<NamedUser> {
    named.into_iter().map(NamedUser::from).collect()
}

/// By what a record names the person whom it is about, as the document describes it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SubjectNamed)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum SubjectShape {
    /// The subject's id.
    Id(String),
    /// The id that the SaaS product has for the person.
    ByExternalId(ExternalIdNamed),
}

/// By what a record names a user to whom it is assigned, as the document describes it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = UserNamed)]
#[expect(dead_code, reason = "only its shape is used")]
pub(crate) enum UserShape {
    /// The user's id.
    Id(String),
    /// The id that the SaaS product has for the user.
    ByExternalId(ExternalIdNamed),
}

/// Something by its external id.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalIdNamed {
    /// The id that the SaaS product has for it.
    external_id: ExternalId,
}

impl<'de, I: FromStr<Err: fmt::Display>> Deserialize<'de> for Named<I> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<I>(PhantomData<I>);
        impl<'de, I: FromStr<Err: fmt::Display>> Visitor<'de> for Either<I> {
            type Value = Named<I>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or an object with its `external_id`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Named<I>, E> {
                text.parse().map(Named::Id).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Named<I>, A::Error> {
                let named = ExternalIdNamed::deserialize(MapAccessDeserializer::new(members))?;
                Ok(Named::External(named.external_id))
            }
        }
        from.deserialize_any(Either(PhantomData))
    }
}

/// What is to change of a record: a merge patch (RFC 7396).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordPatch {
    /// Fields by name; null takes a field away.
    #[serde(default, deserialize_with = "crate::json::members")]
    #[schema(value_type = BTreeMap<String, serde_json::Value>,
        example = json!({"phone": "+49 30 5550199", "fax": null}))]
    fields: Vec<(FieldName, ClearValue)>,
    /// The users to whom it is to be assigned, each by their id or as `{"external_id": …}`.
    #[serde(default, deserialize_with = "crate::json::present")]
    #[schema(value_type = Option<Vec<UserShape>>, nullable = false)]
    assignees: Option<Vec<Named<UserId>>>,
    /// Whether what stood there was wrong and is to be erased: the record is sealed under another key,
    /// and the old one dies with the next batch.
    #[serde(default)]
    correction: bool,
}

impl FromBody for RecordPatch {}

impl RecordPatch {
    /// As the vault takes it.
    pub(crate) fn of(
        self,
        collection: CollectionName,
        record: RecordId,
        expected: Expected,
    ) -> records::ChangeRecord {
        let Self { fields, assignees, correction } = self;
        let assignees = assignees.map(users);
        records::ChangeRecord { collection, record, expected, fields, assignees, correction }
    }
}

/// By what a record is looked up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordLookup {
    /// The id that the SaaS product has for it.
    #[schema(example = "C-1024")]
    external_id: ExternalId,
}

impl FromBody for RecordLookup {}

impl RecordLookup {
    /// As the vault takes it.
    pub(crate) fn of(
        self,
        collection: CollectionName,
        wanted: records::Wanted,
    ) -> records::LookUpRecord {
        records::LookUpRecord { collection, external_id: self.external_id, wanted }
    }
}

/// Records that are to be imported.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImport {
    /// 1 to 500 records, each with an external id.
    #[serde(deserialize_with = "crate::json::strict_items")]
    #[schema(min_items = 1, max_items = 500)]
    items: Vec<NewRecord>,
}

impl FromBody for NewImport {
    const BYTES_MAX: usize = IMPORT_BYTES_MAX;
}

impl NewImport {
    /// How many items there are.
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    /// As the vault takes it.
    ///
    /// # Errors
    /// 422 for no items or too many.
    pub(crate) fn of(
        self,
        collection: CollectionName,
        idempotency: Idempotency,
    ) -> Result<records::ImportRecords, Problem> {
        if !(1..=IMPORT_ITEMS_MAX).contains(&self.items.len()) {
            let detail = format!("an import has 1 to {IMPORT_ITEMS_MAX} items");
            return Err(Problem::invalid_at("/items", detail));
        }
        let items = self.items.into_iter().map(Into::into).collect();
        Ok(records::ImportRecords { collection, items, idempotency: Some(idempotency) })
    }
}

/// A record as the caller sees it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its shape is used; `wire/record.rs` writes it")]
pub(crate) struct Record {
    /// Its id.
    #[schema(value_type = String, example = "rec_0rk3c5vrm9w8e2t1y4q6z7x8b9")]
    id: RecordId,
    /// The name of its collection.
    collection: CollectionName,
    /// The subject whom it is about; null for a record about nobody.
    #[schema(value_type = Option<String>)]
    subject: Option<SubjectId>,
    /// The id that the SaaS product has for it.
    external_id: Option<ExternalId>,
    /// Its version, as the ETag has it.
    version: u64,
    /// When it was created here.
    created_at: Timestamp,
    /// When it was last changed.
    changed_at: Timestamp,
    /// The users to whom it is assigned.
    #[schema(value_type = Vec<String>)]
    assignees: Vec<UserId>,
    /// The fields that the caller sees in the clear.
    #[schema(value_type = BTreeMap<String, serde_json::Value>,
        example = json!({"name": "Sandra Sample"}))]
    fields: (),
    /// What masks leave of the fields that the caller sees masked.
    #[schema(example = json!({"phone": "•••• 0100"}))]
    masked: BTreeMap<String, String>,
}

/// What became of an import.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImportOutcome {
    /// One result for each item, in their order.
    results: Vec<ItemOutcome>,
}

/// What became of one item.
#[derive(Serialize, ToSchema)]
pub(crate) struct ItemOutcome {
    /// The item's place, from 0.
    index: usize,
    /// What became of it.
    status: ItemStatus,
    /// The record that was created or was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    id: Option<RecordId>,
    /// Why it was not created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FlawDocument>,
}

/// How an item ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ItemStatus {
    /// A record was created.
    Created,
    /// A record with its external id was there; it was left as it is.
    Exists,
    /// It was not created.
    Failed,
}

impl From<Vec<records::Imported>> for ImportOutcome {
    fn from(outcomes: Vec<records::Imported>) -> Self {
        let results = outcomes.into_iter().enumerate();
        Self { results: results.map(|(index, outcome)| ItemOutcome::of(index, outcome)).collect() }
    }
}

impl ItemOutcome {
    fn of(index: usize, outcome: records::Imported) -> Self {
        let (status, id, errors) = match outcome {
            records::Imported::Created(id) => (ItemStatus::Created, Some(id), Vec::new()),
            records::Imported::Exists(id) => (ItemStatus::Exists, Some(id), Vec::new()),
            records::Imported::Failed(error) => {
                (ItemStatus::Failed, None, Problem::from(error).into_flaws())
            }
        };
        Self { index, status, id, errors }
    }
}
