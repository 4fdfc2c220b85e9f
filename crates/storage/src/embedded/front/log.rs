//! The journal in front of a database: every group of changes, durable with one append and one sync,
//! until the database has it too.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, Digest, Place};
use super::record;
use super::segment::{self, Begin, HEADER_BYTES};
use crate::embedded::disk::Disk;
use crate::embedded::engine::{Changes, Failure, Progress};
use crate::embedded::mark::Mark;
use crate::journal::{is_full, sync_folder};
use crate::{OpenError, fatal};

/// Where the segments lie in the store's folder.
pub(super) const FOLDER: &str = "groups";
/// Where the mark lies in the store's folder.
pub(super) const MARK: &str = "groups.mark";
/// A segment takes no further group when it is this long.
const SEGMENT_BYTES_MAX: u32 = if cfg!(test) { 8 * 1024 } else { 32 * 1024 * 1024 };
/// Longest payload. A group has at most 80 MiB of rows, and far less of lines.
const PAYLOAD_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Zeros that are written behind a group when the room behind the last ones is used up: a sync that
/// does not change the file's length takes half as long.
const RESERVE_BYTES: u32 = if cfg!(test) { 2 * 1024 } else { 1024 * 1024 };
/// What the first segment has for the digest of the group before.
const START: Digest = [0; 32];

/// The one writer of the journal.
pub(super) struct Log {
    folder: PathBuf,
    file: File,
    mark: Mark,
    disk: Arc<Disk>,
    segment: u32,
    /// The end of the last group in the last segment.
    length: u32,
    /// How long the file is: zeros follow the last group up to here.
    reserved: u32,
    /// How far the journal is durable.
    progress: Progress,
    digest: Digest,
    /// Earlier segments that are still there, with their last groups.
    earlier: VecDeque<(u32, u64)>,
}

/// How far a segment was read.
struct Read {
    length: u32,
    progress: Progress,
    digest: Digest,
}

impl Log {
    /// Makes the journal of a new store, durable but for its names in the store's folder.
    pub(super) fn create(store: &Path) -> io::Result<()> {
        let folder = store.join(FOLDER);
        fs::create_dir(&folder)?;
        segment::create(&folder, Begin { segment: 1, group: 1, previous: START })?;
        Mark::create(&store.join(MARK))
    }

    /// Opens the journal: cuts off what a crash left half-written, and gives every group that the
    /// database does not have to `replay`, in their order.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if groups that were durable are not what was written.
    pub(super) fn open(
        store: &Path,
        disk: &Arc<Disk>,
        applied: Progress,
        replay: &mut dyn FnMut(Changes, Progress),
    ) -> Result<Self, OpenError> {
        let folder = store.join(FOLDER);
        let damaged =
            |what: &str| OpenError::Damaged { path: folder.clone(), what: what.to_owned() };
        let (mark, marked) = Mark::open_beside(&store.join(MARK), &folder)?;
        let numbers = segment::numbers(&folder)?;
        let last = numbers.last().copied().unwrap_or(0);
        let mut earlier = VecDeque::new();
        let mut before: Option<Read> = None;
        for number in numbers {
            let path = segment::path(&folder, number);
            let is_last = number == last;
            let read = read_segment(&path, number, is_last, before.as_ref(), applied, replay)?;
            if !is_last {
                earlier.push_back((number, read.progress.group));
            }
            before = Some(read);
        }
        let end = before.ok_or_else(|| damaged("it has no segment"))?;
        if end.progress.group < applied.group.max(marked.unwrap_or(0)) {
            return Err(damaged("groups at its end that were durable are gone"));
        }
        let path = segment::path(&folder, last);
        let file = open_end(&path, end.length);
        let file = file.map_err(|reason| OpenError::Unreadable { path, reason })?;
        Ok(Self {
            folder,
            file,
            mark,
            disk: Arc::clone(disk),
            segment: last,
            length: end.length,
            reserved: end.length,
            progress: end.progress,
            digest: end.digest,
            earlier,
        })
    }

    /// How far the journal is durable.
    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// Makes a group durable, all of it or nothing.
    pub(super) fn append(&mut self, changes: &Changes) -> Result<(), Failure> {
        let mut bytes = frame::begin();
        record::encode(changes, self.progress.lines, &mut bytes);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if bytes.len() > PAYLOAD_BYTES_MAX {
            return Err(Failure::Closed("too much waits to be written at once"));
        }
        if self.has_groups() && self.length.saturating_add(length) > SEGMENT_BYTES_MAX {
            match self.begin_segment() {
                Ok(()) => {}
                Err(error) if is_full(&error) => return Err(Failure::Full),
                Err(error) => fatal::end("beginning a segment of the journal", &error),
            }
        }
        let place = Place { segment: self.segment, offset: self.length };
        let group = self.progress.group.saturating_add(1);
        let digest = frame::close(place, group, &self.digest, &mut bytes);
        let end = self.length.saturating_add(length);
        let reserved = if end > self.reserved { end.saturating_add(RESERVE_BYTES) } else { end };
        let zeros = usize::try_from(reserved.saturating_sub(end)).unwrap_or(0);
        bytes.resize(bytes.len().saturating_add(zeros), 0);
        if let Err(error) = self.write(&bytes) {
            return self.take_back(&error);
        }
        self.disk.synced(self.file.sync_data());
        self.length = end;
        self.reserved = self.reserved.max(reserved);
        self.digest = digest;
        let lines = u64::try_from(changes.lines.len()).unwrap_or(u64::MAX);
        self.progress = Progress { group, lines: self.progress.lines.saturating_add(lines) };
        self.mark.set(group);
        Ok(())
    }

    /// Whether the last segment holds groups.
    pub(super) fn has_groups(&self) -> bool {
        self.length > HEADER_BYTES
    }

    /// Begins a segment, after the last one was cut to its groups and synced.
    ///
    /// # Errors
    /// The operating system's. Only after one that says that there was no room, or no folder, may groups be added.
    pub(super) fn begin_segment(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.set_len(self.length.into()) {
            fatal::end("cutting the journal", &error);
        }
        self.disk.synced(self.file.sync_all());
        self.reserved = self.length;
        let segment = self.segment.saturating_add(1);
        let group = self.progress.group.saturating_add(1);
        self.disk.check_room()?;
        let begin = Begin { segment, group, previous: self.digest };
        self.file = segment::create(&self.folder, begin)?;
        self.earlier.push_back((self.segment, self.progress.group));
        self.segment = segment;
        self.length = HEADER_BYTES;
        self.reserved = HEADER_BYTES;
        Ok(())
    }

    /// Files of segments of which the database has every group, the oldest first. They are not
    /// counted any more.
    pub(super) fn outlived(&mut self, applied: u64) -> Vec<PathBuf> {
        let mut outlived = Vec::new();
        while let Some((number, _)) = self.earlier.front().filter(|(_, last)| *last <= applied) {
            outlived.push(segment::path(&self.folder, *number));
            self.earlier.pop_front();
        }
        outlived
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.disk.check_room()?;
        self.file.write_all_at(bytes, self.length.into())
    }

    /// A full disk is survived: the half-written group is cut off. Any other failure is not.
    fn take_back(&mut self, error: &io::Error) -> Result<(), Failure> {
        if !is_full(error) {
            fatal::end("writing the journal", error);
        }
        if let Err(error) = self.file.set_len(self.length.into()) {
            fatal::end("cutting the journal", &error);
        }
        self.reserved = self.length;
        Err(Failure::Full)
    }
}

impl Drop for Log {
    /// Gives the room behind the end back. Opening does so too, after a crash.
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(self.length.into()) {
            tracing::warn!(%error, "the room behind the journal's end was not given back");
        }
    }
}

/// Removes the file of a segment, durably.
pub(super) fn remove(segment: &Path) -> io::Result<()> {
    match fs::remove_file(segment) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match segment.parent() {
        Some(folder) if folder.exists() => sync_folder(folder),
        Some(_) | None => Ok(()),
    }
}

/// Opens the last segment for writing, cut to its groups; they are durable then.
fn open_end(path: &Path, length: u32) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    if file.metadata()?.len() != u64::from(length) {
        tracing::warn!(length, "cut off the unfinished end of the journal");
        file.set_len(length.into())?;
    }
    file.sync_all()?;
    Ok(file)
}

fn read_segment(
    path: &Path,
    number: u32,
    is_last: bool,
    before: Option<&Read>,
    applied: Progress,
    replay: &mut dyn FnMut(Changes, Progress),
) -> Result<Read, OpenError> {
    let damaged = |what: String| OpenError::Damaged { path: path.to_owned(), what };
    let bytes =
        fs::read(path).map_err(|reason| OpenError::Unreadable { path: path.to_owned(), reason })?;
    let begin = segment::begin_of(&bytes, number)
        .ok_or_else(|| damaged("its header is not what was written".to_owned()))?;
    let follows = match before {
        Some(read) => {
            begin.previous == read.digest && begin.group == read.progress.group.saturating_add(1)
        }
        None => begin.group <= applied.group.saturating_add(1),
    };
    if !follows {
        return Err(damaged("it does not follow what was there before it".to_owned()));
    }
    let mut read = Read {
        length: HEADER_BYTES,
        progress: Progress {
            group: begin.group.saturating_sub(1),
            lines: before.map_or(applied.lines, |read| read.progress.lines),
        },
        digest: begin.previous,
    };
    loop {
        let at = usize::try_from(read.length).unwrap_or(usize::MAX);
        let rest = bytes.get(at..).unwrap_or_default();
        let place = Place { segment: number, offset: read.length };
        let Some(found) = frame::parse(rest, place) else {
            if !is_last && !rest.is_empty() || frame::is_followed(&bytes, number, at) {
                return Err(damaged(format!("the bytes from {at} are not what was written")));
            }
            return Ok(read);
        };
        let group = read.progress.group.saturating_add(1);
        if found.group != group || found.previous != read.digest {
            return Err(damaged(format!("the group at {at} does not follow the one before it")));
        }
        let (changes, lines_before) = record::decode(found.payload)
            .ok_or_else(|| damaged(format!("the group at {at} is no group of changes")))?;
        let count = u64::try_from(changes.lines.len()).unwrap_or(u64::MAX);
        let lines = lines_before.saturating_add(count);
        if group > applied.group {
            let is_next = group == applied.group.saturating_add(1);
            let expected = if is_next { applied.lines } else { read.progress.lines };
            if lines_before != expected {
                return Err(damaged(format!("the group at {at} does not fit the database")));
            }
            replay(changes, Progress { group, lines });
        }
        let length = u32::try_from(found.length()).unwrap_or(u32::MAX);
        read = Read {
            length: read.length.saturating_add(length),
            progress: Progress { group, lines },
            digest: found.digest,
        };
    }
}
