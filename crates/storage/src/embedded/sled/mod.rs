//! The engine sled: a lock-free tree over a log. It is used with what it does not promise by itself:
//!
//! - its `flush` hands the log to the operating system and no further, so that every group is synced here;
//! - its writes are seen before they are durable, so that readers are shown what was before them;
//! - its long values go to files that it never syncs, so that long values are kept in pieces;
//! - it goes on after a failed sync, so that this process ends;
//! - it takes damage at the end of its log for the end, so that a mark beside it says how far it was;
//! - it needs memory for all of its pages, so that it may not outgrow the machine.

mod database;
pub(super) mod memory;
mod pieces;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::iter::Peekable;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ::sled::{Batch, IVec};

use self::database::{
    FOLDER, GROUP, Handle, JOURNAL_GROUP, JOURNAL_LINES, MARK, NEXT_NODE, Opened, number,
};
use self::memory::Memory;
use self::pieces::{Space, entry};
use super::disk::{Disk, room_for};
use super::engine::{
    Changes, DAMAGED, Engine, Failure, Kind, Progress, Snapshot, UNREADABLE, row_of, version_of,
};
use super::folder::sync_everything;
use super::mark::Mark;
use crate::{KeyRange, OpenError, Row, RowKey, StoreError};

/// Bytes by which the database may grow before its size is looked at again, with what sled moves about
/// meanwhile.
const GROWTH_BYTES: u64 = 128 * 1024 * 1024;

/// The engine `sled:`.
pub(crate) const KIND: Kind = Kind {
    name: "sled",
    entries: &[FOLDER, MARK],
    create: database::create,
    open: |folder, disk| Ok(Box::new(Sled::open(folder, disk, Memory::of_this_process())?)),
};

/// An open database.
pub(super) struct Sled {
    handle: Handle,
    memory: Memory,
    /// Opened before the first write and kept, so that the operating system reports to it what it could
    /// not write back.
    file: File,
    blobs: PathBuf,
    mark: Mark,
    group: AtomicU64,
    under_way: RwLock<UnderWay>,
    disk: Arc<Disk>,
}

/// What readers see instead of a write that is not durable yet.
#[derive(Default)]
struct UnderWay {
    /// The rows that the write changes, as they were before it.
    rows: BTreeMap<RowKey, Option<Row>>,
    /// Durable lines.
    lines: u64,
}

/// Why sled's answer was no use.
enum Trouble {
    /// sled said so.
    Engine(::sled::Error),
    /// An entry is not what was written.
    Damaged,
}

impl From<::sled::Error> for Trouble {
    fn from(error: ::sled::Error) -> Self {
        Self::Engine(error)
    }
}

/// The rows and lines as long as no write becomes visible.
struct Durable<'s> {
    sled: &'s Sled,
    under_way: RwLockReadGuard<'s, UnderWay>,
}

impl Snapshot for Durable<'_> {
    fn version(&self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        if let Some(row) = self.under_way.rows.get(key) {
            return Ok(row.as_ref().map(|row| row.version));
        }
        guarded(|| {
            let Some(stored) = self.sled.handle.db()?.get(entry(Space::Row, key.as_bytes()))?
            else {
                return Ok(None);
            };
            let first = pieces::first(&stored).and_then(|(_, bytes)| version_of(bytes));
            first.map(Some).ok_or(Trouble::Damaged)
        })
    }

    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        guarded(|| {
            let row = |key| match self.under_way.rows.get(key) {
                Some(row) => Ok(row.clone()),
                None => Ok(self.sled.stored(key)?.map(|(row, _)| row)),
            };
            keys.iter().map(row).collect()
        })
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        let start = Bound::Included(entry(Space::Row, range.start()));
        let end =
            range.end().map_or_else(|| vec![Space::Row as u8 + 1], |end| entry(Space::Row, end));
        let hidden_end =
            range.end().map_or(Bound::Unbounded, |end| Bound::Excluded(RowKey::new(end)));
        let hidden = (Bound::Included(RowKey::new(range.start())), hidden_end);
        let hidden = self.under_way.rows.range(hidden);
        guarded(|| {
            let stored = self.sled.handle.db()?.range((start, Bound::Excluded(end)));
            if range.is_descending() {
                let before = |a: &[u8], b: &[u8]| a > b;
                self.sled.page(stored.rev().peekable(), hidden.rev().peekable(), before, limit)
            } else {
                let before = |a: &[u8], b: &[u8]| a < b;
                self.sled.page(stored.peekable(), hidden.peekable(), before, limit)
            }
        })
    }

    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let lines = self.under_way.lines;
        let start = entry(Space::Line, &seen.saturating_add(1).to_be_bytes());
        let end = entry(Space::Line, &lines.to_be_bytes());
        if seen >= lines {
            return Ok(());
        }
        guarded(|| {
            let db = self.sled.handle.db()?;
            for found in db.range(start..=end) {
                let (key, stored) = found?;
                let key = key.get(1..).unwrap_or_default();
                let number = key.first_chunk::<8>().copied().map(u64::from_be_bytes);
                let line = pieces::whole(db, Space::Line, key, &stored)?;
                let (number, line) = number.zip(line).ok_or(Trouble::Damaged)?;
                if !take(number, &line) {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl Engine for Sled {
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(Durable { sled: self, under_way: self.under_way() }))
    }

    fn next_node(&self) -> Result<u32, StoreError> {
        let next = guarded(|| Ok(number(self.handle.db()?, NEXT_NODE)?))?;
        next.and_then(|next| u32::try_from(next).ok()).ok_or(DAMAGED)
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        guarded(|| {
            let db = self.handle.db()?;
            let number = |name| Ok::<_, Trouble>(number(db, name)?.unwrap_or(0));
            Ok(Progress { group: number(JOURNAL_GROUP)?, lines: number(JOURNAL_LINES)? })
        })
    }

    fn write(&self, changes: &Changes, order: &mut dyn FnMut()) -> Result<(), Failure> {
        self.disk.check_room().map_err(|_| Failure::Full)?;
        room_for(&self.file, changes)?;
        if !self.has_memory_for_more() {
            return Err(Failure::Full);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| self.carry_out(changes, order)));
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Trouble::Engine(error))) => Err(Failure::Disk(error.to_string())),
            Ok(Err(Trouble::Damaged)) => Err(Failure::Damaged),
            Err(_) => Err(Failure::Panicked),
        }
    }
}

impl Sled {
    pub(super) fn open(store: &Path, disk: &Arc<Disk>, memory: Memory) -> Result<Self, OpenError> {
        let Opened { handle, file, mark, group } = database::open(store, memory)?;
        let sled = Self {
            handle,
            memory,
            file,
            blobs: store.join(FOLDER).join("blobs"),
            mark,
            group: AtomicU64::new(group),
            under_way: RwLock::default(),
            disk: Arc::clone(disk),
        };
        let lines = guarded(|| sled.last_line()).map_err(|_| OpenError::Damaged {
            path: store.join(FOLDER),
            what: "its last line cannot be read".to_owned(),
        })?;
        sled.show().lines = lines;
        Ok(sled)
    }

    /// One group: hidden, applied, handed to the operating system, synced, shown.
    fn carry_out(&self, changes: &Changes, order: &mut dyn FnMut()) -> Result<(), Trouble> {
        let group = self.group.load(Ordering::Relaxed).saturating_add(1);
        let lines = self.under_way().lines;
        let mut batch = Batch::default();
        batch.insert(entry(Space::Meta, GROUP), &group.to_be_bytes());
        if let Some(next) = changes.next_node {
            batch.insert(entry(Space::Meta, NEXT_NODE), &u64::from(next).to_be_bytes());
        }
        if let Some(progress) = changes.progress {
            batch.insert(entry(Space::Meta, JOURNAL_GROUP), &progress.group.to_be_bytes());
            batch.insert(entry(Space::Meta, JOURNAL_LINES), &progress.lines.to_be_bytes());
        }
        for (line, number) in changes.lines.iter().zip(lines.saturating_add(1)..) {
            pieces::put(&mut batch, Space::Line, &number.to_be_bytes(), (&[], line), 0);
        }
        let mut were = BTreeMap::new();
        for (key, row) in &changes.rows {
            let (was, before) =
                self.stored(key)?.map_or((None, 0), |(row, more)| (Some(row), more));
            match row {
                Some(Row { version, value }) => {
                    let value = (&version.to_be_bytes()[..], &value[..]);
                    pieces::put(&mut batch, Space::Row, key.as_bytes(), value, before);
                }
                None => pieces::remove(&mut batch, Space::Row, key.as_bytes(), before),
            }
            were.insert(key.clone(), was);
        }
        self.show().rows = were;
        order();
        let db = self.handle.db()?;
        db.apply_batch(batch)?;
        db.flush()?;
        self.disk.synced(self.file.sync_data());
        self.sync_blobs();
        self.group.store(group, Ordering::Relaxed);
        self.mark.set(group);
        let count = u64::try_from(changes.lines.len()).unwrap_or(u64::MAX);
        *self.show() = UnderWay { rows: BTreeMap::new(), lines: lines.saturating_add(count) };
        Ok(())
    }

    /// Whether the database may grow: one that was let grow further would not open again here.
    fn has_memory_for_more(&self) -> bool {
        let bytes = self.file.metadata().map(|metadata| metadata.len());
        bytes.is_ok_and(|bytes| self.memory.is_enough_for(bytes.saturating_add(GROWTH_BYTES)))
    }

    /// There are no files of long values, because none is long. Should sled make one after all, it is
    /// made durable before anything is acknowledged, and somebody is told. A store whose folder somebody has
    /// taken away has none either.
    fn sync_blobs(&self) {
        let is_empty = match fs::read_dir(&self.blobs) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_empty {
            tracing::error!("sled wrote a value to a file of its own, which it should never do");
            self.disk.synced(sync_everything(&self.blobs));
        }
    }

    /// The number of the last line, which at opening is that of all lines.
    fn last_line(&self) -> Result<u64, Trouble> {
        let all = entry(Space::Line, &[])..vec![Space::Line as u8 + 1];
        let Some(last) = self.handle.db()?.range(all).next_back() else { return Ok(0) };
        let (key, _) = last?;
        let number = key.get(1..).and_then(<[u8]>::first_chunk::<8>);
        number.copied().map(u64::from_be_bytes).ok_or(Trouble::Damaged)
    }

    /// A row, durable or not, and how many further pieces it has.
    fn stored(&self, key: &RowKey) -> Result<Option<(Row, u16)>, Trouble> {
        let Some(stored) = self.handle.db()?.get(entry(Space::Row, key.as_bytes()))? else {
            return Ok(None);
        };
        let (more, _) = pieces::first(&stored).ok_or(Trouble::Damaged)?;
        Ok(Some((self.row(key.as_bytes(), &stored)?, more)))
    }

    fn row(&self, key: &[u8], stored: &IVec) -> Result<Row, Trouble> {
        let whole = pieces::whole(self.handle.db()?, Space::Row, key, stored)?;
        whole.as_deref().and_then(row_of).ok_or(Trouble::Damaged)
    }

    /// The first rows of two sequences in the same order: what stands in the database, and what is to be
    /// seen instead.
    fn page<'h>(
        &self,
        mut stored: Peekable<impl Iterator<Item = ::sled::Result<(IVec, IVec)>>>,
        mut hidden: Peekable<impl Iterator<Item = (&'h RowKey, &'h Option<Row>)>>,
        before: impl Fn(&[u8], &[u8]) -> bool,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, Trouble> {
        let mut page = Vec::new();
        while page.len() < limit {
            // An error comes out at once: its key is none.
            let next = stored.peek().map(|found| {
                found.as_ref().map_or(&[][..], |(key, _)| key.get(1..).unwrap_or_default())
            });
            let from_hidden = match (next, hidden.peek()) {
                (None, None) => break,
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some(key), Some((hides, _))) => !before(key, hides.as_bytes()),
            };
            if !from_hidden {
                let Some(found) = stored.next() else { break };
                let (key, value) = found?;
                let key = key.get(1..).ok_or(Trouble::Damaged)?;
                page.push((RowKey::new(key), self.row(key, &value)?));
                continue;
            }
            let Some((key, row)) = hidden.next() else { break };
            let is_same = |found: &::sled::Result<(IVec, IVec)>| {
                found.as_ref().is_ok_and(|(stored, _)| stored.get(1..) == Some(key.as_bytes()))
            };
            stored.next_if(is_same);
            if let Some(row) = row {
                page.push((key.clone(), row.clone()));
            }
        }
        Ok(page)
    }

    fn under_way(&self) -> RwLockReadGuard<'_, UnderWay> {
        self.under_way.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) -> RwLockWriteGuard<'_, UnderWay> {
        self.under_way.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// sled panics on some damaged pages.
fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Trouble::Engine(::sled::Error::Io(_)))) => Err(UNREADABLE),
        Ok(Err(Trouble::Engine(_) | Trouble::Damaged)) | Err(_) => Err(DAMAGED),
    }
}
