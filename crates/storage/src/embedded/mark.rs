//! How far a database was durable, kept beside it, so that an engine which quietly drops the end
//! of its log is found out.
//!
//! `magic 8 | group u64 | crc32 u32`, written over itself after each durable group and not synced: after
//! a crash it may be behind the database, and is never ahead of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::OpenError;

/// What the file begins with.
const MAGIC: [u8; 8] = *b"SRmark\0\0";
/// Its length in bytes; it lies in one sector, so that no crash leaves half of it.
const BYTES: usize = 20;

/// The file of the mark.
pub(super) struct Mark(File);

impl Mark {
    /// Makes the mark of a new database, durable but for its name.
    pub(super) fn create(path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all_at(&encode(0), 0)?;
        file.sync_all()
    }

    /// As [`Mark::open`]; a missing mark is damage to the database that it stands beside.
    pub(super) fn open_beside(
        path: &Path,
        database: &Path,
    ) -> Result<(Self, Option<u64>), OpenError> {
        Self::open(path).map_err(|reason| match reason.kind() {
            io::ErrorKind::NotFound => OpenError::Damaged {
                path: database.to_owned(),
                what: "the mark beside it is missing".to_owned(),
            },
            _ => OpenError::Unreadable { path: path.to_owned(), reason },
        })
    }

    /// Opens the mark and reads it; none if its bytes are not what was written, of which the
    /// database knows nothing.
    fn open(path: &Path) -> io::Result<(Self, Option<u64>)> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut bytes = [0; BYTES];
        let group = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok((Self(file), group))
    }

    /// Notes that the database is durable up to this group. A mark that stays behind does no harm.
    pub(super) fn set(&self, group: u64) {
        if let Err(error) = self.0.write_all_at(&encode(group), 0) {
            tracing::warn!(%error, "the mark beside the database was not written");
        }
    }
}

fn encode(group: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&group.to_be_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; BYTES]) -> Option<u64> {
    let group = bytes.strip_prefix(MAGIC.as_slice())?.first_chunk::<8>()?;
    let group = u64::from_be_bytes(*group);
    (encode(group) == bytes).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_one_with_a_changed_bit_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        Mark::create(&path).unwrap();
        let (mark, group) = Mark::open(&path).unwrap();
        assert_eq!(group, Some(0));
        mark.set(7_000_000_000);
        assert_eq!(Mark::open(&path).unwrap().1, Some(7_000_000_000));
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, changed).unwrap();
            assert_eq!(Mark::open(&path).unwrap().1, None, "bit {bit}");
        }
        std::fs::write(&path, &whole[..19]).unwrap();
        assert_eq!(Mark::open(&path).unwrap().1, None);
    }
}
