//! Some groups in memory, one after the other: readers look through them while the one writer adds more.

use std::cmp::Reverse;
use std::iter::from_fn;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use crossbeam_skiplist::SkipMap;

use crate::embedded::engine::{Changes, Progress};
use crate::{KeyRange, Row, RowKey};

/// What a change of a row costs in memory beside its key and value.
const ROW_BYTES: usize = 192;

/// Changes of rows, and lines, of some groups that follow each other.
///
/// A group is added row by row, so that a reader says up to which group it wants to see.
#[derive(Default)]
pub(super) struct Piece {
    /// None for a row that is removed.
    rows: SkipMap<Place, Option<Row>>,
    /// Lines by their numbers.
    lines: SkipMap<u64, Bytes>,
    bytes: AtomicUsize,
    extent: Mutex<Extent>,
}

/// Which groups a piece has.
#[derive(Clone, Copy, Default)]
struct Extent {
    first: Option<u64>,
    progress: Option<Progress>,
    /// The next node number, if a group of this piece changes it.
    next_node: Option<u32>,
}

/// Where a change stands: by the row's key, and of one row the newest first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    key: RowKey,
    group: Reverse<u64>,
}

/// What is known here of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// It stands so; none if it is removed.
    Here(Option<Row>),
    /// Nothing: it stands as the database has it.
    Behind,
}

impl Place {
    /// Where a search for a row begins that sees groups up to this one.
    pub(super) fn of(key: &RowKey, seen: u64) -> Self {
        Self { key: key.clone(), group: Reverse(seen) }
    }

    /// Before all changes of the rows with this key and later ones.
    fn before(key: &[u8]) -> Self {
        Self { key: RowKey::new(key), group: Reverse(u64::MAX) }
    }
}

impl Piece {
    /// Adds a group; `durable` counts it and its lines in.
    pub(super) fn add(&self, changes: &Changes, durable: Progress) {
        let mut bytes = 0;
        for (key, row) in &changes.rows {
            let value = row.as_ref().map_or(0, |row| row.value.len());
            bytes += key.as_bytes().len() + value + ROW_BYTES;
            self.rows.insert(Place::of(key, durable.group), row.clone());
        }
        let count = u64::try_from(changes.lines.len()).unwrap_or(u64::MAX);
        let first = durable.lines.saturating_sub(count).saturating_add(1);
        for (number, line) in (first..).zip(&changes.lines) {
            bytes += line.len() + ROW_BYTES;
            self.lines.insert(number, line.clone());
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut extent = self.extent.lock().unwrap_or_else(PoisonError::into_inner);
        let first = extent.first.or(Some(durable.group));
        let next_node = changes.next_node.or(extent.next_node);
        *extent = Extent { first, progress: Some(durable), next_node };
    }

    /// Bytes in memory, more or less.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Its first group, if it has any.
    pub(super) fn first(&self) -> Option<u64> {
        self.extent().first
    }

    /// A row, if it is here.
    pub(super) fn find(&self, place: &Place) -> Found {
        let found = self.rows.lower_bound(Bound::Included(place));
        let same = found.filter(|found| found.key().key == place.key);
        same.map_or(Found::Behind, |found| Found::Here(found.value().clone()))
    }

    /// The rows of a range that groups up to `seen` change here, in its direction.
    pub(super) fn rows<'p>(
        &'p self,
        range: &KeyRange,
        seen: u64,
    ) -> Box<dyn Iterator<Item = (RowKey, Option<Row>)> + 'p> {
        let start = Bound::Included(Place::before(range.start()));
        let end = range.end().map_or(Bound::Unbounded, |end| Bound::Excluded(Place::before(end)));
        let changes = self.rows.range((start, end)).map(|entry| {
            let Place { key, group } = entry.key().clone();
            (key, group.0, entry.value().clone())
        });
        let seen = changes.filter(move |(_, group, _)| *group <= seen);
        if range.is_descending() {
            Box::new(newest_of(seen.rev()))
        } else {
            Box::new(newest_of(seen))
        }
    }

    /// The lines after the first `after` of all, up to number `last`, in their order.
    pub(super) fn lines(&self, after: u64, last: u64) -> impl Iterator<Item = (u64, Bytes)> {
        let numbers = (Bound::Excluded(after), Bound::Included(last.max(after)));
        self.lines.range(numbers).map(|entry| (*entry.key(), entry.value().clone()))
    }

    /// All of it as one write of the database.
    pub(super) fn changes(&self) -> Changes {
        let Extent { progress, next_node, .. } = self.extent();
        Changes {
            rows: self.rows(&KeyRange::prefix(&[]), u64::MAX).collect(),
            lines: self.lines.iter().map(|entry| entry.value().clone()).collect(),
            next_node,
            progress,
        }
    }

    fn extent(&self) -> Extent {
        *self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of changes of the same row, which stand together, the newest alone.
fn newest_of(
    changes: impl Iterator<Item = (RowKey, u64, Option<Row>)>,
) -> impl Iterator<Item = (RowKey, Option<Row>)> {
    let mut changes = changes.peekable();
    from_fn(move || {
        let (key, mut newest, mut row) = changes.next()?;
        while let Some((_, group, other)) = changes.next_if(|(next, ..)| *next == key) {
            if group > newest {
                (newest, row) = (group, other);
            }
        }
        Some((key, row))
    })
}
