//! About how many persons a backend has read in the present hour: beyond the tenant's bound it is
//! stopped, and the tenant is told.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use strongroom_model::{
    Admission, AuditEvent, AuditObject, BackendId, Outcome, SubjectId, TenantId, Timestamp,
};
use strongroom_storage::Batch;

use crate::caller::Who;
use crate::rows::OwnerLeaf;
use crate::snapshot::Snapshot;
use crate::trail::Attempted;
use crate::{TenantCtx, Vault, VaultError, keyspace};

/// An hour of the server's clock, in seconds. The window is the clock's own hour: whoever reads at its
/// end and at the next one's beginning reads twice the bound.
const HOUR_SECONDS: i64 = 60 * 60;

/// Persons remembered at once, over all tenants and backends: about 100 MB. Beyond it further ones are
/// counted and not remembered, so that reading about the same one again counts again.
const REMEMBERED_MAX: usize = 4_000_000;

/// What is read in the present hour. It is kept in memory: a restart begins the hour anew.
#[derive(Default)]
pub(crate) struct SubjectCounts(Mutex<State>);

#[derive(Default)]
struct State {
    hour: i64,
    remembered: usize,
    of: HashMap<(TenantId, BackendId), Counted>,
}

#[derive(Default)]
struct Counted {
    count: u64,
    /// The last eight bytes of the persons' ids, which are random.
    seen: HashSet<u64>,
}

/// That there are more persons than the bound lets.
#[derive(Debug, PartialEq, Eq)]
struct Beyond {
    /// After how many seconds the next hour begins.
    seconds: u32,
}

fn hour_of(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(HOUR_SECONDS * 1_000_000)
}

fn fingerprint(subject: &SubjectId) -> u64 {
    subject.as_bytes().last_chunk::<8>().map_or(0, |last| u64::from_be_bytes(*last))
}

impl SubjectCounts {
    /// Counts persons about whom something is to be shown: all of them, or none if they are too many.
    fn count(
        &self,
        now: Timestamp,
        of: (TenantId, BackendId),
        bound: u32,
        subjects: &[SubjectId],
        remembered_max: usize,
    ) -> Result<(), Beyond> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = hour_of(now);
        if state.hour != hour {
            *state = State { hour, ..State::default() };
        }
        let room = remembered_max.saturating_sub(state.remembered);
        let counted = state.of.entry(of).or_default();
        let new: HashSet<u64> = subjects
            .iter()
            .map(fingerprint)
            .filter(|subject| !counted.seen.contains(subject))
            .collect();
        let more = u64::try_from(new.len()).unwrap_or(u64::MAX);
        let total = counted.count.saturating_add(more);
        if more > 0 && total > u64::from(bound) {
            let next = Timestamp::from_micros((hour + 1) * HOUR_SECONDS * 1_000_000);
            let micros = next.as_micros().saturating_sub(now.as_micros());
            let seconds = u32::try_from((micros + 999_999) / 1_000_000).unwrap_or(u32::MAX);
            return Err(Beyond { seconds });
        }
        counted.count = total;
        let before = counted.seen.len();
        counted.seen.extend(new.into_iter().take(room));
        let kept = counted.seen.len() - before;
        state.remembered += kept;
        Ok(())
    }
}

impl Vault {
    /// Counts the persons about whom a backend is about to read; others than backends are not
    /// counted. What was attempted is given back, to be put on record as allowed.
    ///
    /// # Errors
    /// [`VaultError::TooManySubjects`], on record, once an hour with an alert in the tenant's log.
    pub(crate) async fn count_subjects<'v>(
        &'v self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'v>,
        who: &Who,
        attempted: Attempted,
        subjects: &[SubjectId],
    ) -> Result<(Snapshot<'v>, Attempted), VaultError> {
        let Some(admission) = who.admission() else { return Ok((snapshot, attempted)) };
        let (now, bound) = (self.now(), admission.subjects_per_hour);
        let of = (ctx.tenant(), admission.backend);
        match self.subject_counts.count(now, of, bound, subjects, REMEMBERED_MAX) {
            Ok(()) => Ok((snapshot, attempted)),
            Err(Beyond { seconds }) => {
                self.alert(ctx, &attempted, admission.backend).await?;
                let attempted = Attempted { code: "too_many_subjects", ..attempted };
                let event = AuditEvent { outcome: Outcome::Refused, ..attempted.done() };
                let committed = self.put_on_record(ctx, snapshot, event).await?;
                let error = Box::new(VaultError::TooManySubjects { seconds });
                Err(VaultError::OnRecord { error, lines: committed.places().to_vec() })
            }
        }
    }

    /// Counts the persons of whom a backend is to be shown what it has just written, and says whether
    /// they are within its bound.
    pub(crate) fn may_show(&self, ctx: &TenantCtx, who: &Who, subjects: &[SubjectId]) -> bool {
        let Some(admission) = who.admission() else { return true };
        let of = (ctx.tenant(), admission.backend);
        let bound = admission.subjects_per_hour;
        self.subject_counts.count(self.now(), of, bound, subjects, REMEMBERED_MAX).is_ok()
    }

    /// Tells the tenant, once in an hour, that a backend ran into its bound.
    async fn alert(
        &self,
        ctx: &TenantCtx,
        attempted: &Attempted,
        backend: BackendId,
    ) -> Result<(), VaultError> {
        let mut snapshot = Snapshot::new(self);
        let key = keyspace::admission(ctx.tenant(), backend);
        let found = snapshot.load::<Admission>(&key).await?.ok_or(VaultError::NotFound)?;
        let now = self.now();
        if found.limited_at.is_some_and(|before| hour_of(before) == hour_of(now)) {
            return Ok(());
        }
        let limited = Admission { limited_at: Some(now), ..(*found.value).clone() };
        let mut batch: Batch = snapshot.into_batch();
        let value = self.seal_row(&key, OwnerLeaf::NOBODY, found.version + 1, &limited).await?;
        batch.put(key, found.version + 1, value);
        let event = AuditEvent {
            outcome: Outcome::Refused,
            ..Attempted {
                principal: attempted.principal,
                action: attempted.action,
                code: "backend.limited",
                object: AuditObject::Other(BackendId::PREFIX, *backend.as_bytes()),
            }
            .done()
        };
        batch.line(self.line(ctx.tenant(), Some(ctx), event).await?);
        let _committed = self.store.commit(batch).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: (TenantId, BackendId) =
        (TenantId::from_bytes([1; 16]), BackendId::from_bytes([2; 16]));

    fn persons(range: std::ops::Range<u64>) -> Vec<SubjectId> {
        range.map(|n| SubjectId::from_bytes(u128::from(n).to_be_bytes())).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::default().plus_seconds(seconds)
    }

    #[test]
    fn as_many_as_the_bound_are_let_through_and_those_again_as_often_as_one_likes() {
        let counts = SubjectCounts::default();
        let count = |now, range| counts.count(at(now), OF, 10, &persons(range), usize::MAX);
        assert_eq!(count(0, 0..8), Ok(()));
        assert_eq!(count(1, 5..10), Ok(()));
        assert_eq!(count(600, 10..11), Err(Beyond { seconds: 3_000 }));
        assert_eq!(count(601, 0..10), Ok(()));
        assert_eq!(count(602, 9..12), Err(Beyond { seconds: 2_998 }));
        assert_eq!(count(3_599, 12..13), Err(Beyond { seconds: 1 }));
        assert_eq!(count(3_600, 12..22), Ok(()));
        assert_eq!(count(3_600, 0..1), Err(Beyond { seconds: 3_600 }));
    }

    #[test]
    fn a_list_that_does_not_fit_uses_nothing_up() {
        let counts = SubjectCounts::default();
        let count = |range| counts.count(at(0), OF, 10, &persons(range), usize::MAX);
        assert!(count(0..11).is_err());
        assert_eq!(count(0..10), Ok(()));
    }

    #[test]
    fn tenants_and_backends_do_not_use_up_each_other_s_bounds() {
        let counts = SubjectCounts::default();
        let other = (TenantId::from_bytes([3; 16]), OF.1);
        let another = (OF.0, BackendId::from_bytes([4; 16]));
        for of in [OF, other, another] {
            assert_eq!(counts.count(at(0), of, 10, &persons(0..10), usize::MAX), Ok(()));
            assert!(counts.count(at(0), of, 10, &persons(10..11), usize::MAX).is_err());
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgetting_never_lets_more_through() {
        let counts = SubjectCounts::default();
        let count = |range| counts.count(at(0), OF, 10, &persons(range), 4);
        assert_eq!(count(0..8), Ok(()));
        let remembered = counts.0.lock().unwrap().remembered;
        assert_eq!(remembered, 4);
        let mut through = 8;
        for n in 8..100 {
            through += usize::from(count(n..n + 1).is_ok());
        }
        assert_eq!(through, 10);
    }

    #[test]
    fn a_bound_of_a_million_can_be_used_up_and_no_more() {
        let counts = SubjectCounts::default();
        let mut through = 0_u64;
        for n in 0..1_050 {
            let persons = persons(n * 1_000..(n + 1) * 1_000);
            let counted = counts.count(at(0), OF, 1_000_000, &persons, REMEMBERED_MAX);
            through += if counted.is_ok() { 1_000 } else { 0 };
        }
        assert_eq!(through, 1_000_000);
    }
}
