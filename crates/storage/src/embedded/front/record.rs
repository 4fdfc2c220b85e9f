//! The changes of one group as bytes, and back.
//!
//! `lines before u64 | next node u32, 0 for none | rows u32 | lines u32 | row* | line*`; a row is `key
//! length u16 | key | version u64 | value length u32 | value`, version 0 for one that is removed, and a
//! line `length u32 | line`. Rows stand in the order of their keys, so that equal changes have equal bytes.

use bytes::Bytes;

use crate::embedded::engine::Changes;
use crate::{Row, RowKey};

/// Appends the bytes of these changes, before which there were so many lines.
pub(super) fn encode(changes: &Changes, lines_before: u64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&lines_before.to_be_bytes());
    bytes.extend_from_slice(&changes.next_node.unwrap_or(0).to_be_bytes());
    put_length(changes.rows.len(), bytes);
    put_length(changes.lines.len(), bytes);
    for (key, row) in &changes.rows {
        let length = u16::try_from(key.as_bytes().len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(key.as_bytes());
        let (version, value) = row.as_ref().map_or((0, &[][..]), |row| (row.version, &row.value));
        bytes.extend_from_slice(&version.to_be_bytes());
        put_length(value.len(), bytes);
        bytes.extend_from_slice(value);
    }
    for line in &changes.lines {
        put_length(line.len(), bytes);
        bytes.extend_from_slice(line);
    }
}

/// The changes with these bytes, and how many lines there were before them; none if these are not
/// the bytes of changes.
pub(super) fn decode(bytes: &[u8]) -> Option<(Changes, u64)> {
    let mut rest = Rest(bytes);
    let lines_before = rest.long()?;
    let next_node = rest.number()?;
    let (rows, lines) = (rest.number()?, rest.number()?);
    let mut changes =
        Changes { next_node: (next_node != 0).then_some(next_node), ..Changes::default() };
    for _ in 0..rows {
        let length = usize::from(u16::from_be_bytes(rest.chunk()?));
        let key = RowKey::new(rest.take(length)?);
        let version = rest.long()?;
        let value = rest.sized()?;
        if changes.rows.last_key_value().is_some_and(|(last, _)| *last >= key)
            || (version == 0 && !value.is_empty())
        {
            return None;
        }
        let row = Row { version, value: Bytes::copy_from_slice(value) };
        changes.rows.insert(key, (version != 0).then_some(row));
    }
    for _ in 0..lines {
        changes.lines.push(Bytes::copy_from_slice(rest.sized()?));
    }
    rest.0.is_empty().then_some((changes, lines_before))
}

fn put_length(length: usize, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// What is still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*chunk)
    }

    fn long(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_be_bytes)
    }

    fn number(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_be_bytes)
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Bytes that come after their length.
    fn sized(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes() -> Changes {
        let mut changes = Changes { next_node: Some(7), ..Changes::default() };
        for (key, version, value) in [("a", 1, ""), ("b", 9, "value"), ("long", 2, "more")] {
            let row = Row { version, value: Bytes::from_static(value.as_bytes()) };
            changes.rows.insert(RowKey::new(key.repeat(60)), Some(row));
        }
        changes.rows.insert(RowKey::new("gone"), None);
        changes.lines = vec![Bytes::from_static(b"first"), Bytes::new()];
        changes
    }

    #[test]
    fn changes_read_back_as_they_were_written_and_the_same_bytes_come_of_them() {
        for changes in [changes(), Changes::default()] {
            let (mut bytes, mut again) = (Vec::new(), Vec::new());
            encode(&changes, 41, &mut bytes);
            let (read, lines_before) = decode(&bytes).unwrap();
            assert_eq!(lines_before, 41);
            assert_eq!(
                (&read.rows, &read.lines, read.next_node),
                (&changes.rows, &changes.lines, changes.next_node)
            );
            encode(&read, lines_before, &mut again);
            assert_eq!(again, bytes);
        }
    }

    #[test]
    fn bytes_that_were_cut_or_continued_are_no_changes() {
        let mut bytes = Vec::new();
        encode(&changes(), 0, &mut bytes);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_none(), "cut to {length}");
        }
        bytes.push(0);
        assert!(decode(&bytes).is_none());
    }
}
