//! The one section that orders commits and appends.
//!
//! A commit is ordered when its rows are published here, before the database makes them durable;
//! an append is ordered when it has seen that no published row contradicts its facts and has taken
//! its snapshot, both under the same lock. So every append stands before or after every commit.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Answer;
use crate::{Expect, RowKey, StoreError};

/// Which rows are changed by commits that are ordered but not yet durable.
#[derive(Default)]
pub(super) struct Ordering {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// With the versions that they will have; none for a row that is removed.
    under_way: HashMap<RowKey, Option<u64>>,
    /// Appends that rest on such rows; they are answered when those are durable, so that whoever
    /// reads again sees the change.
    conflicts: Vec<Answer>,
}

impl State {
    fn allows(&self, fact: &Expect) -> bool {
        self.under_way.get(fact.key()).is_none_or(|version| fact.holds(*version))
    }
}

impl Ordering {
    /// Orders a group of commits that change these rows to these versions.
    pub(super) fn publish(&self, changes: impl IntoIterator<Item = (RowKey, Option<u64>)>) {
        self.state().under_way.extend(changes);
    }

    /// The group has become durable, or it never will.
    pub(super) fn settle(&self) {
        let conflicts = {
            let mut state = self.state();
            state.under_way.clear();
            std::mem::take(&mut state.conflicts)
        };
        for answer in conflicts {
            let _ = answer.send(Err(StoreError::Conflict));
        }
    }

    /// Orders appends: keeps those that a change under way contradicts for their conflict, takes the
    /// snapshot in the same moment, and gives both back. Whoever has seen a change that is under
    /// way saw it durable, and so does the snapshot.
    pub(super) fn admit<J, S>(
        &self,
        jobs: Vec<J>,
        facts: impl Fn(&J) -> &[Expect],
        answer: impl Fn(J) -> Answer,
        snapshot: impl FnOnce() -> S,
    ) -> (Vec<J>, S) {
        let mut state = self.state();
        let (admitted, conflicts): (Vec<J>, Vec<J>) =
            jobs.into_iter().partition(|job| facts(job).iter().all(|fact| state.allows(fact)));
        state.conflicts.extend(conflicts.into_iter().map(answer));
        (admitted, snapshot())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn key() -> RowKey {
        RowKey::new(vec![1])
    }

    #[test]
    fn a_fact_that_a_commit_under_way_changes_is_a_conflict_once_that_is_durable() {
        let ordering = Ordering::default();
        ordering.publish([(key(), Some(2))]);
        let (answer, mut outcome) = oneshot::channel();
        let job = (vec![Expect::Version(key(), 1)], answer);
        let (admitted, ()) = ordering.admit(vec![job], |job| &job.0, |job| job.1, || ());
        assert!(admitted.is_empty());
        assert!(outcome.try_recv().is_err(), "answered before the commit is durable");
        ordering.settle();
        assert!(matches!(outcome.try_recv(), Ok(Err(StoreError::Conflict))));
        assert!(ordering.state().under_way.is_empty());
    }

    #[test]
    fn a_fact_that_saw_the_commit_under_way_is_left_to_the_snapshot() {
        let ordering = Ordering::default();
        ordering.publish([(key(), Some(2)), (RowKey::new(vec![2]), None)]);
        let (answer, _outcome) = oneshot::channel();
        let seen = vec![Expect::Version(key(), 2), Expect::Absent(RowKey::new(vec![2]))];
        let (admitted, ()) = ordering.admit(vec![(seen, answer)], |job| &job.0, |job| job.1, || ());
        assert_eq!(admitted.len(), 1);
    }
}
