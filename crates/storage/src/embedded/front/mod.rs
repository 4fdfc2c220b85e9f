//! A journal in front of an engine: a group is durable when it stands in the journal, and the database
//! gets it later, many groups in one write.
//!
//! Until then an ordered overlay in memory shows readers what the database does not have. It is given away
//! piece by piece. Readers take one moment of it, and with it the database as it was after its last write, and
//! wait for nobody. Every write of the database says up to which group it goes, so that after a crash the rest
//! is read from the journal; segments of which the database has everything are removed.

mod frame;
mod log;
mod overlay;
mod piece;
mod record;
mod segment;

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::log::Log;
use self::overlay::{Overlay, merged};
use self::piece::{Found, Piece};
use super::disk::{Disk, room_for};
use super::engine::{Changes, Engine, Failure, Frozen, Kind, Progress, Snapshot};
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

/// A piece that has this many bytes is given to the database; a smaller one when time passes. In tests this
/// and the next bound are small, so that they are met.
const PIECE_BYTES: usize = if cfg!(test) { 2 * 1024 } else { 4 * 1024 * 1024 };
/// When what waits for the database has this many bytes, whoever commits waits until it has less.
const WAITING_BYTES_MAX: usize = if cfg!(test) { 16 * 1024 } else { 64 * 1024 * 1024 };
/// Above this many bytes whoever commits waits a little, and longer the more there is, so that nobody has
/// to wait for long at once.
const WAITING_BYTES_FREE: usize = WAITING_BYTES_MAX / 2;
/// Bytes in a second that are let in where as much waits as may.
const SLOWEST_BYTES: u64 = 1024 * 1024;
/// How long one group waits at most before the bound is met.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// How long something waits for the database at most while nothing else comes.
const TICK: Duration = Duration::from_millis(if cfg!(test) { 3 } else { 100 });
/// How long until the database is tried again after it had no room.
const RETRY: Duration = Duration::from_millis(100);

/// How long whoever found the database closed waits for it at most.
const RENEWAL: Duration = Duration::from_secs(1);

/// An engine with a journal in front of it.
struct Front {
    shared: Arc<Shared>,
    applier: Option<JoinHandle<()>>,
}

struct Shared {
    /// The newest moment. Before the engine, because it may hold the engine's rows.
    overlay: RwLock<Arc<Overlay>>,
    behind: Box<dyn Engine>,
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
    let frozen = frozen(&*behind).map_err(|failure| failure.at_opening(&database))?;
    let mut overlay = Overlay::new(applied, frozen);
    let log = Log::open(store, disk, applied, &mut |changes, durable| {
        overlay.put(&changes, durable);
        overlay.show(&changes, durable);
    })?;
    let unreadable = |reason| OpenError::Unreadable { path: store.to_owned(), reason };
    let state = State { waiting: overlay.bytes(), ..State::default() };
    let shared = Arc::new(Shared {
        overlay: RwLock::new(Arc::new(overlay)),
        behind,
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
        self.shared.view()?.get_many(keys)
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        self.shared.view()?.scan(range, limit)
    }

    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.shared.view()?.read_lines(seen, take)
    }

    /// Whoever asks may hold a lock for which somebody waits who reads the database, so that an engine that lets
    /// readers wait is asked later.
    fn snapshot(&self) -> Result<Box<dyn Snapshot + '_>, StoreError> {
        Ok(match self.shared.frozen_view() {
            Some(view) => Box::new(view),
            None => Box::new(Late { shared: &self.shared, view: OnceCell::new() }),
        })
    }

    fn next_node(&self) -> Result<u32, StoreError> {
        let newer = self.shared.overlay().next_node();
        newer.map_or_else(|| self.shared.behind.next_node(), Ok)
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        Ok(lock(&self.shared.log).progress())
    }

    fn write(&self, changes: &Changes, order: &mut dyn FnMut()) -> Result<(), Failure> {
        self.shared.wait_for_room(changes)?;
        order();
        let mut log = lock(&self.shared.log);
        log.append(changes)?;
        let durable = log.progress();
        self.shared.overlay().put(changes, durable);
        self.shared.change(|overlay| overlay.show(changes, durable));
        drop(log);
        self.shared.note_waiting();
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
    /// The newest moment.
    fn overlay(&self) -> Arc<Overlay> {
        Arc::clone(&self.overlay.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a newer moment of the newest. Those who hold earlier ones keep them.
    fn change(&self, change: impl FnOnce(&mut Overlay)) {
        let mut newest = self.overlay.write().unwrap_or_else(PoisonError::into_inner);
        let mut newer = Overlay::clone(&newest);
        change(&mut newer);
        let older = std::mem::replace(&mut *newest, Arc::new(newer));
        drop(newest);
        drop(older);
    }

    /// The newest moment, for whoever reads at once. An engine that cannot keep its rows shows no later write as
    /// long as this is held, and what it shows was in memory before.
    fn view(&self) -> Result<View<'_>, StoreError> {
        if let Some(view) = self.frozen_view() {
            return Ok(view);
        }
        let behind = self.behind.snapshot()?;
        Ok(View { shared: self, overlay: self.overlay(), behind })
    }

    /// The same of an engine that can keep its rows.
    fn frozen_view(&self) -> Option<View<'_>> {
        let overlay = self.overlay();
        let behind = Box::new(Arc::clone(overlay.behind()?));
        Some(View { shared: self, overlay, behind })
    }

    /// Waits a little while much waits for the database, and for as long as too much does.
    fn wait_for_room(&self, changes: &Changes) -> Result<(), Failure> {
        let goes_on = |state: &State| state.trouble.is_none() && !state.closing;
        let state = lock(&self.state);
        let pause = pause_for(changes.bytes(), state.waiting);
        let much = |state: &mut State| state.waiting > WAITING_BYTES_FREE && goes_on(state);
        let state = if pause.is_zero() {
            state
        } else {
            let waited = self.changed.wait_timeout_while(state, pause, much);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let too_much = |state: &mut State| state.waiting >= WAITING_BYTES_MAX && goes_on(state);
        let state = self.changed.wait_while(state, too_much);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        match state.trouble {
            Some(Trouble::Damaged) => Err(Failure::Damaged),
            Some(Trouble::Full) if state.waiting >= WAITING_BYTES_MAX => Err(Failure::Full),
            Some(Trouble::Full) | None => Ok(()),
        }
    }

    /// Notes how much waits for the database now. Whoever comes last has looked last.
    fn note_waiting(&self) {
        let mut state = lock(&self.state);
        let waiting = self.overlay().bytes();
        let was = std::mem::replace(&mut state.waiting, waiting);
        drop(state);
        if waiting < was || waiting >= PIECE_BYTES {
            self.changed.notify_all();
        }
    }

    /// Gives the database its groups until the store is closed and it has them all.
    fn apply_until_closed(&self) {
        let mut was_idle = false;
        let mut outlived = Outlived::default();
        loop {
            let closing = self.wait_for_work();
            match self.apply(&mut outlived) {
                Ok(true) => {
                    was_idle = false;
                    self.tell(None);
                }
                Ok(false) => {
                    if closing || was_idle {
                        self.begin_empty_segment(closing, &mut outlived);
                    }
                    outlived.give_back();
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
                    // The engine may have been opened anew; as long as it is closed nothing can be read.
                    let _ = self.renew();
                    self.wait_to_try_again();
                }
            }
        }
    }

    /// Waits for as much as one write of the database is worth, for the end, or for a while. Gives
    /// whether it is the end.
    fn wait_for_work(&self) -> bool {
        let nothing = |state: &mut State| !state.closing && state.waiting < PIECE_BYTES;
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

    /// Gives the database the oldest piece that it does not have, in one write. Gives whether there was one.
    fn apply(&self, outlived: &mut Outlived) -> Result<bool, Failure> {
        let Some(piece) = self.next_piece() else { return Ok(false) };
        let changes = piece.changes();
        let Some((first, progress)) = piece.first().zip(changes.progress) else { return Ok(false) };
        self.behind.ready()?;
        if lock(&self.state).trouble.is_some() {
            self.renew()?;
        }
        // After a failed write it is in doubt whether that took place.
        let stored = self.behind.progress().map_err(|_| Failure::Damaged)?;
        if stored.group < progress.group {
            if stored.group.saturating_add(1) != first {
                return Err(Failure::Damaged);
            }
            room_for(&self.folder, &changes)?;
            self.behind.write(&changes, &mut || ())?;
        }
        let behind = frozen(&*self.behind)?;
        self.change(|overlay| overlay.settle(progress, behind));
        outlived.pieces.push(piece);
        self.note_waiting();
        outlived.segments.extend(lock(&self.log).outlived(progress.group));
        outlived.give_back();
        Ok(true)
    }

    /// The oldest piece, if there is anything in it; nothing is added to it any more.
    fn next_piece(&self) -> Option<Arc<Piece>> {
        if self.overlay().oldest().is_none() {
            // While this is held nobody adds anything.
            let _log = lock(&self.log);
            self.change(Overlay::begin_piece_if_alone);
        }
        self.overlay().oldest().map(Arc::clone)
    }

    /// Lets readers read the database as it is now, after it has been opened anew.
    fn renew(&self) -> Result<(), Failure> {
        let behind = frozen(&*self.behind)?;
        self.change(|overlay| overlay.renew(behind));
        drop(lock(&self.state));
        self.changed.notify_all();
        Ok(())
    }

    /// After the rows of a moment could not be read, because the engine had to be closed: waits a while until it
    /// is opened anew, so that whoever tries again finds it open.
    fn wait_for_renewal(&self, of: &Overlay) {
        let Some(closed) = of.behind() else { return };
        let same = |_: &mut State| {
            self.overlay().behind().is_some_and(|behind| Arc::ptr_eq(behind, closed))
        };
        drop(self.changed.wait_timeout_while(lock(&self.state), RENEWAL, same));
    }

    /// What the database has does not stay in the journal when nothing follows it there.
    fn begin_empty_segment(&self, closing: bool, outlived: &mut Outlived) {
        let mut log = lock(&self.log);
        if !log.has_groups() || log.progress() != self.overlay().applied() {
            return;
        }
        match log.begin_segment() {
            Ok(()) => {
                let applied = log.progress().group;
                outlived.segments.extend(log.outlived(applied));
            }
            Err(error) if closing || is_full(&error) || error.kind() == ErrorKind::NotFound => {
                tracing::warn!(%error, "groups that the database has stay in the journal");
            }
            Err(error) => fatal::end("beginning a segment of the journal", &error),
        }
    }
}

/// The engine's rows as they are now, of an engine that can keep them.
fn frozen(engine: &dyn Engine) -> Result<Option<Arc<Frozen>>, Failure> {
    engine.frozen().map_err(|error| match error {
        StoreError::Damaged(_) => Failure::Damaged,
        _ => Failure::Closed("the database cannot be read"),
    })
}

/// How long a group of so many bytes waits before it is let in: not at all up to [`WAITING_BYTES_FREE`], and
/// from there the longer the more waits already.
fn pause_for(bytes: usize, waiting: usize) -> Duration {
    const MICROS: u64 = 1_000_000;
    let [bytes, over, most] =
        [bytes, waiting.saturating_sub(WAITING_BYTES_FREE), WAITING_BYTES_MAX - WAITING_BYTES_FREE]
            .map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX));
    let longest = bytes.saturating_mul(MICROS) / SLOWEST_BYTES;
    let part = longest.saturating_mul(over) / most;
    Duration::from_micros(part.saturating_mul(over) / most).min(PAUSE_MAX)
}

/// What nobody needs any more, kept by the thread that gives it back.
#[derive(Default)]
struct Outlived {
    pieces: Vec<Arc<Piece>>,
    segments: VecDeque<PathBuf>,
}

impl Outlived {
    /// Gives memory back here, and not in the reader who looked at it last. Segments go in their order: one that
    /// cannot be removed stays with all after it until the next time, so that there is never a gap.
    fn give_back(&mut self) {
        self.pieces.retain(|piece| Arc::strong_count(piece) > 1);
        while let Some(oldest) = self.segments.front() {
            if let Err(error) = log::remove(oldest) {
                tracing::warn!(%error, "a segment of the journal that is not needed was not removed");
                return;
            }
            self.segments.pop_front();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rows and lines of one moment.
struct View<'f> {
    shared: &'f Shared,
    overlay: Arc<Overlay>,
    /// The database as it is under the overlay, or with more of what is in the overlay.
    behind: Box<dyn Snapshot + 'f>,
}

impl View<'_> {
    /// What came of reading the database.
    fn seen<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(outcome, Err(StoreError::Unavailable(_))) {
            self.shared.wait_for_renewal(&self.overlay);
        }
        outcome
    }
}

impl Snapshot for View<'_> {
    fn version(&self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        match self.overlay.find(key) {
            Found::Here(row) => Ok(row.map(|row| row.version)),
            Found::Behind => self.seen(self.behind.version(key)),
        }
    }

    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        let found: Vec<Found> = keys.iter().map(|key| self.overlay.find(key)).collect();
        let missing = keys.iter().zip(&found).filter(|(_, found)| **found == Found::Behind);
        let missing: Vec<RowKey> = missing.map(|(key, _)| key.clone()).collect();
        let stored = match missing.as_slice() {
            [] => Vec::new(),
            missing => self.seen(self.behind.get_many(missing))?,
        };
        let mut stored = stored.into_iter();
        let row = |found| match found {
            Found::Here(row) => row,
            Found::Behind => stored.next().flatten(),
        };
        Ok(found.into_iter().map(row).collect())
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        let newer = self.overlay.scan(range, limit);
        // Each row that stands in the overlay hides one of the database at most.
        let at_most = limit.saturating_add(newer.len());
        let stored = self.seen(self.behind.scan(range, at_most))?;
        let stored = stored.into_iter().map(|(key, row)| (key, Some(row)));
        let rows = merged(newer.into_iter(), stored, range.is_descending());
        let there = rows.filter_map(|(key, row)| row.map(|row| (key, row)));
        Ok(there.take(limit).collect())
    }

    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let applied = self.overlay.applied().lines;
        let mut has_enough = false;
        self.seen(self.behind.read_lines(seen, &mut |number, line| {
            has_enough = number <= applied && !take(number, line);
            number <= applied && !has_enough
        }))?;
        for (number, line) in self.overlay.lines(seen) {
            if has_enough {
                break;
            }
            has_enough = !take(number, &line);
        }
        Ok(())
    }
}

/// The rows and lines of one moment, which is when the first of them is looked at.
struct Late<'f> {
    shared: &'f Shared,
    view: OnceCell<View<'f>>,
}

impl<'f> Late<'f> {
    fn view(&self) -> Result<&View<'f>, StoreError> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let view = self.shared.view()?;
        Ok(self.view.get_or_init(|| view))
    }
}

impl Snapshot for Late<'_> {
    fn version(&self, key: &RowKey) -> Result<Option<u64>, StoreError> {
        self.view()?.version(key)
    }

    fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        self.view()?.get_many(keys)
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        self.view()?.scan(range, limit)
    }

    fn read_lines(
        &self,
        seen: u64,
        take: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.view()?.read_lines(seen, take)
    }
}

#[cfg(test)]
mod tests;
