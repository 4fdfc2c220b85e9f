//! What a store needs of an embedded engine: an ordered map whose batches are atomic and durable.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::Disk;
use crate::{KeyRange, OpenError, Row, RowKey, StoreError, fatal};

/// An engine's name, where it keeps its data, and how that is made and opened.
pub(crate) struct Kind {
    /// The name in a store's URL and in its `FORMAT`.
    pub(crate) name: &'static str,
    /// Files and folders of the engine in the store's folder, that of the database first.
    pub(super) entries: &'static [&'static str],
    /// Makes an empty database in the store's folder, durable but for the names in that folder.
    pub(super) create: fn(&Path) -> Result<(), OpenError>,
    /// Opens the database in the store's folder, after a crash with its recovery.
    pub(super) open: Open,
}

/// Opens the database in a store's folder.
type Open = fn(&Path, &Arc<Disk>) -> Result<Box<dyn Engine>, OpenError>;

impl Kind {
    /// Where the database lies.
    pub(super) fn database(&self) -> &'static str {
        self.entries.first().copied().unwrap_or(self.name)
    }
}

/// An open database: rows, the lines of commits counted from 1, and the next node number.
///
/// Readers see durable writes only, each of them whole. There is one writer at a time.
pub(super) trait Engine: Send + Sync + 'static {
    /// The rows under these keys, of one moment.
    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        self.snapshot()?.get_many(keys)
    }

    /// The first `limit` rows of a range that is not empty, of one moment.
    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        self.snapshot()?.scan(range, limit)
    }

    /// Gives the lines of commits after the first `seen` to `take`, each with its number, until
    /// that says that it has enough.
    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.snapshot()?.read_lines(seen, take)
    }

    /// The rows as they are now, or when the first of them is looked at. While it is held a write may have to
    /// wait, so that whoever holds it asks nobody else.
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// The rows as they are now, however long they are held and whatever is written; none of an engine that
    /// cannot keep them.
    fn frozen(&self) -> Result<Option<Arc<Frozen>>, StoreError> {
        Ok(None)
    }

    /// The next node number that nobody has used.
    fn next_node(&self) -> Result<u32, StoreError>;

    /// Up to where the database has the groups of a journal in front of it.
    fn progress(&self) -> Result<Progress, StoreError>;

    /// Opens again what an earlier write that failed had to close.
    fn ready(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Makes changes durable, all of them or none. `order` is called once before any of them can be
    /// seen.
    fn write(&self, changes: &Changes, order: &mut dyn FnMut()) -> Result<(), Failure>;
}

/// The rows and lines of one moment.
pub(super) trait Snapshot {
    /// The version of a row.
    fn version(&self, key: &RowKey) -> Result<Option<u64>, StoreError>;

    /// The rows under these keys.
    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError>;

    /// The first `limit` rows of a range that is not empty.
    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError>;

    /// Gives the lines of commits after the first `seen` to `take`, each with its number, until
    /// that says that it has enough.
    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError>;
}

impl<S: Snapshot + ?Sized> Snapshot for Arc<S> {
    fn version(&self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        (**self).version(key)
    }

    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        (**self).get_many(keys)
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        (**self).scan(range, limit)
    }

    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        (**self).read_lines(seen, take)
    }
}

/// The rows and lines of one moment that many share, for as long as they like.
pub(super) type Frozen = dyn Snapshot + Send + Sync;

/// What one write does.
#[derive(Default)]
pub(super) struct Changes {
    /// Rows as they will stand; none for a row that is removed.
    pub(super) rows: BTreeMap<RowKey, Option<Row>>,
    /// Lines of commits, in their order.
    pub(super) lines: Vec<Bytes>,
    /// The next node number, if it changes.
    pub(super) next_node: Option<u32>,
    /// Up to where it has the groups of a journal in front of it, if there is one.
    pub(super) progress: Option<Progress>,
}

impl Changes {
    /// Bytes of its rows and lines.
    pub(super) fn bytes(&self) -> usize {
        let value = |row: &Option<Row>| row.as_ref().map_or(0, |row| row.value.len());
        let rows = self.rows.iter().map(|(key, row)| key.as_bytes().len() + value(row));
        rows.chain(self.lines.iter().map(Bytes::len)).sum()
    }
}

/// How far the groups of a journal go.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Progress {
    /// The last group, counted from 1.
    pub(super) group: u64,
    /// Lines in the groups up to there.
    pub(super) lines: u64,
}

/// Why a write did not take place.
pub(super) enum Failure {
    /// There was no room; nothing has changed.
    Full,
    /// The database had to be closed and is tried again with the next write.
    Closed(&'static str),
    /// What is stored is not what was written.
    Damaged,
    /// The disk failed, so that what is on it is in doubt.
    Disk(String),
    /// The engine met something that it did not expect.
    Panicked,
}

impl Failure {
    /// The caller's error; the end of the process if it is in doubt what is on the disk.
    pub(super) fn or_end(self) -> StoreError {
        match self {
            Self::Full => StoreError::Full,
            Self::Closed(why) => StoreError::Unavailable(why),
            Self::Damaged => DAMAGED,
            Self::Disk(why) => fatal::end("writing the database", &why),
            Self::Panicked => fatal::end("writing the database", &"the engine panicked"),
        }
    }

    /// The same while a store is being opened, where nothing was acknowledged yet.
    pub(super) fn at_opening(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Full => OpenError::Unreadable { path, reason: io::ErrorKind::StorageFull.into() },
            Self::Closed(why) => OpenError::Unreadable { path, reason: io::Error::other(why) },
            Self::Disk(why) => OpenError::Unreadable { path, reason: io::Error::other(why) },
            Self::Damaged | Self::Panicked => {
                OpenError::Damaged { path, what: "the engine cannot write it".to_owned() }
            }
        }
    }
}

pub(super) const DAMAGED: StoreError = StoreError::Damaged("the database");
pub(super) const UNREADABLE: StoreError = StoreError::Unavailable("the database cannot be read");

/// The row in `version u64 | value`; none if there is no version.
pub(super) fn row_of(stored: &[u8]) -> Option<Row> {
    let (version, value) = stored.split_first_chunk::<8>()?;
    Some(Row { version: u64::from_be_bytes(*version), value: Bytes::copy_from_slice(value) })
}

/// The version in `version u64 | value`.
pub(super) fn version_of(stored: &[u8]) -> Option<u64> {
    stored.first_chunk::<8>().copied().map(u64::from_be_bytes)
}
