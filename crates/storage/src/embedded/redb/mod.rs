//! The engine redb: a copy-on-write B-tree in one file.

mod backend;
mod database;

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use ::redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction,
};

use self::database::{
    GROUP, JOURNAL_GROUP, JOURNAL_LINES, LINES, META, NEXT_NODE, ROWS, begin, is_wrong_bytes,
};
use super::disk::Disk;
use super::engine::{
    Changes, DAMAGED, Engine, Failure, Frozen, Kind, Progress, Snapshot, UNREADABLE, row_of,
    version_of,
};
use crate::journal::is_full;
use crate::{KeyRange, OpenError, Row, RowKey, StoreError};

/// Where the database lies in the store's folder.
const FILE: &str = "store.redb";

/// The engine `redb:`.
pub(crate) const KIND: Kind = Kind {
    name: "redb",
    entries: &[FILE],
    create: |folder| database::create(&folder.join(FILE)),
    open: |folder, disk| Ok(Box::new(Redb::open(&folder.join(FILE), disk)?)),
};

/// An open database. It is closed and opened again after a failed write, hence the lock.
struct Redb {
    path: PathBuf,
    /// What all readers share: redb syncs its file under the lock that beginning to read takes, when a write
    /// makes it longer. None if nothing could be read after the last write; then each reader begins anew.
    newest: RwLock<Option<Arc<Moment>>>,
    database: RwLock<Option<Database>>,
    disk: Arc<Disk>,
}

/// Why redb did not do something.
type RedbError = ::redb::Error;

/// The rows and lines as one transaction sees them.
struct Moment {
    transaction: ReadTransaction,
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Snapshot for Moment {
    fn version(&self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        guarded(|| {
            let row = self.rows.get(key.as_bytes())?;
            row.map(|row| version_of(row.value()).ok_or_else(no_version)).transpose()
        })
    }

    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        guarded(|| {
            let row = |key: &RowKey| {
                let row = self.rows.get(key.as_bytes())?;
                row.map(|row| row_of(row.value()).ok_or_else(no_version)).transpose()
            };
            keys.iter().map(row).collect()
        })
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        guarded(|| {
            let end = range.end().map_or(Bound::Unbounded, Bound::Excluded);
            let mut found = self.rows.range::<&[u8]>((Bound::Included(range.start()), end))?;
            let mut page = Vec::new();
            while page.len() < limit {
                let next = if range.is_descending() { found.next_back() } else { found.next() };
                let Some(entry) = next else { break };
                let (key, row) = entry?;
                let row = row_of(row.value()).ok_or_else(no_version)?;
                page.push((RowKey::new(key.value()), row));
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
            let lines = self.transaction.open_table(LINES)?;
            for entry in lines.range(seen.saturating_add(1)..)? {
                let (number, line) = entry?;
                if !take(number.value(), line.value()) {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl Engine for Redb {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(self.now()?))
    }

    fn frozen(&self) -> Result<Option<Arc<Frozen>>, StoreError> {
        Ok(Some(self.now()?))
    }

    fn next_node(&self) -> Result<u32, StoreError> {
        let next = self.read(|transaction| {
            let meta = transaction.open_table(META)?;
            Ok(meta.get(NEXT_NODE)?.map(|next| next.value()))
        })?;
        next.and_then(|next| u32::try_from(next).ok()).ok_or(DAMAGED)
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        self.read(|transaction| {
            let meta = transaction.open_table(META)?;
            let number =
                |name| Ok::<_, RedbError>(meta.get(name)?.map_or(0, |stored| stored.value()));
            Ok(Progress { group: number(JOURNAL_GROUP)?, lines: number(JOURNAL_LINES)? })
        })
    }

    fn ready(&self) -> Result<(), Failure> {
        let closed = self.database.read().unwrap_or_else(PoisonError::into_inner).is_none();
        if closed { self.reopen().map(drop) } else { Ok(()) }
    }

    fn write(&self, changes: &Changes, order: &mut dyn FnMut()) -> Result<(), Failure> {
        let mut group = 0;
        let outcome = self.transact(|transaction| {
            change(transaction, changes)?;
            group = next_group(transaction)?;
            order();
            Ok(())
        });
        match outcome {
            Ok(()) => {
                self.renew();
                Ok(())
            }
            Err(Failure::Full) if self.reopen()? == group && group != 0 => Ok(()),
            outcome => outcome,
        }
    }
}

impl Redb {
    fn open(path: &Path, disk: &Arc<Disk>) -> Result<Self, OpenError> {
        let disk = Arc::clone(disk);
        let database = RwLock::new(Some(database::open(path, &disk)?));
        let opened = Self { path: path.to_owned(), newest: RwLock::default(), database, disk };
        opened.renew();
        Ok(opened)
    }

    /// The newest moment.
    fn now(&self) -> Result<Arc<Moment>, StoreError> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner).clone();
        newest.map_or_else(|| self.begin_to_read(), Ok)
    }

    /// Shows readers what was written.
    fn renew(&self) {
        self.show(self.begin_to_read().ok());
    }

    fn show(&self, newest: Option<Arc<Moment>>) {
        let mut slot = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        let older = std::mem::replace(&mut *slot, newest);
        drop(slot);
        drop(older);
    }

    fn begin_to_read(&self) -> Result<Arc<Moment>, StoreError> {
        self.read(|transaction| {
            let rows = transaction.open_table(ROWS)?;
            Ok(Arc::new(Moment { transaction, rows }))
        })
    }

    /// Carries out one durable transaction.
    fn transact(
        &self,
        mut work: impl FnMut(&WriteTransaction) -> Result<(), RedbError>,
    ) -> Result<(), Failure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(Failure::Closed("the database is closed"))?;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let transaction = begin(database)?;
            work(&transaction)?;
            Ok(transaction.commit()?)
        }));
        match outcome {
            Ok(done) => done.map_err(failure),
            Err(_) => Err(Failure::Panicked),
        }
    }

    /// Closes the database and opens it again, and tells the number of the last write in it.
    fn reopen(&self) -> Result<u64, Failure> {
        self.show(None);
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        database::close(slot.take());
        match database::open(&self.path, &self.disk) {
            Ok(database) => *slot = Some(database),
            Err(error) => {
                tracing::error!(%error, "the database could not be opened again");
                return Err(Failure::Closed("its disk is full"));
            }
        }
        drop(slot);
        self.renew();
        let group = self.read(|transaction| {
            let meta = transaction.open_table(META)?;
            Ok(meta.get(GROUP)?.map_or(0, |group| group.value()))
        });
        group.map_err(|_| Failure::Damaged)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(ReadTransaction) -> Result<T, RedbError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(UNREADABLE)?;
        guarded(|| work(database.begin_read()?))
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        self.show(None);
        database::close(self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// redb does not compare checksums when it reads, so that damaged pages may make it panic.
fn guarded<T>(work: impl FnOnce() -> Result<T, RedbError>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match failure(error) {
            Failure::Damaged | Failure::Panicked => DAMAGED,
            Failure::Full | Failure::Closed(_) | Failure::Disk(_) => UNREADABLE,
        }),
        Err(_) => Err(DAMAGED),
    }
}

fn failure(error: RedbError) -> Failure {
    match error {
        RedbError::Io(error) if is_full(&error) => Failure::Full,
        RedbError::Io(error) if is_wrong_bytes(&error) => Failure::Damaged,
        error @ (RedbError::Io(_)
        | RedbError::Backend(_)
        | RedbError::PreviousIo
        | RedbError::DatabaseClosed) => Failure::Disk(error.to_string()),
        // Everything else says that the tables are not what was written.
        _ => Failure::Damaged,
    }
}

fn change(transaction: &WriteTransaction, changes: &Changes) -> Result<(), RedbError> {
    let mut lines = transaction.open_table(LINES)?;
    let last = lines.last()?.map_or(0, |(number, _)| number.value());
    for (line, number) in changes.lines.iter().zip(last.saturating_add(1)..) {
        lines.insert(number, line.as_ref())?;
    }
    let mut rows = transaction.open_table(ROWS)?;
    let mut stored = Vec::new();
    for (key, row) in &changes.rows {
        match row {
            Some(row) => {
                stored.clear();
                stored.extend_from_slice(&row.version.to_be_bytes());
                stored.extend_from_slice(&row.value);
                rows.insert(key.as_bytes(), stored.as_slice())?;
            }
            None => drop(rows.remove(key.as_bytes())?),
        }
    }
    if let Some(next) = changes.next_node {
        transaction.open_table(META)?.insert(NEXT_NODE, u64::from(next))?;
    }
    if let Some(Progress { group, lines }) = changes.progress {
        let mut meta = transaction.open_table(META)?;
        meta.insert(JOURNAL_GROUP, group)?;
        meta.insert(JOURNAL_LINES, lines)?;
    }
    Ok(())
}

fn next_group(transaction: &WriteTransaction) -> Result<u64, RedbError> {
    let mut meta = transaction.open_table(META)?;
    let group = meta.get(GROUP)?.map_or(0, |group| group.value()) + 1;
    meta.insert(GROUP, group)?;
    Ok(group)
}

fn no_version() -> RedbError {
    RedbError::Corrupted("a row has no version".to_owned())
}
