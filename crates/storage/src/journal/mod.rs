//! The journal of appended lines: segment files of framed groups, each group made durable by one
//! sync. `docs/formats/store.md` has the bytes.

mod frame;
mod reader;
pub(crate) mod segment;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

pub(crate) use frame::{PAYLOAD_BYTES_MAX, reread as reread_frame};
pub(crate) use reader::{ReadError, read};
pub(crate) use segment::{create_first, sync_folder};

use crate::{OpenError, fatal};
use segment::HEADER_BYTES;

/// A segment takes no further frame that would make it longer than this.
const SEGMENT_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Zeros that are written behind a frame when the room behind the last ones is used up: a sync that
/// does not change the file's length takes half as long.
pub(crate) const RESERVE_BYTES: u32 = 512 * 1024;

/// How far the journal is durable; what lies behind it is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Durable {
    pub(crate) segment: u32,
    pub(crate) length: u32,
}

/// What readers share with the writer.
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    durable: Mutex<Durable>,
    syncs: AtomicU64,
}

impl Shared {
    pub(crate) fn durable(&self) -> Durable {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Times that a file of the journal was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    fn set_durable(&self, durable: Durable) {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = durable;
    }
}

/// The one writer of the journal.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    file: File,
    end: Durable,
    /// How long the file is: zeros follow the last frame up to here.
    reserved: u32,
    segment_bytes_max: u32,
    #[cfg(test)]
    pub(crate) fault: Option<io::ErrorKind>,
}

/// There was no room; nothing was recorded.
pub(crate) struct JournalFull;

impl Journal {
    /// Opens the journal in `folder`: cuts off what a crash left half-written, and makes durable
    /// what was written whole.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if bytes that were durable are not what was written.
    pub(crate) fn open(folder: &Path) -> Result<Self, OpenError> {
        let (file, end) = segment::open_last(folder)?;
        let shared = Shared {
            folder: folder.to_owned(),
            durable: Mutex::new(end),
            syncs: AtomicU64::new(1),
        };
        Ok(Self {
            shared: Arc::new(shared),
            file,
            end,
            reserved: end.length,
            segment_bytes_max: SEGMENT_BYTES_MAX,
            #[cfg(test)]
            fault: None,
        })
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Makes a group of lines durable, all of them or none. The group fits one frame.
    pub(crate) fn append(&mut self, lines: &[Bytes]) -> Result<(), JournalFull> {
        let length = frame::length(lines);
        if self.end.length > HEADER_BYTES
            && self.end.length.saturating_add(length) > self.segment_bytes_max
        {
            self.next_segment()?;
        }
        let mut framed = frame::encode(self.end.segment, self.end.length, lines);
        let end = self.end.length.saturating_add(length);
        let reserved = if end > self.reserved { end.saturating_add(RESERVE_BYTES) } else { end };
        framed.resize(framed.len() + usize::try_from(reserved - end).unwrap_or(0), 0);
        if let Err(error) = self.write(&framed) {
            return self.take_back(&error);
        }
        if let Err(error) = self.file.sync_data() {
            fatal::end("syncing the journal", &error);
        }
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        self.end.length = end;
        self.reserved = self.reserved.max(reserved);
        self.shared.set_durable(self.end);
        Ok(())
    }

    fn write(&self, framed: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Some(kind) = self.fault {
            let half = framed.get(..framed.len() / 2).unwrap_or_default();
            self.file.write_all_at(half, self.end.length.into())?;
            return Err(kind.into());
        }
        self.file.write_all_at(framed, self.end.length.into())
    }

    /// A full disk is survived: the half-written frame is cut off. Any other failure is not.
    fn take_back(&mut self, error: &io::Error) -> Result<(), JournalFull> {
        if !is_full(error) {
            fatal::end("writing the journal", error);
        }
        if let Err(error) = self.cut() {
            fatal::end("cutting the journal", &error);
        }
        self.reserved = self.end.length;
        Err(JournalFull)
    }

    fn next_segment(&mut self) -> Result<(), JournalFull> {
        // A segment that is not the last ends with its last frame.
        if let Err(error) = self.cut().and_then(|()| self.file.sync_all()) {
            fatal::end("cutting the journal", &error);
        }
        self.reserved = self.end.length;
        let number = self.end.segment + 1;
        match segment::create(&self.shared.folder, number) {
            Ok(file) => {
                self.file = file;
                self.reserved = HEADER_BYTES;
                self.end = Durable { segment: number, length: HEADER_BYTES };
                self.shared.set_durable(self.end);
                Ok(())
            }
            Err(error) if is_full(&error) => Err(JournalFull),
            Err(error) => fatal::end("beginning a segment of the journal", &error),
        }
    }

    /// Takes away the zeros behind the last frame.
    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.end.length.into())
    }
}

impl Drop for Journal {
    /// Gives the room behind the end back. Opening does so too, after a crash.
    fn drop(&mut self) {
        if let Err(error) = self.cut() {
            tracing::warn!(%error, "the room behind the journal's end was not given back");
        }
    }
}

/// Whether the operating system had no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
