//! Jobs: long-running pieces of work that are asked for, watched, and can be stopped.

use crate::{BlueprintId, BlueprintName, JobId, Principal, TenantId, Timestamp};

/// A long-running piece of work.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Job {
    /// Its id.
    #[n(0)]
    pub id: JobId,
    /// What is to be done.
    #[n(1)]
    pub kind: JobKind,
    /// Where it stands.
    #[n(2)]
    pub state: JobState,
    /// Who asked for it.
    #[n(3)]
    pub asked_by: Principal,
    /// When it was asked for.
    #[n(4)]
    pub asked_at: Timestamp,
    /// When it began.
    #[n(5)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[n(6)]
    pub ended_at: Option<Timestamp>,
    /// How far it has come.
    #[n(7)]
    pub progress: Progress,
    /// How many items had which outcome, in ascending order of the outcomes.
    #[n(8)]
    pub outcomes: Vec<OutcomeCount>,
    /// Where it goes on: the last item that is done, in the order of the kind; empty before.
    #[n(9)]
    #[cbor(with = "minicbor::bytes")]
    pub checkpoint: Vec<u8>,
    /// Who works on it, and for how long nobody else does.
    #[n(10)]
    pub lease: Option<Lease>,
    /// Why it could not go on, as a stable word.
    #[n(11)]
    pub problem: Option<String>,
}

impl Job {
    /// A job that somebody asks for.
    pub fn new(id: JobId, kind: JobKind, asked_by: Principal, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            state: JobState::Queued,
            asked_by,
            asked_at: now,
            started_at: None,
            ended_at: None,
            progress: Progress::default(),
            outcomes: Vec::new(),
            checkpoint: Vec::new(),
            lease: None,
            problem: None,
        }
    }

    /// Counts an item that is done.
    pub fn count(&mut self, outcome: JobOutcome) {
        self.progress.done = self.progress.done.saturating_add(1);
        match self.outcomes.binary_search_by_key(&outcome, |count| count.outcome) {
            Ok(place) => {
                if let Some(count) = self.outcomes.get_mut(place) {
                    count.items = count.items.saturating_add(1);
                }
            }
            Err(place) => self.outcomes.insert(place, OutcomeCount { outcome, items: 1 }),
        }
    }

    /// Whether somebody may take it up: it has not ended, and nobody else works on it.
    pub fn is_free_for(&self, worker: [u8; 16], now: Timestamp) -> bool {
        let leased =
            self.lease.as_ref().is_some_and(|lease| lease.worker != worker && now < lease.until);
        !self.state.has_ended() && !leased
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum JobKind {
    /// Tenants are given a version of their blueprint.
    #[n(0)]
    ApplyBlueprint(#[n(0)] ApplyBlueprint),
}

/// Which tenants are given what.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApplyBlueprint {
    /// The blueprint.
    #[n(0)]
    pub blueprint: BlueprintId,
    /// Its name.
    #[n(1)]
    pub name: BlueprintName,
    /// The number of the version.
    #[n(2)]
    pub version: u32,
    /// The tenants, in ascending order; absent: every one that has the blueprint.
    #[n(3)]
    pub tenants: Option<Vec<TenantId>>,
}

/// Where a job stands: queued → running → done; queued, running → cancelled, failed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum JobState {
    /// Asked for; nobody has begun.
    #[n(0)]
    Queued,
    /// Under way, or waiting to be taken up again.
    #[n(1)]
    Running,
    /// Every item was looked at.
    #[n(2)]
    Done,
    /// Somebody stopped it; what was done stays.
    #[n(3)]
    Cancelled,
    /// It could not go on; what was done stays.
    #[n(4)]
    Failed,
}

/// How far a job has come.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    utoipa::ToSchema,
)]
pub struct Progress {
    /// Items that are done.
    #[n(0)]
    pub done: u64,
    /// Items in all, as far as they were known when it began; 0 before.
    #[n(1)]
    pub total: u64,
}

/// How an item of a job ended.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum JobOutcome {
    /// All of it was done.
    #[n(0)]
    Applied,
    /// It was so already.
    #[n(1)]
    Unchanged,
    /// It was done but for what the tenant has edited itself.
    #[n(2)]
    Kept,
    /// It is not there any more.
    #[n(3)]
    Skipped,
    /// Nothing of it was done.
    #[n(4)]
    Failed,
}

/// How many items had an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OutcomeCount {
    /// The outcome.
    #[n(0)]
    pub outcome: JobOutcome,
    /// How many.
    #[n(1)]
    pub items: u64,
}

/// That somebody works on a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Lease {
    /// The worker: random, and another one at each start of a server.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub worker: [u8; 16],
    /// Until then nobody else takes it up.
    #[n(1)]
    pub until: Timestamp,
}

/// How one item of a job ended, and what is to be said of it. It holds no client data.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct JobItem {
    /// How it ended.
    #[n(0)]
    pub outcome: JobOutcome,
    /// What was kept as the tenant has edited it, as JSON pointers into the tenant's things.
    #[n(1)]
    pub kept: Vec<String>,
    /// Why it failed, as a stable word.
    #[n(2)]
    pub problem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_in_their_order_however_they_come() {
        let kind = JobKind::ApplyBlueprint(ApplyBlueprint {
            blueprint: BlueprintId::from_bytes([1; 16]),
            name: "clinic".parse().unwrap(),
            version: 1,
            tenants: None,
        });
        let id = JobId::from_bytes([2; 16]);
        let mut job = Job::new(id, kind, Principal::Anonymous, Timestamp::default());
        for outcome in [JobOutcome::Failed, JobOutcome::Applied, JobOutcome::Failed] {
            job.count(outcome);
        }
        assert_eq!(job.progress.done, 3);
        let counts: Vec<_> =
            job.outcomes.iter().map(|count| (count.outcome, count.items)).collect();
        assert_eq!(counts, [(JobOutcome::Applied, 1), (JobOutcome::Failed, 2)]);
    }

    #[test]
    fn a_leased_job_is_taken_up_by_others_only_when_the_lease_has_passed() {
        let kind = JobKind::ApplyBlueprint(ApplyBlueprint {
            blueprint: BlueprintId::from_bytes([1; 16]),
            name: "clinic".parse().unwrap(),
            version: 1,
            tenants: None,
        });
        let at = |seconds| Timestamp::default().plus_seconds(seconds);
        let mut job = Job::new(JobId::from_bytes([2; 16]), kind, Principal::Anonymous, at(0));
        assert!(job.is_free_for([1; 16], at(0)));
        job.lease = Some(Lease { worker: [1; 16], until: at(10) });
        assert!(job.is_free_for([1; 16], at(5)));
        assert!(!job.is_free_for([2; 16], at(9)));
        assert!(job.is_free_for([2; 16], at(10)));
        job.state = JobState::Done;
        assert!(!job.is_free_for([1; 16], at(20)));
    }
}
