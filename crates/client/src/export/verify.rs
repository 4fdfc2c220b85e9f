//! Whether the records of an NDJSON export are still in the collection as the file has them.

use std::io::{BufRead, BufReader, Read};

use strongroom_model::CollectionName;

use crate::export::{ExportError, ExportedRecord};
use crate::{BATCH_ITEMS_MAX, BatchToRead, FieldsShown, ItemToRead, NamedRecord, Scoped, Shown};

/// What became of the comparison of a file with the collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records in the collection that are as the file has them.
    pub same: u64,
    /// Records that have been changed since.
    pub changed: u64,
    /// Records that differ although their versions are the same.
    pub different: u64,
    /// Records that are not there any more, or not for the caller.
    pub gone: u64,
}

/// Reads an export and compares each record with the collection: its version, and its fields unless
/// they are references, whose external ids stand in the file.
///
/// # Errors
/// [`ExportError`].
pub async fn verify<R: Read>(
    scoped: Scoped<'_>,
    collection: &CollectionName,
    shown: &Shown,
    file: R,
    mut progress: impl FnMut(&Verified),
) -> Result<Verified, ExportError> {
    let mut lines = BufReader::new(file).lines();
    let mut verified = Verified::default();
    loop {
        let mut part = Vec::with_capacity(BATCH_ITEMS_MAX);
        for line in lines.by_ref().take(BATCH_ITEMS_MAX) {
            let line = line.map_err(|_| ExportError::Unintelligible)?;
            let record: ExportedRecord =
                serde_json::from_str(&line).map_err(|_| ExportError::Unintelligible)?;
            part.push(record);
        }
        if part.is_empty() {
            return Ok(verified);
        }
        let items = part.iter().map(|record| ItemToRead {
            collection: collection.clone(),
            record: NamedRecord::Id { id: record.id },
        });
        let fields = (!shown.fields.is_empty()).then(|| shown.fields.clone());
        let wanted = FieldsShown { fields, reveal: shown.reveal.clone() };
        let batch = BatchToRead {
            items: items.collect(),
            shown: [(collection.clone(), wanted)].into_iter().collect(),
        };
        let results = scoped.batch_get_records(&batch).await?.value;
        for (written, now) in part.iter().zip(results) {
            match now.record {
                None => verified.gone += 1,
                Some(now) if now.version != written.version => verified.changed += 1,
                Some(now) if is_same(written, &now) => verified.same += 1,
                Some(_) => verified.different += 1,
            }
        }
        progress(&verified);
    }
}

fn is_same(written: &ExportedRecord, now: &crate::Record) -> bool {
    let of_fields = written.fields.len() == now.fields.len()
        && written.fields.iter().all(|(name, value)| {
            let is_reference = |value: &serde_json::Value| match value {
                serde_json::Value::Object(members) => {
                    members.len() == 1 && members.contains_key("external_id")
                }
                serde_json::Value::Null
                | serde_json::Value::Bool(_)
                | serde_json::Value::Number(_)
                | serde_json::Value::String(_)
                | serde_json::Value::Array(_) => false,
            };
            let refers = is_reference(value)
                || value.as_array().is_some_and(|items| items.iter().any(is_reference));
            now.fields.get(name).is_some_and(|now| refers || now == value)
        });
    of_fields && written.external_id == now.external_id
}
