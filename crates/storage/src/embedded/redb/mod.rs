//! Reading the database, and writing a group of changes to it.

mod backend;
pub(super) mod database;

use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use ::redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, WriteTransaction};
use bytes::Bytes;

use self::backend::Disk;
use self::database::{GROUP, LINES, META, NEXT_NODE, ROWS, begin, is_wrong_bytes};
use crate::journal::is_full;
use crate::{KeyRange, OpenError, Row, RowKey, StoreError, fatal};

const DAMAGED: StoreError = StoreError::Damaged("the database");
const UNREADABLE: StoreError = StoreError::Unavailable("the database cannot be read");

/// An open database. It is closed and opened again after a failed write, hence the lock.
pub(super) struct Engine {
    path: PathBuf,
    database: RwLock<Option<Database>>,
    disk: Arc<Disk>,
}

/// A write under way: the tables of one transaction.
pub(super) struct Tables<'t> {
    rows: Table<'t, &'static [u8], &'static [u8]>,
    lines: Table<'t, u64, &'static [u8]>,
    next_line: u64,
    scratch: Vec<u8>,
}

/// Why a write did not take place.
pub(super) type WriteError = ::redb::Error;

impl Tables<'_> {
    /// The version of a row, the changes of this write included.
    pub(super) fn version(&self, key: &RowKey) -> Result<Option<u64>, WriteError> {
        let row = self.rows.get(key.as_bytes())?;
        row.map(|row| version_of(row.value())).transpose()
    }

    pub(super) fn put(
        &mut self,
        key: &RowKey,
        version: u64,
        value: &[u8],
    ) -> Result<(), WriteError> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&version.to_be_bytes());
        self.scratch.extend_from_slice(value);
        self.rows.insert(key.as_bytes(), self.scratch.as_slice())?;
        Ok(())
    }

    pub(super) fn delete(&mut self, key: &RowKey) -> Result<(), WriteError> {
        self.rows.remove(key.as_bytes())?;
        Ok(())
    }

    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), WriteError> {
        self.lines.insert(self.next_line, line)?;
        self.next_line += 1;
        Ok(())
    }
}

/// A snapshot of the rows.
pub(super) struct Snapshot(Result<ReadTransaction, StoreError>);

impl Snapshot {
    /// The versions of these rows.
    pub(super) fn versions<'k>(
        &self,
        keys: impl Iterator<Item = &'k RowKey>,
    ) -> Result<Vec<Option<u64>>, StoreError> {
        let transaction = self.0.as_ref().map_err(Clone::clone)?;
        guarded(|| {
            let rows = transaction.open_table(ROWS)?;
            keys.map(|key| rows.get(key.as_bytes())?.map(|row| version_of(row.value())).transpose())
                .collect()
        })
    }
}

impl Engine {
    /// Opens the database at `path`, after a crash with its recovery.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let disk = Arc::new(Disk::default());
        let database = database::open(path, &disk)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)), disk })
    }

    /// Times that the database was synced.
    pub(super) fn syncs(&self) -> u64 {
        self.disk.syncs.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        self.read(|transaction| {
            let rows = transaction.open_table(ROWS)?;
            keys.iter()
                .map(|key| rows.get(key.as_bytes())?.map(|row| row_of(row.value())).transpose())
                .collect()
        })
    }

    pub(super) fn scan(
        &self,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.read(|transaction| {
            let rows = transaction.open_table(ROWS)?;
            let end = range.end().map_or(Bound::Unbounded, Bound::Excluded);
            let mut found = rows.range::<&[u8]>((Bound::Included(range.start()), end))?;
            let mut page = Vec::new();
            while page.len() < limit {
                let next = if range.is_descending() { found.next_back() } else { found.next() };
                let Some(entry) = next else { break };
                let (key, row) = entry?;
                page.push((RowKey::new(key.value()), row_of(row.value())?));
            }
            Ok(page)
        })
    }

    /// Gives the lines of commits after the first `seen` to `take`, each with its number, until
    /// that says that it has enough.
    pub(super) fn read_lines(
        &self,
        seen: u64,
        mut take: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.read(|transaction| {
            let lines = transaction.open_table(LINES)?;
            for entry in lines.range(seen.saturating_add(1)..)? {
                let (number, line) = entry?;
                if !take(number.value(), line.value()) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The rows as they are now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else { return Snapshot(Err(UNREADABLE)) };
        Snapshot(guarded(|| Ok(database.begin_read()?)))
    }

    /// Makes one group of changes durable. `work` makes the changes and says whether there are any;
    /// `order` is called when they are complete, before they become durable.
    ///
    /// # Errors
    /// Nothing has changed then, but for [`StoreError::Unavailable`]. What would leave in doubt
    /// what is on the disk ends the process.
    pub(super) fn write<T>(
        &self,
        mut work: impl FnMut(&mut Tables<'_>) -> Result<(T, bool), WriteError>,
        mut order: impl FnMut(&T),
    ) -> Result<T, StoreError> {
        let mut group = 0;
        let mut done = None;
        let outcome = self.transact(|transaction| {
            let (result, changed) = {
                let lines = transaction.open_table(LINES)?;
                let next_line = lines.last()?.map_or(1, |(number, _)| number.value() + 1);
                let rows = transaction.open_table(ROWS)?;
                work(&mut Tables { rows, lines, next_line, scratch: Vec::new() })?
            };
            if changed {
                group = next_group(transaction)?;
                order(&result);
            }
            done = Some(result);
            Ok(changed)
        });
        match outcome {
            Ok(()) => done.ok_or(DAMAGED),
            Err(Failure::Full) => match (self.reopen()?, done) {
                (found, Some(done)) if group != 0 && found == group => Ok(done),
                _ => Err(StoreError::Full),
            },
            Err(failure) => Err(end_if_in_doubt(failure)),
        }
    }

    /// A node number that nobody has used or will use.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub(super) fn reserve_node(&self) -> Result<u32, StoreError> {
        match self.take_node() {
            Ok(node) => Ok(node),
            // If it took place after all, the number stays unused.
            Err(Failure::Full) => self.reopen().and(Err(StoreError::Full)),
            Err(failure) => Err(end_if_in_doubt(failure)),
        }
    }

    /// The numbers of the two lanes of this start.
    pub(super) fn reserve_first_nodes(&self) -> Result<(u32, u32), OpenError> {
        let both = self.take_node().and_then(|first| Ok((first, self.take_node()?)));
        both.map_err(|failure| {
            let path = self.path.clone();
            match failure {
                Failure::Full => {
                    OpenError::Unreadable { path, reason: io::ErrorKind::StorageFull.into() }
                }
                Failure::Disk(::redb::Error::Io(reason)) => OpenError::Unreadable { path, reason },
                Failure::Disk(_) | Failure::Damaged | Failure::Panicked => {
                    OpenError::Damaged { path, what: "the engine cannot write it".to_owned() }
                }
            }
        })
    }

    fn take_node(&self) -> Result<u32, Failure> {
        let mut node = None;
        let outcome = self.transact(|transaction| {
            next_group(transaction)?;
            let mut meta = transaction.open_table(META)?;
            let next = meta.get(NEXT_NODE)?.map(|next| next.value());
            node = next.and_then(|next| u32::try_from(next).ok());
            meta.insert(NEXT_NODE, next.unwrap_or(u64::MAX).saturating_add(1))?;
            Ok(true)
        });
        outcome.and_then(|()| node.ok_or(Failure::Damaged))
    }

    /// Carries out one durable transaction, if `work` changes something.
    fn transact(
        &self,
        mut work: impl FnMut(&WriteTransaction) -> Result<bool, WriteError>,
    ) -> Result<(), Failure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        // Closed after an earlier write failed: opening it is tried again, as after a full disk.
        let database = database.as_ref().ok_or(Failure::Full)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let transaction = begin(database)?;
            if work(&transaction)? { Ok(transaction.commit()?) } else { Ok(transaction.abort()?) }
        }));
        match outcome {
            Ok(done) => done.map_err(failure),
            Err(_) => Err(Failure::Panicked),
        }
    }

    /// Closes the database and opens it again, and tells the number of the last write in it.
    fn reopen(&self) -> Result<u64, StoreError> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        database::close(slot.take());
        match database::open(&self.path, &self.disk) {
            Ok(database) => *slot = Some(database),
            Err(error) => {
                tracing::error!(%error, "the database could not be opened again");
                return Err(StoreError::Unavailable("its disk is full"));
            }
        }
        drop(slot);
        self.read(|transaction| {
            let meta = transaction.open_table(META)?;
            Ok(meta.get(GROUP)?.map_or(0, |group| group.value()))
        })
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(UNREADABLE)?;
        guarded(|| work(&database.begin_read()?))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        database::close(self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// redb does not compare checksums when it reads, so that damaged pages may make it panic.
fn guarded<T>(work: impl FnOnce() -> Result<T, WriteError>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match failure(error) {
            Failure::Damaged | Failure::Panicked => DAMAGED,
            Failure::Full | Failure::Disk(_) => UNREADABLE,
        }),
        Err(_) => Err(DAMAGED),
    }
}

/// Why the engine did not do something.
enum Failure {
    /// There was no room.
    Full,
    /// The tables are not what was written.
    Damaged,
    /// The disk failed.
    Disk(::redb::Error),
    /// The engine met something that it did not expect.
    Panicked,
}

fn failure(error: ::redb::Error) -> Failure {
    match error {
        ::redb::Error::Io(error) if is_full(&error) => Failure::Full,
        ::redb::Error::Io(error) if is_wrong_bytes(&error) => Failure::Damaged,
        error @ (::redb::Error::Io(_)
        | ::redb::Error::Backend(_)
        | ::redb::Error::PreviousIo
        | ::redb::Error::DatabaseClosed) => Failure::Disk(error),
        // Everything else says that the tables are not what was written.
        _ => Failure::Damaged,
    }
}

/// After a failed write only opening the store again tells what is on the disk.
fn end_if_in_doubt(failure: Failure) -> StoreError {
    match failure {
        Failure::Full => StoreError::Full,
        Failure::Damaged => DAMAGED,
        Failure::Disk(error) => fatal::end("writing the database", &error),
        Failure::Panicked => fatal::end("writing the database", &"the engine panicked"),
    }
}

fn next_group(transaction: &WriteTransaction) -> Result<u64, WriteError> {
    let mut meta = transaction.open_table(META)?;
    let group = meta.get(GROUP)?.map_or(0, |group| group.value()) + 1;
    meta.insert(GROUP, group)?;
    Ok(group)
}

fn row_of(stored: &[u8]) -> Result<Row, WriteError> {
    let version = version_of(stored)?;
    Ok(Row { version, value: Bytes::copy_from_slice(stored.get(8..).unwrap_or_default()) })
}

fn version_of(stored: &[u8]) -> Result<u64, WriteError> {
    let version = stored.first_chunk::<8>().copied().map(u64::from_be_bytes);
    version.ok_or_else(|| WriteError::Corrupted("a row has no version".to_owned()))
}
