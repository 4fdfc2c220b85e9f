//! The folder of a sled database: making it, opening it, and making durable what sled does not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ::sled::{Batch, Config, Db, IVec};

use super::memory::Memory;
use super::pieces::{Space, entry};
use crate::OpenError;
use crate::embedded::folder::{check_database, sync_everything};
use crate::embedded::mark::Mark;

/// Where the database lies in the store's folder.
pub(super) const FOLDER: &str = "store.sled";
/// Where the mark lies in the store's folder.
pub(super) const MARK: &str = "store.mark";
/// The version of what stands in the database.
const FORMAT_VERSION: u64 = 1;
/// Bytes of the database that are kept in memory.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Milliseconds between sled's own rounds, which reuse what is no longer needed on the disk.
const ROUND_MILLISECONDS: u64 = 500;
/// Bytes that are read at once where all are read.
const READ_BYTES: usize = 1024 * 1024;
/// Above this many bytes the database is named in the log at opening: sled keeps a table of all its
/// pages in memory.
const LARGE_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// How often the lock of a database that was just closed is tried: its threads end a moment later.
const LOCK_TRIES: u32 = 200;
/// How long to wait between tries.
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// The store's own numbers in the database.
pub(super) const FORMAT: &[u8] = b"format";
pub(super) const NEXT_NODE: &[u8] = b"next_node";
pub(super) const GROUP: &[u8] = b"group";
pub(super) const JOURNAL_GROUP: &[u8] = b"journal_group";
pub(super) const JOURNAL_LINES: &[u8] = b"journal_lines";

/// An open database and the descriptor through which it is synced.
pub(super) struct Opened {
    pub(super) handle: Handle,
    pub(super) file: File,
    pub(super) mark: Mark,
    pub(super) group: u64,
}

/// A database of sled. Closing it syncs once more, and sled panics if that fails: then nothing is lost that
/// was acknowledged, because all of that was synced before.
pub(super) struct Handle(Option<Db>);

impl Handle {
    /// The database.
    ///
    /// # Errors
    /// None as long as it is open.
    pub(super) fn db(&self) -> ::sled::Result<&Db> {
        self.0.as_ref().ok_or_else(|| ::sled::Error::ReportableBug("it is closed".to_owned()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let db = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::error!("the sled database could not be synced when it was closed");
        }
    }
}

/// Makes an empty database, durable but for the names in the store's folder.
pub(super) fn create(store: &Path) -> Result<(), OpenError> {
    let path = store.join(FOLDER);
    let unreadable = |reason| OpenError::Unreadable { path: path.clone(), reason };
    fs::create_dir(&path).map_err(unreadable)?;
    let handle = open_engine(&path)?;
    let mut batch = Batch::default();
    for (name, number) in [(FORMAT, FORMAT_VERSION), (NEXT_NODE, 1), (GROUP, 0)] {
        batch.insert(entry(Space::Meta, name), &number.to_be_bytes());
    }
    let made = handle.db().and_then(|db| db.apply_batch(batch).and_then(|()| db.flush()));
    made.map_err(|error| open_error(&path, error))?;
    drop(handle);
    sync_everything(&path).map_err(unreadable)?;
    Mark::create(&store.join(MARK)).map_err(unreadable)
}

/// Opens the database in the store's folder, after a crash with its recovery. What was recovered
/// is durable then. Every byte is read before, because sled takes one that cannot be read for the end of
/// its log and writes over what follows; what was read is in memory.
pub(super) fn open(store: &Path, memory: Memory) -> Result<Opened, OpenError> {
    let path = store.join(FOLDER);
    let unreadable = |reason| OpenError::Unreadable { path: path.clone(), reason };
    let damaged = |what: &str| OpenError::Damaged { path: path.clone(), what: what.to_owned() };
    check_database(&path, &["conf", "db"])?;
    remove_unfinished(&path).map_err(unreadable)?;
    let file = OpenOptions::new().read(true).write(true).open(path.join("db"));
    let file = file.map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    if !memory.is_enough_for(bytes) {
        return Err(OpenError::TooLarge { path, bytes, memory: memory.bytes() });
    }
    read_everything(&path).map_err(unreadable)?;
    let handle = open_engine(&path)?;
    let db = handle.db().map_err(|error| open_error(&path, error))?;
    sync_everything(&path).map_err(unreadable)?;
    let (mark, marked) = Mark::open_beside(&store.join(MARK), &path)?;
    let number = |name| number(db, name).map_err(|error| open_error(&path, error));
    match number(FORMAT)? {
        Some(FORMAT_VERSION) => {}
        Some(found) => {
            let known = u32::try_from(FORMAT_VERSION).unwrap_or(0);
            return Err(OpenError::Version { path, found: found.to_string(), known });
        }
        None => return Err(damaged("it has no format")),
    }
    let group = number(GROUP)?.ok_or_else(|| damaged("it has no number of its last write"))?;
    if marked.is_some_and(|marked| marked > group) {
        return Err(damaged("writes at its end that were durable are gone"));
    }
    if db.size_on_disk().is_ok_and(|bytes| bytes > LARGE_BYTES) {
        tracing::warn!(
            "the sled database has more than 8 GiB; its memory grows with it, consider `redb:`"
        );
    }
    Ok(Opened { handle, file, mark, group })
}

/// A number of the store's own.
pub(super) fn number(db: &Db, name: &[u8]) -> ::sled::Result<Option<u64>> {
    let stored: Option<IVec> = db.get(entry(Space::Meta, name))?;
    Ok(stored.and_then(|stored| stored.first_chunk::<8>().copied().map(u64::from_be_bytes)))
}

/// Opens sled, which panics on some damaged files.
fn open_engine(path: &Path) -> Result<Handle, OpenError> {
    let config = Config::new()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(ROUND_MILLISECONDS));
    let mut tries = 1;
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(Handle(Some(db))),
            Ok(Err(error)) if is_locked(&error) && tries < LOCK_TRIES => {
                tries += 1;
                thread::sleep(LOCK_WAIT);
            }
            Ok(Err(error)) => return Err(open_error(path, error)),
            Err(_) => {
                let what = "the engine cannot read it".to_owned();
                return Err(OpenError::Damaged { path: path.to_owned(), what });
            }
        }
    }
}

/// sled gives no kind to this error.
fn is_locked(error: &::sled::Error) -> bool {
    matches!(error, ::sled::Error::Io(reason) if reason.to_string().contains("could not acquire lock"))
}

fn open_error(path: &Path, error: ::sled::Error) -> OpenError {
    let path = path.to_owned();
    let damaged = |path: PathBuf, what: &str| OpenError::Damaged { path, what: what.to_owned() };
    if is_locked(&error) {
        return OpenError::InUse(path);
    }
    match error {
        ::sled::Error::Io(reason) => match reason.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                damaged(path, "it ends too early")
            }
            _ => OpenError::Unreadable { path, reason },
        },
        ::sled::Error::Unsupported(_) => damaged(path, "another version of the engine wrote it"),
        ::sled::Error::Corruption { .. } => damaged(path, "bytes are not what was written"),
        ::sled::Error::CollectionNotFound(_) | ::sled::Error::ReportableBug(_) => {
            damaged(path, "the engine cannot read it")
        }
    }
}

/// Reads every file of the database to its end.
fn read_everything(path: &Path) -> io::Result<()> {
    let mut room = vec![0; READ_BYTES];
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let mut file = File::open(entry.path())?;
            while file.read(&mut room)? > 0 {}
        }
    }
    Ok(())
}

/// Removes snapshots that a crash left half-written: sled would take one for its newest and refuse to
/// open.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("snap.")
            && name.to_string_lossy().ends_with(".generating")
        {
            tracing::warn!("removed a half-written snapshot of the sled database");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
