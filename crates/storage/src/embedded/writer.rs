//! The thread that commits: what has queued up becomes durable together.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering as Memory;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::ordering::Ordering;
use super::redb::{Engine, Tables, WriteError};
use super::{Answer, Groups};
use crate::chain::Chain;
use crate::{BATCH_BYTES_MAX, Batch, Committed, Expect, LinePlaced, RowKey, StoreError};

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
    /// The rows that its accepted batches change, with the versions that they will have.
    changes: BTreeMap<RowKey, Option<u64>>,
    /// Whether the store is another one after it.
    changed: bool,
}

/// The only writer of the database.
pub(super) struct Writer {
    engine: Arc<Engine>,
    ordering: Arc<Ordering>,
    groups: Arc<Groups>,
    /// None after a failed write: the places of its lines may stand on the disk, and a place is
    /// never used twice, so that the next lines need a new node.
    chain: Option<Chain>,
}

impl Writer {
    pub(super) fn new(
        engine: Arc<Engine>,
        ordering: Arc<Ordering>,
        groups: Arc<Groups>,
        node: u32,
    ) -> Self {
        Self { engine, ordering, groups, chain: Some(Chain::new(node)) }
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
                        let _ = answer.send(self.engine.reserve_node());
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
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => Chain::new(self.engine.reserve_node()?),
        };
        let group = self.engine.write(
            |tables| {
                let mut group = Group::default();
                for commit in commits {
                    let verdict = match self.judge(tables, &group, &commit.batch)? {
                        Ok(()) => apply(tables, &mut chain, &commit.batch)?,
                        Err(refused) => Err(refused),
                    };
                    if verdict.is_ok() {
                        group.changes.extend(commit.batch.changes());
                        group.changed |= !commit.batch.is_read_only();
                    }
                    group.verdicts.push(verdict);
                }
                let changed = group.changed;
                Ok((group, changed))
            },
            |group| self.ordering.publish(&group.changes),
        )?;
        self.chain = Some(chain);
        self.groups.commits.fetch_add(1, Memory::Relaxed);
        Ok(group.verdicts)
    }

    /// Judges a batch against what the ones before it made of the store. This thread is the only one
    /// that changes rows, so that nothing comes in between.
    fn judge(
        &self,
        tables: &Tables<'_>,
        group: &Group,
        batch: &Batch,
    ) -> Result<Result<(), StoreError>, WriteError> {
        let version = |key: &RowKey| match (group.changes.get(key), self.ordering.version(key)) {
            (Some(version), _) => Ok(*version),
            (None, Some(version)) => Ok(Some(version)),
            (None, None) => tables.version(key),
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

/// Makes the changes of a batch that was judged, and seals its lines.
fn apply(tables: &mut Tables<'_>, chain: &mut Chain, batch: &Batch) -> Result<Verdict, WriteError> {
    let sealed = match chain.seal(&batch.lines, BATCH_BYTES_MAX) {
        Ok(sealed) => sealed,
        Err(refused) => return Ok(Err(refused)),
    };
    for put in &batch.puts {
        tables.put(&put.key, put.version, &put.value)?;
    }
    for key in &batch.deletes {
        tables.delete(key)?;
    }
    for line in &sealed.lines {
        tables.line(line)?;
    }
    Ok(Ok(sealed.places))
}
