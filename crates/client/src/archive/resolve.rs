//! The records of a collection in an archive, as rows of an export whose references are external ids.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde_json::{Map, Value};
use strongroom_model::{CollectionName, FieldName, FieldType, RecordId};

use crate::Collection;
use crate::archive::{ArchiveError, ArchiveReader, Part};
use crate::export::target;

/// Which of a collection's references lead to records of the archive, and which of its fields hold files:
/// an archive has no bytes of files, and what is known of one without them is left out.
pub(super) struct References<'a> {
    fields: BTreeSet<FieldName>,
    files: BTreeSet<FieldName>,
    external_ids: &'a BTreeMap<RecordId, String>,
}

impl<'a> References<'a> {
    /// Those of a collection to these others.
    pub(super) fn of(
        collection: &Collection,
        archived: &BTreeSet<CollectionName>,
        external_ids: &'a BTreeMap<RecordId, String>,
    ) -> Self {
        let living = collection.fields.iter().filter(|field| !field.retired);
        let files = living.clone().filter(|field| field.kind == FieldType::File);
        let files = files.map(|field| field.name.clone()).collect();
        let leading = living
            .filter(|field| target(&field.kind).is_some_and(|target| archived.contains(&target)));
        Self { fields: leading.map(|field| field.name.clone()).collect(), files, external_ids }
    }

    /// The same lines with external ids. A record without one is known by the id that it had, as it is
    /// where it is brought in.
    fn resolve(&self, lines: Vec<u8>) -> io::Result<Vec<u8>> {
        if self.fields.is_empty() && self.files.is_empty() {
            return Ok(lines);
        }
        let mut resolved = Vec::with_capacity(lines.len() * 2);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let mut record: Map<String, Value> = serde_json::from_slice(line)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line is no record"))?;
            if let Some(Value::Object(fields)) = record.get_mut("fields") {
                fields.retain(|name, _| !self.files.iter().any(|file| file.as_str() == name));
                for name in &self.fields {
                    if let Some(value) = fields.get_mut(name.as_str()) {
                        self.replace(value);
                    }
                }
            }
            serde_json::to_writer(&mut resolved, &record)?;
            resolved.push(b'\n');
        }
        Ok(resolved)
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let known = text.parse().ok().and_then(|id: RecordId| self.external_ids.get(&id));
                let external_id = known.unwrap_or(text).clone();
                *value = serde_json::json!({ "external_id": external_id });
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        }
    }
}

/// The records of one collection, as a file of NDJSON. It ends where another collection begins.
pub(super) struct CollectionFile<'a, R> {
    pub(super) reader: &'a mut ArchiveReader<R>,
    /// The first part of what comes next.
    pub(super) next: &'a mut Option<Part>,
    pub(super) collection: &'a CollectionName,
    pub(super) references: &'a References<'a>,
    lines: io::Cursor<Vec<u8>>,
}

impl<'a, R: Read> CollectionFile<'a, R> {
    /// What `reader` has of a collection, beginning with `next`.
    pub(super) fn new(
        reader: &'a mut ArchiveReader<R>,
        next: &'a mut Option<Part>,
        collection: &'a CollectionName,
        references: &'a References<'a>,
    ) -> Self {
        Self { reader, next, collection, references, lines: io::Cursor::default() }
    }

    /// The next lines, if there are any of this collection.
    fn lines(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.next.take() {
            Some(Part::Records { collection, lines }) if collection == *self.collection => {
                *self.next = self.reader.next_part().map_err(unreadable)?;
                Ok(Some(lines))
            }
            other => {
                *self.next = other;
                Ok(None)
            }
        }
    }
}

impl<R: Read> Read for CollectionFile<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.lines.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            match self.lines()? {
                Some(lines) => self.lines = io::Cursor::new(self.references.resolve(lines)?),
                None => return Ok(0),
            }
        }
    }
}

fn unreadable(error: ArchiveError) -> io::Error {
    match error {
        ArchiveError::Unreadable(error) => error,
        ArchiveError::CutOff | ArchiveError::Unknown(_) | ArchiveError::Damaged(_) => {
            io::Error::new(io::ErrorKind::InvalidData, error.to_string())
        }
    }
}
