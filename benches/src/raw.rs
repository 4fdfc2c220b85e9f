//! The bare engine: how long redb takes for the rows that an import left behind.

use std::path::Path;
use std::time::Duration;

use redb::{Database, Durability, TableDefinition};
use strongroom_storage::{KeyRange, PAGE_MAX, RowKey, StoreUrl};

use crate::Failure;
use crate::load::count;
use crate::time::Start;

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// As much as the server gives its own database.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The rows of a store that nobody else has open.
pub(crate) struct Rows(Vec<(RowKey, Vec<u8>)>);

impl Rows {
    /// Reads them.
    ///
    /// # Errors
    /// If the store cannot be opened or read.
    pub(crate) fn of(folder: &Path) -> Result<Self, Failure> {
        let store = strongroom_storage::open(&StoreUrl::Redb(folder.to_owned()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut rows = Vec::new();
        let mut range = KeyRange::prefix(&[]);
        loop {
            let page = runtime.block_on(store.scan(&range, PAGE_MAX))?;
            let Some((last, _)) = page.last() else { return Ok(Self(rows)) };
            range = range.continued(last);
            rows.extend(page.into_iter().map(|(key, row)| {
                // The version stands before the value.
                (key, [&row.version.to_be_bytes()[..], &row.value].concat())
            }));
        }
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Their keys' and values' bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| key.as_bytes().len() + value.len()).sum()
    }

    /// Loads them into a new database in so many commits, each as durable as the server's.
    ///
    /// # Errors
    /// Those of the engine.
    pub(crate) fn load(&self, path: &Path, commits: usize) -> Result<Duration, Failure> {
        let begun = Start::now();
        let database = create(path)?;
        for rows in self.0.chunks(self.0.len().div_ceil(commits.max(1)).max(1)) {
            commit(&database, rows.iter().map(|(key, value)| (key.as_bytes(), value.as_slice())))?;
        }
        Ok(begun.elapsed())
    }
}

/// A new database of the bare engine, with as much memory as the server gives its own.
///
/// # Errors
/// Those of the engine.
pub(crate) fn create(path: &Path) -> Result<Database, Failure> {
    Ok(Database::builder().set_cache_size(CACHE_BYTES).create(path)?)
}

/// Puts rows in one commit that is as durable as the server's.
///
/// # Errors
/// Those of the engine.
pub(crate) fn commit<'r>(
    database: &Database,
    rows: impl Iterator<Item = (&'r [u8], &'r [u8])>,
) -> Result<(), Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(ROWS)?;
        for (key, value) in rows {
            table.insert(key, value)?;
        }
    }
    Ok(transaction.commit()?)
}

/// Kibibytes for each of so many things.
pub(crate) fn kib_each(bytes: usize, things: usize) -> f64 {
    count(bytes) / 1_024.0 / count(things.max(1))
}
