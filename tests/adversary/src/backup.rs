//! The rows of a backup (`docs/formats/backup.md`).

use crate::evidence::Evidence;
use crate::rows::{u32_at, u64_at};

const MAGIC: &[u8] = b"SRbackup";
/// Before the rows: version, number, digest of the part before, how many rows.
const HEADER: usize = 4 + 4 + 32 + 4;

impl Evidence {
    /// Takes the rows of a part of a backup, as far as they can be read, and gives how many there were.
    pub fn backup_part(&mut self, bytes: &[u8]) -> usize {
        let rows = bytes.strip_prefix(MAGIC).and_then(|bytes| bytes.get(HEADER..));
        let mut rest = rows.unwrap_or_default();
        let mut taken = 0;
        while let Some((row, after)) = Row::first_of(rest) {
            self.row(row.key, row.version, row.value);
            rest = after;
            taken += 1;
        }
        taken
    }
}

struct Row<'a> {
    key: &'a [u8],
    version: u64,
    value: &'a [u8],
}

impl<'a> Row<'a> {
    /// `key length u16 | key | version u64 | value length u32 | value`, and what follows it.
    fn first_of(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let (version, length) = (u64_at(rest, 0)?, u32_at(rest, 8)?);
        let (value, after) = rest.get(12..)?.split_at_checked(usize::try_from(length).ok()?)?;
        Some((Self { key, version, value }, after))
    }
}
