//! Jobs: long-running pieces of work that are asked for, watched, and can be stopped.

use std::net::IpAddr;

use crate::{
    BackendId, BackupPlaceName, BlueprintId, BlueprintName, CollectionName, CollectionNumber,
    FieldNumber, JobId, KeyId, Principal, Purpose, RecordId, SessionId, TenantId, Timestamp,
    UserId, WrongState,
};

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
    /// With whose rights it is done; absent for the provider's own jobs.
    #[n(12)]
    pub asker: Option<Asker>,
    /// The leaf whose key seals what it keeps of clients' data; absent if it keeps nothing.
    #[n(13)]
    pub slot: Option<u64>,
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
            asker: None,
            slot: None,
        }
    }

    /// Ends it. Nobody works on it any more, and from where it was asked for is forgotten.
    ///
    /// # Errors
    /// [`WrongState`] if the present state does not lead there.
    pub fn end(
        &mut self,
        how: fn(JobState) -> Result<JobState, WrongState>,
        problem: Option<&str>,
        now: Timestamp,
    ) -> Result<(), WrongState> {
        self.state = how(self.state)?;
        self.problem = problem.map(str::to_owned);
        self.ended_at = Some(now);
        self.lease = None;
        if let Some(asker) = &mut self.asker {
            asker.address = None;
        }
        Ok(())
    }

    /// Counts an item that is done.
    pub fn count(&mut self, outcome: JobOutcome) {
        self.count_many(outcome, 1);
    }

    /// Counts items that are done.
    pub fn count_many(&mut self, outcome: JobOutcome, items: u64) {
        if items == 0 {
            return;
        }
        self.progress.done = self.progress.done.saturating_add(items);
        match self.outcomes.binary_search_by_key(&outcome, |count| count.outcome) {
            Ok(place) => {
                if let Some(count) = self.outcomes.get_mut(place) {
                    count.items = count.items.saturating_add(items);
                }
            }
            Err(place) => self.outcomes.insert(place, OutcomeCount { outcome, items }),
        }
    }

    /// Whether somebody may take it up: there is something to do, and nobody else works on it.
    pub fn is_free_for(&self, worker: [u8; 16], now: Timestamp) -> bool {
        let leased =
            self.lease.as_ref().is_some_and(|lease| lease.worker != worker && now < lease.until);
        self.is_due() && !leased
    }

    /// Whether a worker may do something of it. What is taken out is made when somebody takes it, and no
    /// worker does anything of it.
    pub fn is_due(&self) -> bool {
        match &self.kind {
            JobKind::ApplyBlueprint(_) | JobKind::Import(_) | JobKind::Backup(_) => {
                self.state.is_due()
            }
            JobKind::Export(_) | JobKind::Archive(_) => false,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum JobKind {
    /// Tenants are given a version of their blueprint.
    #[n(0)]
    ApplyBlueprint(#[n(0)] ApplyBlueprint),
    /// Records are made of the rows of a file.
    #[n(1)]
    Import(#[n(0)] Import),
    /// Records of a collection are taken out, part by part.
    #[n(2)]
    Export(#[n(0)] Export),
    /// Collections are taken out as one sealed stream.
    #[n(3)]
    Archive(#[n(0)] Archiving),
    /// The rows of the store are copied to a place.
    #[n(4)]
    Backup(#[n(0)] Backup),
}

/// A backup that is being made.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Backup {
    /// Where it goes.
    #[n(0)]
    pub place: BackupPlaceName,
    /// What it is called there.
    #[n(1)]
    pub name: Box<str>,
    /// Bytes of the parts that are there.
    #[n(2)]
    pub bytes: u64,
}

/// Whoever asked for a tenant's job. The job is decided with the rights that they have when it is done.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Asker {
    /// The credential that was shown.
    #[n(0)]
    pub credential: AskedWith,
    /// The user for whom it acted.
    #[n(1)]
    pub acting_for: Option<UserId>,
    /// The purpose that the request stated.
    #[n(2)]
    pub purpose: Option<Purpose>,
    /// From where it came; forgotten when the job has ended.
    #[n(3)]
    pub address: Option<IpAddr>,
}

/// The credential with which a job was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum AskedWith {
    /// A user's session.
    #[n(0)]
    Session(#[n(0)] SessionId),
    /// An API key.
    #[n(1)]
    ApiKey(#[n(0)] KeyId),
    /// A backend of the provider, and the number of the secret that it showed.
    #[n(2)]
    Backend(#[n(0)] BackendId, #[n(1)] u32),
}

/// An import, and how far its upload and its rows have come.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Import {
    /// The collection whose records are made.
    #[n(0)]
    pub collection: CollectionName,
    /// Whether everything is looked at and nothing is made.
    #[n(1)]
    pub dry_run: bool,
    /// Parts that are there.
    #[n(2)]
    pub parts: u32,
    /// The greatest number of a part that is there.
    #[n(3)]
    pub last_part: u32,
    /// Which time rows are gone through: 0 the first time, then those that wait for records which they
    /// refer to.
    #[n(4)]
    pub round: u16,
    /// Records made in this round.
    #[n(5)]
    pub made: u64,
    /// Rejects that are kept; further ones are counted.
    #[n(6)]
    pub rejects: u64,
    /// Whether this is the last round: what still refers to records that are not there is rejected.
    #[n(7)]
    pub is_last_round: bool,
}

/// How often rows that refer to records which are not there are gone through: so deep may the rows of a
/// file refer to one another.
const ROUNDS_MAX: u16 = 100;

impl Import {
    /// An import of which nothing is there yet.
    pub fn new(collection: CollectionName, dry_run: bool) -> Self {
        Self {
            collection,
            dry_run,
            parts: 0,
            last_part: 0,
            round: 0,
            made: 0,
            rejects: 0,
            is_last_round: false,
        }
    }

    /// Goes on in a round. Where the one before has made no record, there is none after it: nothing
    /// would be found that was not found now.
    pub fn enter(&mut self, round: u16) {
        if round > self.round {
            self.is_last_round = self.made == 0 || round >= ROUNDS_MAX;
            self.round = round;
            self.made = 0;
        }
    }

    /// Whether rows that refer to records which are not there may wait for another round.
    pub const fn may_wait(&self) -> bool {
        !self.is_last_round && !self.dry_run
    }
}

/// An export, and which of its parts was taken last. Nothing of the records is kept.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Export {
    /// The collection whose records are taken out.
    #[n(0)]
    pub collection: CollectionName,
    /// Its number: another one of the same name is not gone on with.
    #[n(1)]
    pub number: CollectionNumber,
    /// How its parts are written.
    #[n(2)]
    pub format: ExportFormat,
    /// Only these fields; absent: all that the asker may see when a part is made.
    #[n(3)]
    pub fields: Option<Vec<FieldNumber>>,
    /// Revealable fields that come in the clear.
    #[n(4)]
    pub reveal: Vec<FieldNumber>,
    /// Most records of a part.
    #[n(5)]
    pub part_records: u16,
    /// The part that was taken last; none yet: the empty one before the first.
    #[n(6)]
    pub part: ExportPart,
    /// When a part was last made for the first time.
    #[n(7)]
    pub moved_at: Option<Timestamp>,
}

/// How the parts of an export are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum ExportFormat {
    /// One JSON object a line.
    #[n(0)]
    Ndjson,
    /// Comma-separated values with a line of names.
    #[n(1)]
    Csv,
}

/// A part of an export: the records after one, up to and with another, in the order in which they were
/// created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExportPart {
    /// Its number, from 1.
    #[n(0)]
    pub number: u32,
    /// After which record it begins.
    #[n(1)]
    pub after: RecordId,
    /// With which record it ends.
    #[n(2)]
    pub until: RecordId,
    /// How many records it had when it was last taken.
    #[n(3)]
    pub records: u64,
    /// Whether it is the last.
    #[n(4)]
    pub is_last: bool,
}

impl ExportPart {
    /// What there is before the first part. No record has the id of zeros.
    pub const NOTHING: Self = Self {
        number: 0,
        after: RecordId::from_bytes([0; 16]),
        until: RecordId::from_bytes([0; 16]),
        records: 0,
        is_last: false,
    };

    /// Where the part of this number lies: after which record, and up to which one if it was taken
    /// before. The last one that was taken may be taken again, so that one that was lost on its way is
    /// not lost; then comes the next. Nothing for all others.
    pub fn reach(&self, number: u32) -> Option<(RecordId, Option<RecordId>)> {
        if number == 0 {
            None
        } else if number == self.number {
            Some((self.after, Some(self.until)))
        } else if Some(number) == self.next() {
            Some((self.until, None))
        } else {
            None
        }
    }

    /// The number of the part that comes next, if there is one.
    pub fn next(&self) -> Option<u32> {
        if self.is_last { None } else { self.number.checked_add(1) }
    }
}

/// An archive that is being made.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Archiving {
    /// Its collections, in its order.
    #[n(0)]
    pub collections: Vec<CollectionName>,
    /// When its last page was made.
    #[n(1)]
    pub moved_at: Timestamp,
}

/// A row of a file that became no record, and why. It holds nothing of the row.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct JobReject {
    /// The part of the file in which it is, counted from 1.
    #[n(0)]
    pub part: u32,
    /// The line on which it begins, as the upload counted.
    #[n(1)]
    pub line: u64,
    /// What is wrong: where, as a JSON pointer into the record, and what.
    #[n(2)]
    pub flaws: Vec<(String, String)>,
}

/// A part of a file that was uploaded: by what it is recognised when it comes again.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct JobPart {
    /// The SHA-256 of its bytes and of what was said with it.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub digest: [u8; 32],
    /// Rows that it has, with those that cannot be read.
    #[n(1)]
    pub rows: u64,
    /// Those that cannot be read.
    #[n(2)]
    pub rejected: u64,
}

/// A job of a tenant that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OpenJob {
    /// The job.
    #[n(0)]
    pub job: JobId,
    /// The leaf whose key seals what it keeps of clients' data.
    #[n(1)]
    pub slot: Option<u64>,
}

/// A tenant's jobs that have not ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OpenJobs {
    /// The jobs, in the order in which they were asked for.
    #[n(0)]
    pub jobs: Vec<OpenJob>,
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

/// Where a job stands: uploading → queued → running → done; from all but the last: cancelled, failed.
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
    /// Asked for; what it is to be done with is still being sent.
    #[n(5)]
    Uploading,
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
    /// A record was made of the row, or would have been.
    #[n(5)]
    Created,
    /// A record with the row's external id was there; it was left as it is.
    #[n(6)]
    Exists,
    /// The row became no record.
    #[n(7)]
    Rejected,
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
    fn only_the_last_part_and_the_next_one_of_an_export_can_be_taken() {
        let id = |byte| RecordId::from_bytes([byte; 16]);
        let nothing = ExportPart::NOTHING;
        assert_eq!(nothing.reach(0), None);
        assert_eq!(nothing.reach(1), Some((id(0), None)));
        assert_eq!(nothing.reach(2), None);
        let third = ExportPart { number: 3, after: id(4), until: id(7), records: 9, ..nothing };
        assert_eq!(third.reach(0), None);
        assert_eq!(third.reach(2), None);
        assert_eq!(third.reach(3), Some((id(4), Some(id(7)))));
        assert_eq!(third.reach(4), Some((id(7), None)));
        assert_eq!(third.reach(5), None);
        let last = ExportPart { is_last: true, ..third };
        assert_eq!(last.reach(3), Some((id(4), Some(id(7)))));
        assert_eq!(last.reach(4), None);
        let endless = ExportPart { number: u32::MAX, ..third };
        assert_eq!(endless.reach(0), None);
    }

    #[test]
    fn no_worker_takes_up_what_somebody_takes_out() {
        let export = JobKind::Export(Export {
            collection: "people".parse().unwrap(),
            number: CollectionNumber(1),
            format: ExportFormat::Csv,
            fields: None,
            reveal: Vec::new(),
            part_records: 1000,
            part: ExportPart::NOTHING,
            moved_at: None,
        });
        let archive = JobKind::Archive(Archiving {
            collections: vec!["people".parse().unwrap()],
            moved_at: Timestamp::default(),
        });
        for kind in [export, archive] {
            for state in [JobState::Queued, JobState::Running] {
                let id = JobId::from_bytes([2; 16]);
                let job = Job {
                    state,
                    ..Job::new(id, kind.clone(), Principal::Anonymous, Timestamp::default())
                };
                assert!(!job.is_free_for([1; 16], Timestamp::default()));
            }
        }
    }

    #[test]
    fn a_job_that_ends_forgets_from_where_it_was_asked_for() {
        let import = Import::new("people".parse().unwrap(), false);
        let id = JobId::from_bytes([2; 16]);
        let kind = JobKind::Import(import);
        let mut job = Job::new(id, kind, Principal::Anonymous, Timestamp::default());
        job.asker = Some(Asker {
            credential: AskedWith::ApiKey(KeyId::from_bytes([3; 16])),
            acting_for: Some(UserId::from_bytes([4; 16])),
            purpose: None,
            address: Some(IpAddr::from([192, 0, 2, 7])),
        });
        job.end(JobState::cancel, Some("upload_abandoned"), Timestamp::default()).unwrap();
        assert_eq!(job.asker.as_ref().unwrap().address, None);
        assert!(job.end(JobState::cancel, None, Timestamp::default()).is_err());
        assert_eq!(job.problem.as_deref(), Some("upload_abandoned"));
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
