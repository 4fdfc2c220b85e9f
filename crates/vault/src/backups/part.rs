//! The bytes of a part: rows as they stand in the store, and the digest of the part before.

use bytes::Bytes;
use strongroom_crypto::hash;
use strongroom_crypto::layout::{Reader, Writer};
use strongroom_model::InstallId;
use strongroom_storage::{Row, RowKey};

/// What every part begins with.
const MAGIC: &[u8; 8] = b"SRbackup";
/// The version of the layout.
const VERSION: u32 = 1;
/// Domain of what stands in the place of a digest in the first part.
const FIRST_LABEL: &[u8] = b"sr1/backup\0";
/// A part takes no further rows once it has so many bytes: 4 MiB.
pub(super) const PART_BYTES: usize = 4 * 1024 * 1024;

/// A SHA-256.
pub(super) type Digest = [u8; 32];

/// The digest that the first part of a backup names as the one before.
pub(super) fn first_digest(install: InstallId, backup: &[u8; 16]) -> Digest {
    hash::sha256(&[FIRST_LABEL, install.as_bytes(), backup])
}

/// The digest of a part.
pub(super) fn digest(part: &[u8]) -> Digest {
    hash::sha256(&[part])
}

/// The name of a part's file.
pub(super) fn file_name(number: u32) -> String {
    format!("{number:08}.part")
}

/// A part that is being filled.
pub(super) struct PartWriter {
    number: u32,
    before: Digest,
    rows: u32,
    body: Vec<u8>,
}

impl PartWriter {
    /// The part of this number, counted from 1, after the one with this digest.
    pub(super) fn new(number: u32, before: Digest) -> Self {
        Self { number, before, rows: 0, body: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn add(&mut self, key: &RowKey, row: &Row) {
        let mut head = Writer::default();
        let bytes = key.as_bytes();
        head.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX)).bytes(bytes).u64(row.version);
        head.u32(u32::try_from(row.value.len()).unwrap_or(u32::MAX));
        self.body.extend_from_slice(&head.finish());
        self.body.extend_from_slice(&row.value);
        self.rows = self.rows.saturating_add(1);
    }

    /// Whether it takes no further rows.
    pub(super) fn is_full(&self) -> bool {
        self.body.len() >= PART_BYTES
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// Its bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut part = Writer::with_capacity(self.body.len() + 64);
        part.bytes(MAGIC).u32(VERSION).u32(self.number).bytes(&self.before).u32(self.rows);
        part.bytes(&self.body);
        part.finish()
    }
}

/// The rows of a part, if it is the one of this number after the part with this digest.
pub(super) fn read(part: &[u8], number: u32, before: &Digest) -> Option<Vec<(RowKey, Row)>> {
    let mut reader = Reader::new(part);
    let fits = reader.array::<8>()? == *MAGIC
        && reader.u32()? == VERSION
        && reader.u32()? == number
        && reader.array::<32>()? == *before;
    if !fits {
        return None;
    }
    let count = reader.u32()?;
    let mut rows = Vec::new();
    for _ in 0..count {
        let length = reader.u16()?;
        let key = RowKey::new(reader.slice(usize::from(length))?);
        let version = reader.u64()?;
        let length = reader.u32()?;
        let value = Bytes::copy_from_slice(reader.slice(usize::try_from(length).ok()?)?);
        rows.push((key, Row { version, value }));
    }
    reader.end()?;
    Some(rows)
}

/// A part in the place that it names, read and written again: for the fuzz target.
pub(crate) fn reread(part: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(part);
    let (_magic, _version) = (reader.array::<8>()?, reader.u32()?);
    let (number, before) = (reader.u32()?, reader.array::<32>()?);
    let mut writer = PartWriter::new(number, before);
    for (key, row) in read(part, number, &before)? {
        writer.add(&key, &row);
    }
    Some(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<u8>, Vec<(RowKey, Row)>) {
        let rows: Vec<(RowKey, Row)> = (1..4u8)
            .map(|at| {
                let value = Bytes::from(vec![at; usize::from(at)]);
                (RowKey::new([at; 17]), Row { version: u64::from(at), value })
            })
            .collect();
        let mut writer = PartWriter::new(7, [9; 32]);
        for (key, row) in &rows {
            writer.add(key, row);
        }
        (writer.finish(), rows)
    }

    #[test]
    fn a_part_reads_back_at_its_own_place_only() {
        let (part, rows) = sample();
        assert_eq!(read(&part, 7, &[9; 32]), Some(rows));
        assert_eq!(read(&part, 8, &[9; 32]), None);
        assert_eq!(read(&part, 7, &[8; 32]), None);
    }

    #[test]
    fn a_part_that_is_cut_or_longer_is_none() {
        let (part, _) = sample();
        for length in 0..part.len() {
            assert_eq!(read(&part[..length], 7, &[9; 32]), None, "{length}");
        }
        assert_eq!(read(&[part.as_slice(), &[0]].concat(), 7, &[9; 32]), None);
    }

    #[test]
    fn a_part_has_the_bytes_of_the_format_page() {
        let mut writer = PartWriter::new(1, [0xAA; 32]);
        writer.add(&RowKey::new([1, 2]), &Row { version: 3, value: Bytes::from_static(b"x") });
        let expected: Vec<u8> = [
            b"SRbackup".as_slice(),
            &[0, 0, 0, 1, 0, 0, 0, 1],
            &[0xAA; 32],
            &[0, 0, 0, 1],
            &[0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, b'x'],
        ]
        .concat();
        assert_eq!(writer.finish(), expected);
    }
}
