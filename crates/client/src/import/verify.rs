//! Whether an import has arrived: every row is read once more and compared with what the server has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde_json::{Map, Value};
use strongroom_model::{ClearValue, CollectionName, FieldType, Plaintext, RecordId};

use crate::export::{external_ids, ids, target};
use crate::import::{ImportError, Mapping, ReadRow, Rows};
use crate::{
    BATCH_ITEMS_MAX, BatchToRead, ImportItem, ItemRead, ItemToRead, NamedRecord, Record, Scoped,
};

/// Lines that are named of those that are not as the file has them.
const LINES_MAX: usize = 100;
/// So many external ids are remembered; then all are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// What became of the comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Rows whose records have all their values.
    pub same: u64,
    /// Rows whose records have other values.
    pub different: u64,
    /// Rows without a record that the caller sees.
    pub missing: u64,
    /// Rows that become no record by the mapping.
    pub unmapped: u64,
    /// Values that cannot be compared, because the caller sees them masked.
    pub unseen: u64,
    /// The first lines of rows that are different or missing.
    pub lines: Vec<u64>,
}

/// Compares all rows with the collection. `progress` is called after each batch.
///
/// # Errors
/// [`ImportError`] if the file cannot be read to its end, or the server does not answer.
pub async fn verify<R: Read>(
    scoped: Scoped<'_>,
    mapping: &Mapping,
    mut rows: Rows<R>,
    mut progress: impl FnMut(&Verified),
) -> Result<Verified, ImportError> {
    let collection = scoped.collection(&mapping.collection).await?.value;
    let kinds = collection.fields.into_iter().map(|field| (field.name.to_string(), field.kind));
    let mut comparison = Comparison {
        scoped,
        collection: &mapping.collection,
        kinds: kinds.collect(),
        known: BTreeMap::new(),
        verified: Verified::default(),
    };
    let mut part = Vec::with_capacity(BATCH_ITEMS_MAX);
    loop {
        let read = rows.read()?;
        let ended = read.is_none();
        match read {
            Some(ReadRow::Row(line, row)) => match mapping.item(&row) {
                Ok(item) => part.push((line, item)),
                Err(_) => comparison.verified.unmapped += 1,
            },
            Some(ReadRow::Bad { .. }) => comparison.verified.unmapped += 1,
            None => {}
        }
        if part.len() == BATCH_ITEMS_MAX || (ended && !part.is_empty()) {
            comparison.compare(&part).await?;
            part.clear();
            progress(&comparison.verified);
        }
        if ended {
            return Ok(comparison.verified);
        }
    }
}

struct Comparison<'c> {
    scoped: Scoped<'c>,
    collection: &'c CollectionName,
    kinds: BTreeMap<String, FieldType>,
    /// The external ids of records that others refer to.
    known: BTreeMap<(CollectionName, RecordId), Option<String>>,
    verified: Verified,
}

impl Comparison<'_> {
    async fn compare(&mut self, part: &[(u64, ImportItem)]) -> Result<(), ImportError> {
        let items = part.iter().map(|(_, item)| ItemToRead {
            collection: self.collection.clone(),
            record: NamedRecord::External { external_id: item.external_id.clone() },
        });
        let batch = BatchToRead { items: items.collect(), shown: BTreeMap::new() };
        let results = self.scoped.batch_get_records(&batch).await?.value;
        if results.len() != part.len() {
            return Err(ImportError::Results);
        }
        self.learn(&results).await?;
        for ((line, item), result) in part.iter().zip(results) {
            let counted = match result.record {
                None => &mut self.verified.missing,
                Some(record) if self.is_same(&item.fields, &record) => {
                    self.verified.same += 1;
                    continue;
                }
                Some(_) => &mut self.verified.different,
            };
            *counted += 1;
            if self.verified.lines.len() < LINES_MAX {
                self.verified.lines.push(*line);
            }
        }
        Ok(())
    }

    /// Asks for the external ids of the records that these refer to.
    async fn learn(&mut self, results: &[ItemRead]) -> Result<(), ImportError> {
        if self.known.len() > REMEMBERED_MAX {
            self.known.clear();
        }
        let mut wanted = BTreeSet::new();
        for record in results.iter().filter_map(|result| result.record.as_ref()) {
            for (name, kind) in &self.kinds {
                let Some(target) = target(kind) else { continue };
                for id in record.fields.get(name).into_iter().flat_map(ids) {
                    let place = (target.clone(), id);
                    if !self.known.contains_key(&place) {
                        wanted.insert(place);
                    }
                }
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        for part in wanted.chunks(BATCH_ITEMS_MAX) {
            for (place, external_id) in part.iter().zip(external_ids(self.scoped, part).await?) {
                self.known.insert(place.clone(), external_id);
            }
        }
        Ok(())
    }

    /// Whether a record has the values that were sent.
    fn is_same(&mut self, sent: &Map<String, Value>, record: &Record) -> bool {
        let mut same = true;
        for (name, value) in sent {
            match (self.kinds.get(name), record.fields.get(name)) {
                (Some(kind), Some(shown)) => same &= self.is_value(kind, value, shown),
                (Some(_), None) if record.masked.contains_key(name) => self.verified.unseen += 1,
                (Some(_), None) if value.is_null() => {}
                (Some(_) | None, _) => same = false,
            }
        }
        same
    }

    /// Whether what was sent and what is shown are the same value of a type, written in whatever way.
    fn is_value(&self, kind: &FieldType, sent: &Value, shown: &Value) -> bool {
        if let Some(target) = target(kind) {
            return self.leads_to(&target, sent, shown);
        }
        match (stored(kind, sent), stored(kind, shown)) {
            (Some(sent), Some(shown)) => sent.expose() == shown.expose(),
            (Some(_) | None, _) => false,
        }
    }

    fn leads_to(&self, target: &CollectionName, sent: &Value, shown: &Value) -> bool {
        match (sent, shown) {
            (Value::Array(sent), Value::Array(shown)) => {
                sent.len() == shown.len()
                    && sent
                        .iter()
                        .zip(shown)
                        .all(|(sent, shown)| self.leads_to(target, sent, shown))
            }
            (sent, Value::String(shown)) => {
                let id = shown.parse::<RecordId>().ok();
                let external_id = id.and_then(|id| self.known.get(&(target.clone(), id)));
                let external_id = external_id.and_then(Option::as_deref);
                let named = sent.get("external_id").and_then(Value::as_str);
                sent.as_str() == Some(shown.as_str()) || (named.is_some() && named == external_id)
            }
            (_, _) => false,
        }
    }
}

/// The bytes that a value is stored as.
fn stored(kind: &FieldType, value: &Value) -> Option<Plaintext<Vec<u8>>> {
    let value: ClearValue = serde_json::from_value(value.clone()).ok()?;
    kind.store(&value).ok()
}
