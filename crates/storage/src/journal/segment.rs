//! Segment files: `00000001.lines`, `00000002.lines` and so on, only the last of which grows.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::frame::{FRAME_HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, find_magic};
use super::{Durable, RESERVE_BYTES};
use crate::OpenError;

/// What a segment begins with: `magic 8 | version u32 | segment u32 | crc32 u32 | zeros 4`.
pub(super) const HEADER_BYTES: u32 = 24;
const MAGIC: [u8; 8] = *b"SRlines\0";
const VERSION: u32 = 1;
/// The ending of a segment's name.
const ENDING: &str = ".lines";
/// What follows the ending while a segment is being made; what a crash left of it is removed.
pub(crate) const UNFINISHED: &str = ".new";

/// Where a segment lies.
pub(super) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}{ENDING}"))
}

/// Makes the first segment of a new store.
pub(crate) fn create_first(folder: &Path) -> io::Result<()> {
    create(folder, 1).map(drop)
}

/// Makes a segment that holds no frame yet; it is durable, its name included, or not there.
pub(super) fn create(folder: &Path, number: u32) -> io::Result<File> {
    let unfinished = folder.join(format!("{number:08}{ENDING}{UNFINISHED}"));
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
    file.write_all_at(&header(number), 0)?;
    file.sync_all()?;
    fs::rename(&unfinished, path(folder, number))?;
    sync_folder(folder)?;
    Ok(file)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Opens the last segment for writing, after what a crash left half-written was cut off.
pub(super) fn open_last(folder: &Path) -> Result<(File, Durable), OpenError> {
    let last = last_number(folder)?;
    let path = path(folder, last);
    let unreadable = |reason| OpenError::Unreadable { path: path.clone(), reason };
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(unreadable)?;
    let bytes = Bytes::from(fs::read(&path).map_err(unreadable)?);
    let length = valid_length(&bytes, last)
        .map_err(|what| OpenError::Damaged { path: path.clone(), what })?;
    if usize::try_from(length) != Ok(bytes.len()) {
        tracing::warn!(segment = last, length, "cut off the unfinished end of the journal");
        file.set_len(length.into()).map_err(unreadable)?;
    }
    file.sync_all().map_err(unreadable)?;
    Ok((file, Durable { segment: last, length }))
}

/// Whether these are the first bytes of this segment.
pub(super) fn check_header(bytes: &[u8], number: u32) -> bool {
    bytes.starts_with(&header(number))
}

fn header(number: u32) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_be_bytes());
    header.extend_from_slice(&number.to_be_bytes());
    let checksum = crc32fast::hash(&header);
    header.extend_from_slice(&checksum.to_be_bytes());
    header.extend_from_slice(&[0; 4]);
    header
}

/// The number of the last segment; removes unfinished ones.
///
/// # Errors
/// [`OpenError::Damaged`] if a segment is missing or a foreign file lies among them.
fn last_number(folder: &Path) -> Result<u32, OpenError> {
    let damaged =
        |what: &str| OpenError::Damaged { path: folder.to_owned(), what: what.to_owned() };
    let numbers = numbers(folder, ENDING)?;
    let expected: Vec<u32> = (1..).take(numbers.len()).collect();
    if numbers != expected {
        return Err(damaged("a segment of the journal is missing"));
    }
    numbers.last().copied().ok_or_else(|| damaged("the journal has no segment"))
}

/// The numbers of the segments in a folder whose names end so, ascending; removes unfinished ones.
///
/// # Errors
/// [`OpenError::Damaged`] if a foreign file lies among them.
pub(crate) fn numbers(folder: &Path, ending: &str) -> Result<Vec<u32>, OpenError> {
    let unreadable = |reason| OpenError::Unreadable { path: folder.to_owned(), reason };
    let foreign = |name: &str| OpenError::Damaged {
        path: folder.to_owned(),
        what: format!("`{name}` is no segment"),
    };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.strip_suffix(UNFINISHED).is_some_and(|name| name.ends_with(ending)) {
            fs::remove_file(entry.path()).map_err(unreadable)?;
            continue;
        }
        let number = name.strip_suffix(ending).filter(|digits| digits.len() == 8);
        let number = number.and_then(|digits| digits.parse().ok());
        numbers.push(number.ok_or_else(|| foreign(&name))?);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// How much of the last segment is whole. One write was under way at most when the process ended,
/// so what follows the last whole frame is shorter than a frame with the zeros behind it, and no
/// valid frame comes later.
fn valid_length(bytes: &Bytes, number: u32) -> Result<u32, String> {
    if !check_header(bytes, number) {
        return Err("the segment's header is not what was written".to_owned());
    }
    let mut at = HEADER_BYTES;
    while let Some(length) = frame_at(bytes, number, at) {
        at += length;
    }
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    let mut from = start + 1;
    while let Some(found) = find_magic(bytes, from) {
        let offset = u32::try_from(found).unwrap_or(u32::MAX);
        if frame_at(bytes, number, offset).is_some() {
            return Err(format!("bytes {at} to {offset} are not what was written"));
        }
        from = found + 1;
    }
    let torn = u32::try_from(bytes.len() - start.min(bytes.len())).unwrap_or(u32::MAX);
    if torn > PAYLOAD_BYTES_MAX + FRAME_HEADER_BYTES + RESERVE_BYTES {
        return Err(format!("the bytes from {at} are not what was written"));
    }
    Ok(at)
}

/// The length of the valid frame at this place, if there is one.
fn frame_at(bytes: &Bytes, number: u32, offset: u32) -> Option<u32> {
    let at = usize::try_from(offset).ok()?;
    let header = Header::parse(bytes.get(at..)?)?;
    let start = at.checked_add(usize::try_from(FRAME_HEADER_BYTES).ok()?)?;
    let end = start.checked_add(usize::try_from(header.payload).ok()?)?;
    if end > bytes.len() {
        return None;
    }
    header.lines(number, offset, &bytes.slice(start..end))?;
    Some(FRAME_HEADER_BYTES + header.payload)
}
