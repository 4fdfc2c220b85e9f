//! The redb database file: its tables, making it and opening it.

use std::fs::OpenOptions;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use redb::{Builder, Database, Durability, ReadableDatabase, TableDefinition, WriteTransaction};

use super::backend::DatabaseFile;
use crate::OpenError;
use crate::embedded::disk::Disk;

/// Key to `version u64 | value`.
pub(super) const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// The lines of commits, counted from 1 over all tenants.
pub(super) const LINES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lines");
/// The store's own numbers.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// In `META`: the version of these tables.
const FORMAT: &str = "format";
const FORMAT_VERSION: u64 = 1;
/// In `META`: the next node number that nobody has used.
pub(super) const NEXT_NODE: &str = "next_node";
/// In `META`: counts the writes, so that after a failed one it shows whether it took place.
pub(super) const GROUP: &str = "group";
/// In `META`: the last group and the lines that it has of a journal in front of it.
pub(super) const JOURNAL_GROUP: &str = "journal_group";
pub(super) const JOURNAL_LINES: &str = "journal_lines";
/// Bytes of the database that are kept in memory.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Makes an empty database.
pub(super) fn create(path: &Path) -> Result<(), OpenError> {
    let unreadable = |reason| OpenError::Unreadable { path: path.to_owned(), reason };
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
    let backend = DatabaseFile::new(file.map_err(unreadable)?, Arc::default());
    let made = backend
        .and_then(|backend| Builder::new().create_with_backend(backend))
        .map_err(redb::Error::from)
        .and_then(|database| {
            let transaction = begin(&database)?;
            transaction.open_table(ROWS)?;
            transaction.open_table(LINES)?;
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert(FORMAT, FORMAT_VERSION)?;
                meta.insert(NEXT_NODE, 1)?;
                meta.insert(GROUP, 0)?;
            }
            transaction.commit()?;
            Ok(database.close()?)
        });
    made.map_err(|error| open_error(path, error))
}

/// Opens the database at `path`, after a crash with its recovery.
pub(super) fn open(path: &Path, disk: &Arc<Disk>) -> Result<Database, OpenError> {
    let damaged = |what: &str| OpenError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged("the file is missing"));
        }
        Err(reason) => return Err(OpenError::Unreadable { path: path.to_owned(), reason }),
    };
    // The engine would make a new database in an empty file.
    if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        return Err(damaged("the file is empty"));
    }
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let backend = DatabaseFile::new(file, Arc::clone(disk))?;
        let mut builder = Builder::new();
        let database = builder.set_cache_size(CACHE_BYTES).create_with_backend(backend)?;
        let format = format_of(&database)?;
        Ok::<_, redb::Error>((database, format))
    }));
    match opened {
        Ok(Ok((database, Some(FORMAT_VERSION)))) => Ok(database),
        Ok(Ok((_, Some(found)))) => Err(OpenError::Version {
            path: path.to_owned(),
            found: found.to_string(),
            known: u32::try_from(FORMAT_VERSION).unwrap_or(0),
        }),
        Ok(Ok((_, None))) => Err(damaged("it has no format")),
        Ok(Err(error)) => Err(open_error(path, error)),
        Err(_) => Err(damaged("the engine cannot read it")),
    }
}

/// The version of the tables; an error if one of them is missing.
fn format_of(database: &Database) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_read()?;
    transaction.open_table(ROWS)?;
    transaction.open_table(LINES)?;
    let meta = transaction.open_table(META)?;
    let format = meta.get(FORMAT)?.map(|format| format.value());
    Ok(format)
}

fn open_error(path: &Path, error: redb::Error) -> OpenError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen => OpenError::InUse(path),
        redb::Error::Io(reason) if !is_wrong_bytes(&reason) => {
            OpenError::Unreadable { path, reason }
        }
        error => OpenError::Damaged { path, what: error.to_string().to_lowercase() },
    }
}

/// Two phases, because clients choose what is written; and the allocator's state with every commit,
/// so that opening after a crash does not read the whole file.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Closes a database; a damaged one may make the engine panic.
pub(super) fn close(database: Option<Database>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
}

/// Whether the disk did what it was asked, but the file is too short or not a database.
pub(super) fn is_wrong_bytes(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}
