//! Segment files of the journal in front: `00000001.groups` and so on, only the last of which grows.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::frame::Digest;
use crate::OpenError;
use crate::journal::segment::UNFINISHED;
use crate::journal::{self, sync_folder};

/// What a segment begins with: `magic 8 | version u32 | segment u32 | first group u64 | previous digest 32 |
/// first 8 bytes of SHA-256 of all that`.
pub(super) const HEADER_BYTES: u32 = 64;
const MAGIC: [u8; 8] = *b"SRgrps\0\0";
const VERSION: u32 = 1;
/// The ending of a segment's name.
const ENDING: &str = ".groups";

/// Where a segment stands in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Begin {
    pub(super) segment: u32,
    /// The number of its first group.
    pub(super) group: u64,
    /// The digest of the group before.
    pub(super) previous: Digest,
}

/// Where a segment lies.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}{ENDING}"))
}

/// Makes a segment that holds no group yet; it is durable, its name included, or not there.
pub(super) fn create(folder: &Path, begin: Begin) -> io::Result<File> {
    let number = begin.segment;
    let unfinished = folder.join(format!("{number:08}{ENDING}{UNFINISHED}"));
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
    file.write_all_at(&header(begin), 0)?;
    file.sync_all()?;
    fs::rename(&unfinished, path(folder, number))?;
    // It is there then, and no lack of room that leaves everything as it was.
    sync_folder(folder).map_err(io::Error::other)?;
    Ok(file)
}

/// How a segment begins; none if these are not its first bytes.
pub(super) fn begin_of(bytes: &[u8], number: u32) -> Option<Begin> {
    let rest = bytes.strip_prefix(MAGIC.as_slice())?;
    let (_, rest) = rest.split_first_chunk::<8>()?;
    let (group, rest) = rest.split_first_chunk::<8>()?;
    let previous = rest.first_chunk::<32>()?;
    let begin = Begin { segment: number, group: u64::from_be_bytes(*group), previous: *previous };
    bytes.starts_with(&header(begin)).then_some(begin)
}

/// The numbers of the segments, ascending; removes unfinished ones.
///
/// # Errors
/// [`OpenError::Damaged`] if one is missing between others, or a foreign file lies among them.
pub(super) fn numbers(folder: &Path) -> Result<Vec<u32>, OpenError> {
    let damaged =
        |what: &str| OpenError::Damaged { path: folder.to_owned(), what: what.to_owned() };
    if !folder.exists() {
        return Err(damaged("the folder is missing"));
    }
    let numbers = journal::segment::numbers(folder, ENDING)?;
    let first = numbers.first().copied();
    let first = first.ok_or_else(|| damaged("it has no segment"))?;
    let expected: Vec<u32> = (first..).take(numbers.len()).collect();
    if numbers == expected { Ok(numbers) } else { Err(damaged("a segment is missing")) }
}

fn header(begin: Begin) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_be_bytes());
    header.extend_from_slice(&begin.segment.to_be_bytes());
    header.extend_from_slice(&begin.group.to_be_bytes());
    header.extend_from_slice(&begin.previous);
    let digest = Sha256::digest(&header);
    header.extend(digest.iter().take(8));
    header
}
