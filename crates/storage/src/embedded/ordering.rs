//! The one section that orders commits and appends, and the durable rows that it knows.
//!
//! A commit is ordered when its rows are published here, before the database makes them durable;
//! an append is ordered when it has seen that no published row contradicts its facts and that the
//! durable ones bear them out, under the same lock. So every append stands before or after every
//! commit.
//!
//! Rows that were read lately are kept here, so that reading them again and comparing their versions
//! needs no transaction of the database. What is kept is always the newest that is durable, because
//! a row is forgotten when a change of it is published, and kept again only from a reading that no
//! such change can have overtaken.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Answer;
use crate::{Expect, Recent, Row, RowKey, StoreError};

/// Most rows that are kept.
const ROWS_MAX: usize = 16_384;
/// Longest value that is kept: with [`ROWS_MAX`] no more than 64 MiB, and mostly far less.
const VALUE_BYTES_MAX: usize = 4 * 1024;
/// Most keys that are looked for one by one; whoever asks for more reads the database.
const KEYS_MAX: usize = 256;

/// Which rows are changed by commits that are ordered but not yet durable, and which are known.
pub(super) struct Ordering {
    state: Mutex<State>,
}

struct State {
    /// With the versions that they will have; none for a row that is removed.
    under_way: HashMap<RowKey, Option<u64>>,
    /// Appends that rest on such rows; they are answered when those are durable, so that whoever
    /// reads again sees the change.
    conflicts: Vec<Answer>,
    /// Durable rows of which no change is under way, in their newest version.
    known: Recent<RowKey, Row>,
    /// Groups of commits that were settled.
    settled: u64,
}

/// What a fact is worth, by what is known here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It is so.
    Holds,
    /// The database has to be asked.
    Unknown,
    /// It is not so any more, and the change is durable.
    Past,
    /// A change that is under way contradicts it.
    Overtaken,
}

/// When somebody began to read the database, in groups of commits.
pub(super) struct Moment(u64);

/// Appends that are ordered.
pub(super) struct Admitted<J, S> {
    /// Those whose facts hold.
    pub(super) proven: Vec<J>,
    /// Those whose facts have to be compared with the snapshot.
    pub(super) doubtful: Vec<J>,
    /// The rows as they were in that moment; only if somebody needs them.
    pub(super) snapshot: Option<S>,
}

impl Default for Ordering {
    fn default() -> Self {
        let state = State {
            under_way: HashMap::new(),
            conflicts: Vec::new(),
            known: Recent::new(ROWS_MAX),
            settled: 0,
        };
        Self { state: Mutex::new(state) }
    }
}

impl State {
    fn standing(&mut self, fact: &Expect) -> Standing {
        if let Some(version) = self.under_way.get(fact.key()) {
            // Whoever expects the change has seen it durable, and so does the snapshot.
            return if fact.holds(*version) { Standing::Unknown } else { Standing::Overtaken };
        }
        match self.known.find(fact.key()) {
            Some(row) if fact.holds(Some(row.version)) => Standing::Holds,
            Some(_) => Standing::Past,
            None => Standing::Unknown,
        }
    }

    /// What all facts together are worth: the worst of them decides.
    fn standing_of_all(&mut self, facts: &[Expect]) -> Standing {
        facts.iter().map(|fact| self.standing(fact)).max().unwrap_or(Standing::Holds)
    }
}

impl Ordering {
    /// Orders a group of commits that change these rows to these versions.
    pub(super) fn publish(&self, changes: &BTreeMap<RowKey, Option<Row>>) {
        let mut state = self.state();
        for (key, row) in changes {
            state.known.forget(key);
            state.under_way.insert(key.clone(), row.as_ref().map(|row| row.version));
        }
    }

    /// The group has become durable, or it never will.
    pub(super) fn settle(&self) {
        let conflicts = {
            let mut state = self.state();
            state.under_way.clear();
            state.settled += 1;
            std::mem::take(&mut state.conflicts)
        };
        for answer in conflicts {
            let _ = answer.send(Err(StoreError::Conflict));
        }
    }

    /// Orders appends. Those that a change under way contradicts are kept for their conflict, those
    /// that a durable one contradicts are answered, and for those of which too little is known here
    /// a snapshot is taken in the same moment.
    pub(super) fn admit<J, S>(
        &self,
        jobs: Vec<J>,
        facts: impl Fn(&J) -> &[Expect],
        answer: impl Fn(J) -> Answer,
        snapshot: impl FnOnce() -> S,
    ) -> Admitted<J, S> {
        let mut proven = Vec::with_capacity(jobs.len());
        let mut doubtful = Vec::new();
        let mut past = Vec::new();
        let snapshot = {
            let mut state = self.state();
            for job in jobs {
                match state.standing_of_all(facts(&job)) {
                    Standing::Holds => proven.push(job),
                    Standing::Unknown => doubtful.push(job),
                    Standing::Past => past.push(answer(job)),
                    Standing::Overtaken => state.conflicts.push(answer(job)),
                }
            }
            (!doubtful.is_empty()).then(snapshot)
        };
        for answer in past {
            let _ = answer.send(Err(StoreError::Conflict));
        }
        Admitted { proven, doubtful, snapshot }
    }

    /// The newest version of a row, if it is known and no change of it is under way.
    pub(super) fn version(&self, key: &RowKey) -> Option<u64> {
        self.state().known.find(key).map(|row| row.version)
    }

    /// The rows under these keys, if all of them are known: then they are of one snapshot, the
    /// newest. Otherwise the moment, for whoever reads the database now.
    pub(super) fn recall(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, Moment> {
        let mut state = self.state();
        let moment = Moment(state.settled);
        if keys.len() > KEYS_MAX {
            return Err(moment);
        }
        let rows = keys.iter().map(|key| state.known.find(key).cloned());
        match rows.map(|row| row.map(Some)).collect() {
            Some(rows) => Ok(rows),
            None => Err(moment),
        }
    }

    /// Keeps rows that were read after this moment, unless a change may have overtaken the reading:
    /// one that is under way, or any that was settled meanwhile.
    pub(super) fn remember(&self, since: &Moment, keys: &[RowKey], rows: &[Option<Row>]) {
        if keys.len() > KEYS_MAX {
            return;
        }
        let mut state = self.state();
        if state.settled != since.0 {
            return;
        }
        for (key, row) in keys.iter().zip(rows) {
            if let Some(row) = row
                && row.value.len() <= VALUE_BYTES_MAX
                && !state.under_way.contains_key(key)
            {
                state.known.keep(key.clone(), row.clone());
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::oneshot;

    use super::*;

    type Job = (Vec<Expect>, Answer);

    fn key() -> RowKey {
        RowKey::new([1])
    }

    fn row(version: u64) -> Row {
        Row { version, value: Bytes::from_static(b"value") }
    }

    fn job(facts: Vec<Expect>) -> (Job, oneshot::Receiver<Result<crate::Committed, StoreError>>) {
        let (answer, outcome) = oneshot::channel();
        ((facts, answer), outcome)
    }

    fn admit(ordering: &Ordering, job: Job) -> Admitted<Job, ()> {
        ordering.admit(vec![job], |job| &job.0, |job| job.1, || ())
    }

    /// Reads a row as a reader does whose database shows this.
    fn read(ordering: &Ordering, shown: Row) {
        let Err(moment) = ordering.recall(&[key()]) else { panic!("the row is known") };
        ordering.remember(&moment, &[key()], &[Some(shown)]);
    }

    #[test]
    fn a_fact_that_a_commit_under_way_changes_is_a_conflict_once_that_is_durable() {
        let ordering = Ordering::default();
        ordering.publish(&BTreeMap::from([(key(), Some(row(2)))]));
        let (job, mut outcome) = job(vec![Expect::Version(key(), 1)]);
        let admitted = admit(&ordering, job);
        assert!(admitted.proven.is_empty() && admitted.doubtful.is_empty());
        assert!(outcome.try_recv().is_err(), "answered before the commit is durable");
        ordering.settle();
        assert!(matches!(outcome.try_recv(), Ok(Err(StoreError::Conflict))));
        assert!(ordering.state().under_way.is_empty());
    }

    #[test]
    fn a_fact_that_saw_the_commit_under_way_is_left_to_the_snapshot() {
        let ordering = Ordering::default();
        ordering.publish(&BTreeMap::from([(key(), Some(row(2))), (RowKey::new([2]), None)]));
        let seen = vec![Expect::Version(key(), 2), Expect::Absent(RowKey::new([2]))];
        let (job, _outcome) = job(seen);
        let admitted = admit(&ordering, job);
        assert_eq!((admitted.proven.len(), admitted.doubtful.len()), (0, 1));
        assert!(admitted.snapshot.is_some());
    }

    #[test]
    fn a_known_row_bears_out_a_fact_or_refuses_it_without_a_snapshot() {
        let ordering = Ordering::default();
        read(&ordering, row(3));
        let (holds, _outcome) = job(vec![Expect::Version(key(), 3)]);
        let admitted = admit(&ordering, holds);
        assert_eq!((admitted.proven.len(), admitted.snapshot), (1, None));
        for past in [Expect::Version(key(), 2), Expect::Absent(key())] {
            let (job, mut outcome) = job(vec![Expect::Version(key(), 3), past]);
            let admitted = admit(&ordering, job);
            assert!(admitted.proven.is_empty() && admitted.doubtful.is_empty());
            assert!(matches!(outcome.try_recv(), Ok(Err(StoreError::Conflict))));
        }
        let (mixed, _outcome) =
            job(vec![Expect::Version(key(), 3), Expect::Absent(RowKey::new([9]))]);
        assert_eq!(admit(&ordering, mixed).doubtful.len(), 1);
    }

    #[test]
    fn a_row_that_changes_is_not_known_from_its_publishing_on() {
        let ordering = Ordering::default();
        read(&ordering, row(1));
        assert_eq!(ordering.recall(&[key()]).ok(), Some(vec![Some(row(1))]));
        ordering.publish(&BTreeMap::from([(key(), Some(row(2)))]));
        // The database still shows the old row, and does so to whoever asks.
        read(&ordering, row(1));
        assert!(ordering.recall(&[key()]).is_err());
        ordering.settle();
        assert!(ordering.recall(&[key()]).is_err());
        read(&ordering, row(2));
        assert_eq!(ordering.recall(&[key()]).ok(), Some(vec![Some(row(2))]));
    }

    #[test]
    fn what_was_read_before_a_commit_and_arrives_after_it_is_not_kept() {
        let ordering = Ordering::default();
        for change in [Some(row(2)), None] {
            let Err(before) = ordering.recall(&[key()]) else { panic!("the row is known") };
            ordering.publish(&BTreeMap::from([(key(), change)]));
            let Err(during) = ordering.recall(&[key()]) else { panic!("the row is known") };
            ordering.settle();
            for moment in [before, during] {
                ordering.remember(&moment, &[key()], &[Some(row(1))]);
                assert!(ordering.recall(&[key()]).is_err(), "an old row is known");
            }
        }
    }

    #[test]
    fn rows_are_known_all_together_or_read_from_the_database_all_together() {
        let ordering = Ordering::default();
        read(&ordering, row(1));
        assert!(ordering.recall(&[key(), RowKey::new([2])]).is_err());
        assert!(ordering.recall(&vec![key(); KEYS_MAX + 1]).is_err());
        assert_eq!(ordering.recall(&[key(), key()]).ok(), Some(vec![Some(row(1)), Some(row(1))]));
        let long = Row { version: 1, value: vec![0; VALUE_BYTES_MAX + 1].into() };
        let other = RowKey::new([3]);
        let Err(moment) = ordering.recall(std::slice::from_ref(&other)) else { panic!("known") };
        ordering.remember(&moment, std::slice::from_ref(&other), &[Some(long)]);
        assert!(ordering.recall(&[other]).is_err());
    }
}
