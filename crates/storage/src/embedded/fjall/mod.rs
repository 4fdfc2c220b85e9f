//! The engine fjall: a log-structured merge tree. A batch is in its journal and synced before it is seen, and
//! its snapshots are of one moment. A mark beside it says how far it was, because it takes damage at
//! the end of its journal for the end.

mod tail;

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use self::tail::Tail;
use super::disk::{Disk, room_for};
use super::engine::{
    Changes, DAMAGED, Engine, Failure, Frozen, Kind, Progress, Snapshot, UNREADABLE, row_of,
    version_of,
};
use super::folder::{check_database, sync_everything};
use super::mark::Mark;
use crate::{KeyRange, OpenError, Row, RowKey, StoreError};

/// Where the database lies in the store's folder.
const FOLDER: &str = "store.fjall";
/// Where the mark lies in the store's folder.
const MARK: &str = "store.mark";
/// The version of what stands in the database.
const FORMAT_VERSION: u64 = 1;
/// Bytes of the database that are kept in memory.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Threads that turn the journal into tables.
const WORKERS: usize = 2;
/// How often the lock of a database that was just closed is tried: its threads end a moment later.
const LOCK_TRIES: u32 = 200;
/// How long to wait between tries.
const LOCK_WAIT: Duration = Duration::from_millis(10);
/// The store's own numbers in the database.
const FORMAT: &str = "format";
const NEXT_NODE: &str = "next_node";
const GROUP: &str = "group";
const JOURNAL_GROUP: &str = "journal_group";
const JOURNAL_LINES: &str = "journal_lines";

/// The engine `fjall:`.
pub(crate) const KIND: Kind = Kind {
    name: "fjall",
    entries: &[FOLDER, MARK],
    create,
    open: |folder, disk| Ok(Box::new(Fjall::open(folder, disk)?)),
};

/// An open database.
struct Fjall {
    database: Database,
    spaces: Spaces,
    folder: File,
    mark: Mark,
    group: AtomicU64,
    lines: AtomicU64,
    disk: Arc<Disk>,
}

/// What is kept apart in the database.
struct Spaces {
    /// Key to `version u64 | value`.
    rows: Keyspace,
    /// The lines of commits, counted from 1 over all tenants.
    lines: Keyspace,
    /// The store's own numbers.
    meta: Keyspace,
}

/// Why fjall's answer was no use.
enum Trouble {
    /// fjall said so.
    Engine(::fjall::Error),
    /// An entry is not what was written.
    Damaged,
}

impl From<::fjall::Error> for Trouble {
    fn from(error: ::fjall::Error) -> Self {
        Self::Engine(error)
    }
}

/// The rows and lines of one moment.
struct Moment {
    snapshot: ::fjall::Snapshot,
    rows: Keyspace,
    lines: Keyspace,
}

impl Snapshot for Moment {
    fn version(&self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        guarded(|| {
            let row = self.snapshot.get(&self.rows, key.as_bytes())?;
            row.map(|row| version_of(&row).ok_or(Trouble::Damaged)).transpose()
        })
    }

    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        guarded(|| {
            let row = |key: &RowKey| {
                let row = self.snapshot.get(&self.rows, key.as_bytes())?;
                row.map(|row| row_of(&row).ok_or(Trouble::Damaged)).transpose()
            };
            keys.iter().map(row).collect()
        })
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        guarded(|| {
            let end = range.end().map_or(Bound::Unbounded, Bound::Excluded);
            let bounds = (Bound::Included(range.start()), end);
            let mut found = self.snapshot.range::<&[u8], _>(&self.rows, bounds);
            let mut page = Vec::new();
            while page.len() < limit {
                let next = if range.is_descending() { found.next_back() } else { found.next() };
                let Some(entry) = next else { break };
                let (key, row) = entry.into_inner()?;
                page.push((RowKey::new(&key), row_of(&row).ok_or(Trouble::Damaged)?));
            }
            Ok(page)
        })
    }

    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        guarded(|| {
            let after = seen.saturating_add(1).to_be_bytes();
            for entry in self.snapshot.range(&self.lines, after..) {
                let (number, line) = entry.into_inner()?;
                if !take(number_of(&number).ok_or(Trouble::Damaged)?, &line) {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl Engine for Fjall {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self.now()?))
    }

    fn frozen(&self) -> Result<Option<Arc<Frozen>>, StoreError> {
        Ok(Some(Arc::new(self.now()?)))
    }

    fn next_node(&self) -> Result<u32, StoreError> {
        let next = guarded(|| Ok(self.spaces.number(NEXT_NODE)?))?;
        next.and_then(|next| u32::try_from(next).ok()).ok_or(DAMAGED)
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        guarded(|| {
            let number = |name| Ok::<_, Trouble>(self.spaces.number(name)?.unwrap_or(0));
            Ok(Progress { group: number(JOURNAL_GROUP)?, lines: number(JOURNAL_LINES)? })
        })
    }

    fn write(&self, changes: &Changes, order: &mut dyn FnMut()) -> Result<(), Failure> {
        self.disk.check_room().map_err(|_| Failure::Full)?;
        room_for(&self.folder, changes)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| self.carry_out(changes, order)));
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::Disk(error.to_string())),
            Err(_) => Err(Failure::Panicked),
        }
    }
}

impl Fjall {
    /// Opens the database in the store's folder, after a crash with its recovery.
    fn open(store: &Path, disk: &Arc<Disk>) -> Result<Self, OpenError> {
        let path = store.join(FOLDER);
        let unreadable = |reason| OpenError::Unreadable { path: path.clone(), reason };
        match Self::open_as_it_is(store, disk) {
            Ok(opened) => Ok(opened),
            Err(Unopened::Refused(error)) => Err(error),
            Err(Unopened::Journal) => {
                let damaged = || unreadable_bytes(&path);
                let tail = Tail::cut(&path).map_err(unreadable)?.ok_or_else(damaged)?;
                tracing::warn!("cut off the unfinished end of fjall's journal");
                match Self::open_as_it_is(store, disk) {
                    Ok(opened) => Ok(opened),
                    Err(unopened) => {
                        tail.put_back().map_err(unreadable)?;
                        Err(unopened.refused(&path))
                    }
                }
            }
        }
    }

    /// The same, if the journal has no torn end. What was recovered is durable then.
    fn open_as_it_is(store: &Path, disk: &Arc<Disk>) -> Result<Self, Unopened> {
        let path = store.join(FOLDER);
        let unreadable = |reason| OpenError::Unreadable { path: path.clone(), reason };
        let damaged = |what: &str| OpenError::Damaged { path: path.clone(), what: what.to_owned() };
        // fjall would make a new database where this file is missing.
        check_database(&path, &["version"])?;
        let database = open_engine(&path)?;
        sync_everything(&path).map_err(unreadable)?;
        if ["rows", "lines", "meta"].iter().any(|name| !database.keyspace_exists(name)) {
            return Err(damaged("a part of it is missing").into());
        }
        let spaces = Spaces::of(&database).map_err(|error| open_error(&path, error))?;
        let (mark, marked) = Mark::open_beside(&store.join(MARK), &path)?;
        let number = |name| {
            let read = catch_unwind(AssertUnwindSafe(|| spaces.number(name)));
            read.map_err(|_| unreadable_bytes(&path))?.map_err(|error| open_error(&path, error))
        };
        match number(FORMAT)? {
            Some(FORMAT_VERSION) => {}
            Some(found) => {
                let known = u32::try_from(FORMAT_VERSION).unwrap_or(0);
                return Err(OpenError::Version { path, found: found.to_string(), known }.into());
            }
            None => return Err(damaged("it has no format").into()),
        }
        let group = number(GROUP)?.ok_or_else(|| damaged("it has no number of its last write"))?;
        if marked.is_some_and(|marked| marked > group) {
            return Err(damaged("writes at its end that were durable are gone").into());
        }
        let last = guarded(|| match database.snapshot().last_key_value(&spaces.lines) {
            Some(last) => number_of(&last.key()?).ok_or(Trouble::Damaged),
            None => Ok(0),
        });
        let lines = AtomicU64::new(last.map_err(|_| damaged("its last line cannot be read"))?);
        let folder = File::open(&path).map_err(unreadable)?;
        let (group, disk) = (AtomicU64::new(group), Arc::clone(disk));
        Ok(Self { database, spaces, folder, mark, group, lines, disk })
    }

    fn now(&self) -> Result<Moment, StoreError> {
        let snapshot = guarded(|| Ok(self.database.snapshot()))?;
        let Spaces { rows, lines, .. } = &self.spaces;
        Ok(Moment { snapshot, rows: rows.clone(), lines: lines.clone() })
    }

    fn carry_out(&self, changes: &Changes, order: &mut dyn FnMut()) -> ::fjall::Result<()> {
        let Spaces { rows, lines, meta } = &self.spaces;
        let group = self.group.load(Ordering::Relaxed).saturating_add(1);
        let last = self.lines.load(Ordering::Relaxed);
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(meta, GROUP, group.to_be_bytes());
        if let Some(next) = changes.next_node {
            batch.insert(meta, NEXT_NODE, u64::from(next).to_be_bytes());
        }
        if let Some(progress) = changes.progress {
            batch.insert(meta, JOURNAL_GROUP, progress.group.to_be_bytes());
            batch.insert(meta, JOURNAL_LINES, progress.lines.to_be_bytes());
        }
        for (line, number) in changes.lines.iter().zip(last.saturating_add(1)..) {
            batch.insert(lines, number.to_be_bytes(), line.as_ref());
        }
        for (key, row) in &changes.rows {
            match row {
                Some(Row { version, value }) => {
                    let stored = [&version.to_be_bytes()[..], value].concat();
                    batch.insert(rows, key.as_bytes(), stored);
                }
                None => batch.remove(rows, key.as_bytes()),
            }
        }
        order();
        batch.commit()?;
        self.disk.synced(Ok(()));
        let count = u64::try_from(changes.lines.len()).unwrap_or(u64::MAX);
        self.lines.store(last.saturating_add(count), Ordering::Relaxed);
        self.group.store(group, Ordering::Relaxed);
        self.mark.set(group);
        Ok(())
    }
}

impl Spaces {
    fn of(database: &Database) -> ::fjall::Result<Self> {
        let space = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        Ok(Self { rows: space("rows")?, lines: space("lines")?, meta: space("meta")? })
    }

    fn number(&self, name: &str) -> ::fjall::Result<Option<u64>> {
        Ok(self.meta.get(name)?.and_then(|stored| number_of(&stored)))
    }
}

/// Makes an empty database, durable but for the names in the store's folder.
fn create(store: &Path) -> Result<(), OpenError> {
    let path = store.join(FOLDER);
    let unreadable = |reason| OpenError::Unreadable { path: path.clone(), reason };
    let database = open_engine(&path).map_err(|unopened| unopened.refused(&path))?;
    let made = Spaces::of(&database).and_then(|spaces| {
        let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
        for (name, number) in [(FORMAT, FORMAT_VERSION), (NEXT_NODE, 1), (GROUP, 0)] {
            batch.insert(&spaces.meta, name, number.to_be_bytes());
        }
        batch.commit()
    });
    made.map_err(|error| open_error(&path, error))?;
    drop(database);
    sync_everything(&path).map_err(unreadable)?;
    Mark::create(&store.join(MARK)).map_err(unreadable)
}

/// Why a database was not opened.
enum Unopened {
    /// Its journal has a batch that is not what was written.
    Journal,
    Refused(OpenError),
}

impl From<OpenError> for Unopened {
    fn from(error: OpenError) -> Self {
        Self::Refused(error)
    }
}

impl Unopened {
    fn refused(self, path: &Path) -> OpenError {
        match self {
            Self::Journal => unreadable_bytes(path),
            Self::Refused(error) => error,
        }
    }
}

/// Opens fjall, which panics on some damaged files.
fn open_engine(path: &Path) -> Result<Database, Unopened> {
    let open = || Database::builder(path).cache_size(CACHE_BYTES).worker_threads(WORKERS).open();
    let mut tries = 1;
    loop {
        match catch_unwind(AssertUnwindSafe(open)) {
            Ok(Ok(database)) => return Ok(database),
            Ok(Err(::fjall::Error::Locked)) if tries < LOCK_TRIES => {
                tries += 1;
                thread::sleep(LOCK_WAIT);
            }
            Ok(Err(::fjall::Error::JournalRecovery(_))) => return Err(Unopened::Journal),
            Ok(Err(error)) => return Err(open_error(path, error).into()),
            Err(_) => return Err(unreadable_bytes(path).into()),
        }
    }
}

fn unreadable_bytes(path: &Path) -> OpenError {
    let what = "the engine cannot read it".to_owned();
    OpenError::Damaged { path: path.to_owned(), what }
}

fn open_error(path: &Path, error: ::fjall::Error) -> OpenError {
    match error {
        ::fjall::Error::Locked => OpenError::InUse(path.to_owned()),
        ::fjall::Error::Io(reason) if !is_wrong_bytes(&reason) => {
            OpenError::Unreadable { path: path.to_owned(), reason }
        }
        ::fjall::Error::InvalidVersion(_) => {
            let what = "another version of the engine wrote it".to_owned();
            OpenError::Damaged { path: path.to_owned(), what }
        }
        _ => unreadable_bytes(path),
    }
}

/// Whether the disk did what it was asked, but a file is missing, too short or not what was written.
fn is_wrong_bytes(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | NotFound | UnexpectedEof)
}

fn number_of(stored: &[u8]) -> Option<u64> {
    stored.first_chunk::<8>().copied().map(u64::from_be_bytes)
}

/// fjall panics on some damaged tables.
fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Trouble::Engine(::fjall::Error::Io(error)))) if !is_wrong_bytes(&error) => {
            Err(UNREADABLE)
        }
        Ok(Err(Trouble::Engine(_) | Trouble::Damaged)) | Err(_) => Err(DAMAGED),
    }
}
