//! A journal in front of an engine: a group is durable when it stands in the journal, and the database
//! gets it later, many groups in one write.
//!
//! Until then an ordered overlay in memory shows readers what the database does not have. Every write
//! of the database says up to which group it goes, so that after a crash the rest is read from the
//! journal; segments of which the database has everything are removed.

mod frame;
mod log;
mod overlay;
mod record;
mod segment;

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::log::Log;
use self::overlay::{Found, Overlay, merged};
use super::disk::{Disk, room_for};
use super::engine::{Changes, Engine, Failure, Kind, Progress, Snapshot};
use super::{fjall, redb, sled};
use crate::journal::is_full;
use crate::{KeyRange, OpenError, Row, RowKey, StoreError, fatal};

/// A journal in front of redb.
pub(crate) const REDB: Kind = Kind {
    name: "redb+journal",
    entries: &["store.redb", log::FOLDER, log::MARK],
    create: |folder| create(&redb::KIND, folder),
    open: |folder, disk| open(&redb::KIND, folder, disk),
};
/// A journal in front of fjall.
pub(crate) const FJALL: Kind = Kind {
    name: "fjall+journal",
    entries: &["store.fjall", "store.mark", log::FOLDER, log::MARK],
    create: |folder| create(&fjall::KIND, folder),
    open: |folder, disk| open(&fjall::KIND, folder, disk),
};
/// A journal in front of sled.
pub(crate) const SLED: Kind = Kind {
    name: "sled+journal",
    entries: &["store.sled", "store.mark", log::FOLDER, log::MARK],
    create: |folder| create(&sled::KIND, folder),
    open: |folder, disk| open(&sled::KIND, folder, disk),
};

/// The database is given what waits for it when that has this many bytes, or earlier when time passes.
/// In tests this and the other bounds are small, so that they are met.
const GIVEN_BYTES_MIN: usize = if cfg!(test) { 2 * 1024 } else { 8 * 1024 * 1024 };
/// When what waits for the database has this many bytes, whoever commits waits, too. As much again may be
/// on its way into the database.
const WAITING_BYTES_MAX: usize = if cfg!(test) { 16 * 1024 } else { 48 * 1024 * 1024 };
/// How long something waits for the database at most while nothing else comes.
const TICK: Duration = Duration::from_millis(if cfg!(test) { 3 } else { 100 });
/// How long until the database is tried again after it had no room.
const RETRY: Duration = Duration::from_millis(100);
/// How often a reader tries to read the database without keeping groups from being added.
const FREE_TRIES: usize = 4;

/// An engine with a journal in front of it.
struct Front {
    shared: Arc<Shared>,
    applier: Option<JoinHandle<()>>,
}

struct Shared {
    behind: Box<dyn Engine>,
    overlay: RwLock<Overlay>,
    log: Mutex<Log>,
    state: Mutex<State>,
    changed: Condvar,
    /// For the room on its disk.
    folder: File,
}

/// What the writer and the thread that gives the database its groups tell each other.
#[derive(Default)]
struct State {
    /// Bytes that wait for the database.
    waiting: usize,
    trouble: Option<Trouble>,
    closing: bool,
}

/// Why the database was not given anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// It has no room; it is tried again.
    Full,
    /// What is stored is not what was written.
    Damaged,
}

fn create(kind: &Kind, folder: &Path) -> Result<(), OpenError> {
    (kind.create)(folder)?;
    Log::create(folder).map_err(|reason| OpenError::Unreadable { path: folder.to_owned(), reason })
}

fn open(kind: &Kind, store: &Path, disk: &Arc<Disk>) -> Result<Box<dyn Engine>, OpenError> {
    let behind = (kind.open)(store, disk)?;
    let database = store.join(kind.database());
    let applied = behind.progress().map_err(|_| Failure::Damaged.at_opening(&database))?;
    let mut overlay = Overlay::new(applied);
    let log = Log::open(store, disk, applied, &mut |changes, durable| {
        overlay.add(&changes, durable);
    })?;
    let unreadable = |reason| OpenError::Unreadable { path: store.to_owned(), reason };
    let state = State { waiting: overlay.bytes(), ..State::default() };
    let shared = Arc::new(Shared {
        behind,
        overlay: RwLock::new(overlay),
        log: Mutex::new(log),
        state: Mutex::new(state),
        changed: Condvar::new(),
        folder: File::open(store).map_err(unreadable)?,
    });
    let applier = thread::Builder::new().name("store-applies".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || shared.apply_until_closed()
    });
    Ok(Box::new(Front { shared, applier: Some(applier.map_err(unreadable)?) }))
}

impl Engine for Front {
    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        self.shared.read(
            |overlay| keys.iter().map(|key| overlay.find(key)).collect::<Vec<_>>(),
            |behind, found| {
                let missing = keys.iter().zip(&found).filter(|(_, found)| **found == Found::Behind);
                let missing: Vec<RowKey> = missing.map(|(key, _)| key.clone()).collect();
                let stored = if missing.is_empty() { vec![] } else { behind.get_many(&missing)? };
                let mut stored = stored.into_iter();
                let row = |found| match found {
                    Found::Here(row) => row,
                    Found::Behind => stored.next().flatten(),
                };
                Ok(found.into_iter().map(row).collect())
            },
        )
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        self.shared.read(
            |overlay| overlay.scan(range, limit),
            |behind, newer| {
                // Each row that stands in the overlay hides one of the database at most.
                let stored = behind.scan(range, limit.saturating_add(newer.len()))?;
                let stored = stored.into_iter().map(|(key, row)| (key, Some(row)));
                let rows = merged(newer.into_iter(), stored, |key| key, range.is_descending());
                let there = rows.filter_map(|(key, row)| row.map(|row| (key, row)));
                Ok(there.take(limit).collect())
            },
        )
    }

    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let (applied, newer) = {
            let overlay = self.shared.overlay();
            (overlay.applied().lines, overlay.lines(seen))
        };
        let mut has_enough = false;
        self.shared.behind.read_lines(seen, &mut |number, line| {
            if number > applied {
                return false;
            }
            has_enough = !take(number, line);
            !has_enough
        })?;
        for (number, line) in newer {
            if has_enough {
                break;
            }
            has_enough = !take(number, &line);
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        let held = Some(self.shared.overlay());
        Ok(Box::new(View { shared: &self.shared, held, behind: RefCell::new(None) }))
    }

    fn newest(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(Box::new(View { shared: &self.shared, held: None, behind: RefCell::new(None) }))
    }

    fn next_node(&self) -> Result<u32, StoreError> {
        let newer = self.shared.overlay().next_node();
        newer.map_or_else(|| self.shared.behind.next_node(), Ok)
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        Ok(lock(&self.shared.log).progress())
    }

    fn write(&self, changes: &Changes, order: &mut dyn FnMut()) -> Result<(), Failure> {
        self.shared.wait_for_room()?;
        order();
        let mut log = lock(&self.shared.log);
        log.append(changes)?;
        let bytes = {
            let mut overlay = self.shared.change();
            overlay.add(changes, log.progress());
            overlay.bytes()
        };
        drop(log);
        self.shared.note(bytes);
        Ok(())
    }
}

impl Drop for Front {
    /// The database gets what it does not have yet, so that opening has nothing to replay.
    fn drop(&mut self) {
        lock(&self.shared.state).closing = true;
        self.shared.changed.notify_all();
        if let Some(applier) = self.applier.take() {
            let _ = applier.join();
        }
    }
}

impl Shared {
    /// Reads overlay and database as of one moment. The database must not get ahead of what was seen in
    /// the overlay; that it did shows in the overlay's turns, and then both are read again.
    fn read<F, T>(
        &self,
        newer: impl Fn(&Overlay) -> F,
        both: impl Fn(&dyn Engine, F) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..FREE_TRIES {
            let (turns, found) = {
                let overlay = self.overlay();
                (overlay.turns(), newer(&overlay))
            };
            let outcome = both(&*self.behind, found)?;
            if self.overlay().turns() == turns {
                return Ok(outcome);
            }
        }
        let overlay = self.overlay();
        let found = newer(&overlay);
        both(&*self.behind, found)
    }

    /// Waits while too much waits for the database.
    fn wait_for_room(&self) -> Result<(), Failure> {
        let too_much = |state: &mut State| {
            state.waiting >= WAITING_BYTES_MAX && state.trouble.is_none() && !state.closing
        };
        let state = self.changed.wait_while(lock(&self.state), too_much);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        match state.trouble {
            Some(Trouble::Damaged) => Err(Failure::Damaged),
            Some(Trouble::Full) if state.waiting >= WAITING_BYTES_MAX => Err(Failure::Full),
            Some(Trouble::Full) | None => Ok(()),
        }
    }

    /// Notes how much waits for the database now.
    fn note(&self, waiting: usize) {
        let mut state = lock(&self.state);
        state.waiting = waiting;
        drop(state);
        if waiting >= GIVEN_BYTES_MIN {
            self.changed.notify_all();
        }
    }

    /// Gives the database its groups until the store is closed and it has them all.
    fn apply_until_closed(&self) {
        let mut was_idle = false;
        loop {
            let closing = self.wait_for_work();
            match self.apply() {
                Ok(true) => {
                    was_idle = false;
                    self.tell(None);
                }
                Ok(false) => {
                    if closing || was_idle {
                        self.begin_empty_segment(closing);
                    }
                    if closing {
                        return;
                    }
                    was_idle = true;
                }
                // The journal has what the database has not.
                Err(_) if closing => {
                    tracing::warn!("closed before the database had all of the journal");
                    return;
                }
                Err(failure) => {
                    let trouble = match failure {
                        Failure::Full | Failure::Closed(_) => Trouble::Full,
                        Failure::Damaged => Trouble::Damaged,
                        failure @ (Failure::Disk(_) | Failure::Panicked) => {
                            failure.or_end();
                            Trouble::Damaged
                        }
                    };
                    self.tell(Some(trouble));
                    self.wait_to_try_again();
                }
            }
        }
    }

    /// Waits for as much as one write of the database is worth, for the end, or for a while. Gives
    /// whether it is the end.
    fn wait_for_work(&self) -> bool {
        let nothing = |state: &mut State| !state.closing && state.waiting < GIVEN_BYTES_MIN;
        let waited = self.changed.wait_timeout_while(lock(&self.state), TICK, nothing);
        waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }

    fn wait_to_try_again(&self) {
        let open = |state: &mut State| !state.closing;
        let waited = self.changed.wait_timeout_while(lock(&self.state), RETRY, open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn tell(&self, trouble: Option<Trouble>) {
        let mut state = lock(&self.state);
        let changed = state.trouble != trouble;
        state.trouble = trouble;
        drop(state);
        if changed {
            self.changed.notify_all();
        }
    }

    /// Gives the database what it does not have, in one write. Gives whether there was anything.
    fn apply(&self) -> Result<bool, Failure> {
        let (given, waiting) = {
            let mut overlay = self.change();
            (overlay.turn(), overlay.bytes())
        };
        let Some(changes) = given else { return Ok(false) };
        let Some(progress) = changes.progress else { return Ok(false) };
        lock(&self.state).waiting = waiting;
        self.changed.notify_all();
        self.behind.ready()?;
        // After a failed write it is in doubt whether that took place.
        let stored = self.behind.progress().map_err(|_| Failure::Damaged)?;
        if stored.group < progress.group {
            room_for(&self.folder, &changes)?;
            self.behind.write(&changes, &mut || ())?;
        }
        self.change().settle(progress);
        let outlived = lock(&self.log).outlived(progress.group);
        remove(&outlived);
        Ok(true)
    }

    /// What the database has does not stay in the journal when nothing follows it there.
    fn begin_empty_segment(&self, closing: bool) {
        let outlived = {
            let mut log = lock(&self.log);
            if !log.has_groups() || !self.overlay().is_applied() {
                return;
            }
            match log.begin_segment() {
                Ok(()) => {
                    let applied = log.progress().group;
                    log.outlived(applied)
                }
                Err(error) if closing || is_full(&error) => {
                    tracing::warn!(%error, "groups that the database has stay in the journal");
                    return;
                }
                Err(error) => fatal::end("beginning a segment of the journal", &error),
            }
        };
        remove(&outlived);
    }

    fn overlay(&self) -> RwLockReadGuard<'_, Overlay> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> std::sync::RwLockWriteGuard<'_, Overlay> {
        self.overlay.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Segments that stay are removed when the store is opened the next time.
fn remove(outlived: &[PathBuf]) {
    if let Err(error) = log::remove(outlived) {
        tracing::warn!(%error, "a segment of the journal that is not needed was not removed");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rows of one moment, which lasts as long as the overlay is held; or, where it is not, the newest.
struct View<'f> {
    shared: &'f Shared,
    held: Option<RwLockReadGuard<'f, Overlay>>,
    /// The database, and up to which group it was there. Opened late: whoever asks for a view may hold a
    /// lock that somebody waits for who reads the database.
    behind: RefCell<Option<(u64, Box<dyn Snapshot + 'f>)>>,
}

impl Snapshot for View<'_> {
    fn version(&self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        let look = |overlay: &Overlay| (overlay.find(key), overlay.applied().group);
        let (found, applied) = match &self.held {
            Some(overlay) => look(overlay),
            None => look(&self.shared.overlay()),
        };
        match found {
            Found::Here(row) => return Ok(row.map(|row| row.version)),
            Found::Behind => {}
        }
        let mut behind = self.behind.borrow_mut();
        if let Some((since, snapshot)) = &*behind
            && *since == applied
        {
            return snapshot.version(key);
        }
        // What left the overlay since is not in the older one, which has to go first: the engine may
        // let nobody in beside it.
        *behind = None;
        let snapshot = self.shared.behind.snapshot()?;
        let version = snapshot.version(key);
        *behind = Some((applied, snapshot));
        version
    }
}

#[cfg(test)]
mod tests;
