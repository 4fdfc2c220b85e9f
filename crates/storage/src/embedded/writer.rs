//! The thread that commits: what has queued up becomes durable together.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering as Memory;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::disk::has_room;
use super::engine::{Changes, Engine, Failure, Snapshot};
use super::ordering::Ordering;
use super::{Answer, Groups};
use crate::chain::Chain;
use crate::sums::Change;
use crate::{
    BATCH_BYTES_MAX, Batch, Committed, Expect, LinePlaced, OpenError, Row, RowKey, StoreError, Sums,
};

/// Most batches that become durable together.
const GROUP_BATCHES_MAX: usize = 256;
/// A group takes no further batch when it has this many bytes.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the thread is asked for.
pub(super) enum Job {
    Commit(Box<Commit>),
    /// A fresh node number, for the lane of appends.
    ReserveNode(oneshot::Sender<Result<u32, StoreError>>),
}

/// A batch that waits, with the room it takes in the queue.
pub(super) struct Commit {
    pub(super) batch: Batch,
    pub(super) answer: Answer,
    pub(super) _room: OwnedSemaphorePermit,
}

/// What becomes of a batch once its group is durable.
type Verdict = Result<Vec<LinePlaced>, StoreError>;

/// What a group of batches comes to.
#[derive(Default)]
struct Group {
    verdicts: Vec<Verdict>,
    /// What its accepted batches do together.
    changes: Changes,
    /// Whether the store is another one after it.
    changed: bool,
}

/// The only writer of the database.
pub(super) struct Writer {
    engine: Arc<dyn Engine>,
    ordering: Arc<Ordering>,
    groups: Arc<Groups>,
    sums: Arc<Sums>,
    /// For the room on its disk.
    folder: File,
    /// The next node number that nobody has used.
    next_node: u32,
    /// None after a failed write: the places of its lines may stand on the disk, and a place is
    /// never used twice, so that the next lines need a new node.
    chain: Option<Chain>,
}

impl Writer {
    /// The writer of an engine that was just opened, with the first node of the lane of appends.
    ///
    /// # Errors
    /// [`OpenError`] if the nodes of this start could not be reserved; `path` names the store then.
    pub(super) fn start(
        engine: Arc<dyn Engine>,
        ordering: Arc<Ordering>,
        groups: Arc<Groups>,
        sums: Arc<Sums>,
        path: &Path,
    ) -> Result<(Self, u32), OpenError> {
        let unreadable = |reason| OpenError::Unreadable { path: path.to_owned(), reason };
        let folder = File::open(path).map_err(unreadable)?;
        let read = engine.next_node();
        let next_node = read.map_err(|_| Failure::Damaged.at_opening(path))?;
        let mut writer = Self { engine, ordering, groups, sums, folder, next_node, chain: None };
        let reserved = writer.reserve_nodes(2).map_err(|failure| failure.at_opening(path))?;
        writer.chain = Some(Chain::new(reserved));
        Ok((writer, reserved + 1))
    }

    /// Works until nobody can send any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut commits = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Commit(commit) => {
                        bytes += commit.batch.size();
                        commits.push(*commit);
                    }
                    Job::ReserveNode(answer) => {
                        let _ = answer.send(self.reserve_node());
                    }
                }
                let room = commits.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX;
                next = if room { jobs.try_recv().ok() } else { None };
            }
            if !commits.is_empty() {
                self.commit(commits);
            }
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) {
        let outcome = self.write(&commits);
        self.ordering.settle();
        match outcome {
            Ok(verdicts) => {
                for (commit, verdict) in commits.into_iter().zip(verdicts) {
                    let _ = commit.answer.send(verdict.map(Committed::new));
                }
            }
            Err(error) => {
                for commit in commits {
                    let _ = commit.answer.send(Err(error.clone()));
                }
            }
        }
    }

    fn write(&mut self, commits: &[Commit]) -> Result<Vec<Verdict>, StoreError> {
        if !has_room(&self.folder) && !commits.iter().all(|commit| commit.batch.is_read_only()) {
            return Err(StoreError::Full);
        }
        self.engine.ready().map_err(Failure::or_end)?;
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => Chain::new(self.reserve_node()?),
        };
        let group = self.judge_all(commits, &mut chain)?;
        if group.changed {
            let mut order = || self.ordering.publish(&group.changes.rows);
            self.engine.write(&group.changes, &mut order).map_err(Failure::or_end)?;
        }
        self.chain = Some(chain);
        self.groups.commits.fetch_add(1, Memory::Relaxed);
        Ok(group.verdicts)
    }

    /// A node number that nobody has used or will use.
    fn reserve_node(&mut self) -> Result<u32, StoreError> {
        self.engine.ready().and_then(|()| self.reserve_nodes(1)).map_err(Failure::or_end)
    }

    /// The first of some node numbers. If it is in doubt whether they were kept, they stay unused.
    fn reserve_nodes(&mut self, count: u32) -> Result<u32, Failure> {
        let first = self.next_node;
        let next = first.checked_add(count).ok_or(Failure::Damaged)?;
        self.next_node = next;
        let changes = Changes { next_node: Some(next), ..Changes::default() };
        self.engine.write(&changes, &mut || ())?;
        Ok(first)
    }

    fn judge_all(&self, commits: &[Commit], chain: &mut Chain) -> Result<Group, StoreError> {
        let snapshot = self.engine.snapshot()?;
        let mut group = Group::default();
        for commit in commits {
            let verdict = match self.judge(&*snapshot, &group.changes, &commit.batch)? {
                Ok(()) => group.changes.add(chain, &commit.batch),
                Err(refused) => Err(refused),
            };
            group.changed |= verdict.is_ok() && !commit.batch.is_read_only();
            group.verdicts.push(verdict);
        }
        let sums = self.sum(&*snapshot, &group.changes)?;
        group.changes.rows.extend(sums);
        Ok(group)
    }

    /// What the changes of a group make of the sums over rows.
    fn sum(
        &self,
        snapshot: &dyn Snapshot,
        changes: &Changes,
    ) -> Result<Vec<(RowKey, Option<Row>)>, StoreError> {
        let summation = self.sums.begin(changes.rows.keys());
        if summation.is_needless() {
            return Ok(Vec::new());
        }
        let rows = snapshot.get_many(&summation.keys)?;
        let stored = summation.keys.iter().zip(rows);
        let stored = stored.filter_map(|(key, row)| Some((key.clone(), row?))).collect();
        let mut changed = Vec::with_capacity(changes.rows.len());
        for (key, row) in &changes.rows {
            let before = match self.ordering.version(key) {
                Some(version) => Some(version),
                None => snapshot.version(key)?,
            };
            let after = row.as_ref().map(|row| (row.version, &*row.value));
            changed.push((key, Change { before, after }));
        }
        summation.fold(changed.into_iter(), &stored)
    }

    /// Judges a batch against what the ones before it made of the store. This thread is the only one
    /// that changes rows, so that nothing comes in between.
    fn judge(
        &self,
        snapshot: &dyn Snapshot,
        before: &Changes,
        batch: &Batch,
    ) -> Result<Result<(), StoreError>, StoreError> {
        let version = |key: &RowKey| match (before.rows.get(key), self.ordering.version(key)) {
            (Some(row), _) => Ok(row.as_ref().map(|row| row.version)),
            (None, Some(version)) => Ok(Some(version)),
            (None, None) => snapshot.version(key),
        };
        for fact in &batch.expects {
            if !fact.holds(version(fact.key())?) {
                return Ok(Err(StoreError::Conflict));
            }
        }
        // A put on a row of which the batch expects something raises the version: otherwise the
        // batch was refused.
        let expected: HashSet<&RowKey> = batch.expects.iter().map(Expect::key).collect();
        for put in batch.puts.iter().filter(|put| !expected.contains(&put.key)) {
            if version(&put.key)?.is_some_and(|stored| put.version <= stored) {
                return Ok(Err(StoreError::Conflict));
            }
        }
        Ok(Ok(()))
    }
}

impl Changes {
    /// Adds those of a batch that was judged, and seals its lines.
    fn add(&mut self, chain: &mut Chain, batch: &Batch) -> Verdict {
        let sealed = chain.seal(&batch.lines, BATCH_BYTES_MAX)?;
        for put in &batch.puts {
            let row = Row { version: put.version, value: put.value.clone() };
            self.rows.insert(put.key.clone(), Some(row));
        }
        self.rows.extend(batch.deletes.iter().map(|key| (key.clone(), None)));
        self.lines.extend(sealed.lines);
        Ok(sealed.places)
    }
}
