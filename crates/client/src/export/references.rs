//! References of exported records, from ids to the external ids of the records that they lead to: ids
//! belong to one server, external ids to the SaaS product.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use strongroom_model::{CollectionName, FieldName, FieldType, RecordId};

use crate::export::{Export, ExportError};
use crate::import::Format;
use crate::{BATCH_ITEMS_MAX, BatchToRead, FieldsShown, ItemToRead, NamedRecord, Scoped};

/// So many external ids are remembered; then all are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// The fields of a collection that refer to others, and what is known of where they lead.
pub(crate) struct References {
    fields: BTreeMap<FieldName, CollectionName>,
    /// The external ids of records; nothing for those of which the caller gets none.
    known: BTreeMap<(CollectionName, RecordId), Option<String>>,
}

impl References {
    /// The references of a collection; nothing where they stay as they are.
    pub(crate) async fn of(
        scoped: Scoped<'_>,
        wanted: &Export,
    ) -> Result<Option<Self>, ExportError> {
        if !wanted.references || wanted.format != Format::Ndjson {
            return Ok(None);
        }
        let collection = scoped.collection(&wanted.collection).await?.value;
        let fields: BTreeMap<_, _> = collection
            .fields
            .into_iter()
            .filter_map(|field| target(&field.kind).map(|target| (field.name, target)))
            .collect();
        Ok((!fields.is_empty()).then_some(Self { fields, known: BTreeMap::new() }))
    }

    /// Names the records to which these refer by their external ids, as far as the caller sees them; the
    /// others stay ids and are counted.
    pub(crate) async fn resolve(
        &mut self,
        scoped: Scoped<'_>,
        records: &mut [Map<String, Value>],
        unresolved: &mut u64,
    ) -> Result<(), ExportError> {
        self.learn(scoped, records).await?;
        for record in records {
            if let Some(Value::Object(fields)) = record.get_mut("fields") {
                for (name, target) in &self.fields {
                    if let Some(value) = fields.get_mut(name.as_str()) {
                        self.replace(target, value, unresolved);
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks for the external ids that are not known yet.
    async fn learn(
        &mut self,
        scoped: Scoped<'_>,
        records: &[Map<String, Value>],
    ) -> Result<(), ExportError> {
        if self.known.len() > REMEMBERED_MAX {
            self.known.clear();
        }
        let mut wanted: BTreeSet<(CollectionName, RecordId)> = BTreeSet::new();
        for record in records {
            for (name, target) in &self.fields {
                let value = record.get("fields").and_then(|fields| fields.get(name.as_str()));
                for id in value.into_iter().flat_map(ids) {
                    let place = (target.clone(), id);
                    if !self.known.contains_key(&place) {
                        wanted.insert(place);
                    }
                }
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        for part in wanted.chunks(BATCH_ITEMS_MAX) {
            for (place, external_id) in part.iter().zip(external_ids(scoped, part).await?) {
                self.known.insert(place.clone(), external_id);
            }
        }
        Ok(())
    }

    fn replace(&self, target: &CollectionName, value: &mut Value, unresolved: &mut u64) {
        match value {
            Value::String(text) => {
                let id = text.parse::<RecordId>().ok();
                let known = id.and_then(|id| self.known.get(&(target.clone(), id)));
                if let Some(Some(external_id)) = known {
                    *value = serde_json::json!({ "external_id": external_id });
                } else {
                    *unresolved += 1;
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.replace(target, item, unresolved);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        }
    }
}

/// The collection that a field refers to.
pub(crate) fn target(kind: &FieldType) -> Option<CollectionName> {
    match kind {
        FieldType::Reference(target) => Some(target.clone()),
        FieldType::List(of) => target(of),
        FieldType::Text
        | FieldType::Name
        | FieldType::Email
        | FieldType::Phone
        | FieldType::Date
        | FieldType::Timestamp
        | FieldType::Number
        | FieldType::Decimal
        | FieldType::Boolean
        | FieldType::Choice(_)
        | FieldType::Address
        | FieldType::NationalId
        | FieldType::TaxId
        | FieldType::Card
        | FieldType::Location
        | FieldType::Credential
        | FieldType::Subject
        | FieldType::Json
        | FieldType::File => None,
    }
}

/// The ids in a value that refers to records.
pub(crate) fn ids(value: &Value) -> Vec<RecordId> {
    match value {
        Value::String(text) => text.parse().into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(ids).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// The external ids of these records, as far as the caller sees them; none of their fields is asked for.
pub(crate) async fn external_ids(
    scoped: Scoped<'_>,
    records: &[(CollectionName, RecordId)],
) -> Result<Vec<Option<String>>, crate::ClientError> {
    let items = records.iter().map(|(collection, id)| ItemToRead {
        collection: collection.clone(),
        record: NamedRecord::Id { id: *id },
    });
    let nothing = || FieldsShown { fields: Some(Vec::new()), reveal: Vec::new() };
    let shown = records.iter().map(|(collection, _)| (collection.clone(), nothing())).collect();
    let batch = BatchToRead { items: items.collect(), shown };
    let results = scoped.batch_get_records(&batch).await?.value;
    Ok(results.into_iter().map(|item| item.record.and_then(|record| record.external_id)).collect())
}
