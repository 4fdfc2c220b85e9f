//! The thread that appends: the lines of reads that have queued up become durable together.

use std::sync::Arc;
use std::sync::atomic::Ordering as Memory;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::engine::{Engine, Snapshot};
use super::ordering::{Admitted, Ordering};
use super::{Answer, Groups, STOPPED, writer};
use crate::chain::{Chain, Sealed};
use crate::journal::{Journal, PAYLOAD_BYTES_MAX};
use crate::{Committed, Expect, Line, LinePlaced, StoreError};

/// Most appends that become durable together.
const GROUP_APPENDS_MAX: usize = 256;
/// Bytes before each line in the journal.
const LENGTH_BYTES: usize = 4;

/// Lines that are to be on record if the facts are the newest.
pub(super) struct Job {
    pub(super) lines: Vec<Box<dyn Line>>,
    pub(super) facts: Vec<Expect>,
    pub(super) answer: Answer,
}

/// The only writer of the journal.
pub(super) struct Appender {
    engine: Arc<dyn Engine>,
    ordering: Arc<Ordering>,
    groups: Arc<Groups>,
    journal: Journal,
    /// None after a failed write; see [`writer::Writer`].
    chain: Option<Chain>,
    /// For a new node number, which the database has to keep.
    nodes: mpsc::Sender<writer::Job>,
}

/// Lines that are sealed and go into the same frame.
#[derive(Default)]
struct Frame {
    lines: Vec<Bytes>,
    bytes: usize,
    waiting: Vec<(Vec<LinePlaced>, Answer)>,
}

impl Appender {
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        ordering: Arc<Ordering>,
        groups: Arc<Groups>,
        journal: Journal,
        node: u32,
        nodes: mpsc::Sender<writer::Job>,
    ) -> Self {
        Self { engine, ordering, groups, journal, chain: Some(Chain::new(node)), nodes }
    }

    /// Works until nobody can send any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_APPENDS_MAX
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            self.append(group);
        }
    }

    fn append(&mut self, group: Vec<Job>) {
        let Admitted { proven, doubtful, snapshot } = self.ordering.admit(
            group,
            |job| &job.facts,
            |job| job.answer,
            || self.engine.snapshot(),
        );
        // The snapshot is given back before the journal is written: a commit may wait for that.
        let held = snapshot.map(|snapshot| compare(&doubtful, &snapshot)).unwrap_or_default();
        let mut frame = Frame::default();
        for job in proven {
            self.add(&mut frame, job, Ok(()));
        }
        for (job, held) in doubtful.into_iter().zip(held) {
            self.add(&mut frame, job, held);
        }
        self.write(frame);
    }

    /// Seals the lines of an append whose facts hold into a frame, after writing it if it is full.
    fn add(&mut self, frame: &mut Frame, job: Job, held: Result<(), StoreError>) {
        match held.and_then(|()| self.seal(&job.lines)) {
            Ok(sealed) => {
                let bytes = framed_bytes(&sealed);
                if frame.bytes + bytes > frame_bytes_max() {
                    self.write(std::mem::take(frame));
                }
                frame.bytes += bytes;
                frame.lines.extend(sealed.lines);
                frame.waiting.push((sealed.places, job.answer));
            }
            Err(error) => drop(job.answer.send(Err(error))),
        }
    }

    fn seal(&mut self, lines: &[Box<dyn Line>]) -> Result<Sealed, StoreError> {
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => Chain::new(self.reserve_node()?),
        };
        let bytes_max = frame_bytes_max().saturating_sub(lines.len() * LENGTH_BYTES);
        let sealed = chain.seal(lines, bytes_max);
        self.chain = Some(chain);
        sealed
    }

    fn write(&mut self, frame: Frame) {
        if frame.waiting.is_empty() {
            return;
        }
        let written = self.journal.append(&frame.lines);
        if written.is_err() {
            self.chain = None;
        }
        self.groups.appends.fetch_add(1, Memory::Relaxed);
        for (places, answer) in frame.waiting {
            let outcome = match &written {
                Ok(()) => Ok(Committed::new(places)),
                Err(_) => Err(StoreError::Full),
            };
            let _ = answer.send(outcome);
        }
    }

    fn reserve_node(&self) -> Result<u32, StoreError> {
        let (answer, node) = oneshot::channel();
        self.nodes.blocking_send(writer::Job::ReserveNode(answer)).map_err(|_| STOPPED)?;
        node.blocking_recv().map_err(|_| STOPPED)?
    }
}

/// Whether the facts of each append are as the snapshot shows them.
fn compare(
    jobs: &[Job],
    snapshot: &Result<Box<dyn Snapshot + '_>, StoreError>,
) -> Vec<Result<(), StoreError>> {
    let hold = |facts: &[Expect]| {
        let snapshot = snapshot.as_ref().map_err(Clone::clone)?;
        for fact in facts {
            if !fact.holds(snapshot.version(fact.key())?) {
                return Err(StoreError::Conflict);
            }
        }
        Ok(())
    };
    jobs.iter().map(|job| hold(&job.facts)).collect()
}

fn framed_bytes(sealed: &Sealed) -> usize {
    sealed.bytes + sealed.lines.len() * LENGTH_BYTES
}

fn frame_bytes_max() -> usize {
    usize::try_from(PAYLOAD_BYTES_MAX).unwrap_or(0)
}
