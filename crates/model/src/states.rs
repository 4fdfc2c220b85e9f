//! States and their transitions: each takes the old state and gives the new one; anything else is refused.
//!
//! `docs/states.md` has the tables.

use crate::{
    ConsentState, ErasureState, JobState, RecoveryState, SubjectState, TenantState, UserState,
};

/// A transition that is not possible from the present state: 409. It carries that state's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not possible in the state `{0}`")]
pub struct WrongState(pub &'static str);

impl TenantState {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Terminating => "terminating",
            Self::Frozen => "frozen",
            Self::Erased => "erased",
        }
    }

    /// The owner's invitation has been redeemed.
    ///
    /// # Errors
    /// [`WrongState`] unless the tenant is invited.
    pub const fn redeem(self) -> Result<Self, WrongState> {
        match self {
            Self::Invited => Ok(Self::Active),
            Self::Active | Self::Suspended | Self::Terminating | Self::Frozen | Self::Erased => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// The provider stops the tenant.
    ///
    /// # Errors
    /// [`WrongState`] unless the tenant is active.
    pub const fn suspend(self) -> Result<Self, WrongState> {
        match self {
            Self::Active => Ok(Self::Suspended),
            Self::Invited | Self::Suspended | Self::Terminating | Self::Frozen | Self::Erased => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// The provider lets a suspended tenant go on.
    ///
    /// # Errors
    /// [`WrongState`] unless the tenant is suspended.
    pub const fn resume(self) -> Result<Self, WrongState> {
        match self {
            Self::Suspended => Ok(Self::Active),
            Self::Invited | Self::Active | Self::Terminating | Self::Frozen | Self::Erased => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// The contract ends; the clock starts.
    ///
    /// # Errors
    /// [`WrongState`] unless the tenant is active or suspended.
    pub const fn terminate(self) -> Result<Self, WrongState> {
        match self {
            Self::Active | Self::Suspended => Ok(Self::Terminating),
            Self::Invited | Self::Terminating | Self::Frozen | Self::Erased => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// The end of the contract is undone before the clock has run out.
    ///
    /// # Errors
    /// [`WrongState`] unless the tenant is terminating or frozen.
    pub const fn undo_termination(self) -> Result<Self, WrongState> {
        match self {
            Self::Terminating | Self::Frozen => Ok(Self::Active),
            Self::Invited | Self::Active | Self::Suspended | Self::Erased => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// The last days begin.
    ///
    /// # Errors
    /// [`WrongState`] unless the tenant is terminating.
    pub const fn freeze(self) -> Result<Self, WrongState> {
        match self {
            Self::Terminating => Ok(Self::Frozen),
            Self::Invited | Self::Active | Self::Suspended | Self::Frozen | Self::Erased => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// An owner has asked for it, or the clock has run out.
    ///
    /// # Errors
    /// [`WrongState`] if the tenant is erased already, or nobody has come yet who could ask.
    pub const fn erase(self) -> Result<Self, WrongState> {
        match self {
            Self::Active | Self::Suspended | Self::Terminating | Self::Frozen => Ok(Self::Erased),
            Self::Invited | Self::Erased => Err(WrongState(self.name())),
        }
    }
}

impl UserState {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
        }
    }

    /// The invitation has been redeemed.
    ///
    /// # Errors
    /// [`WrongState`] unless the user is invited.
    pub const fn redeem(self) -> Result<Self, WrongState> {
        match self {
            Self::Invited => Ok(Self::Active),
            Self::Active | Self::Suspended | Self::Removed => Err(WrongState(self.name())),
        }
    }

    /// An admin stops the user.
    ///
    /// # Errors
    /// [`WrongState`] unless the user is active.
    pub const fn suspend(self) -> Result<Self, WrongState> {
        match self {
            Self::Active => Ok(Self::Suspended),
            Self::Invited | Self::Suspended | Self::Removed => Err(WrongState(self.name())),
        }
    }

    /// An admin lets a suspended user in again.
    ///
    /// # Errors
    /// [`WrongState`] unless the user is suspended.
    pub const fn resume(self) -> Result<Self, WrongState> {
        match self {
            Self::Suspended => Ok(Self::Active),
            Self::Invited | Self::Active | Self::Removed => Err(WrongState(self.name())),
        }
    }

    /// An admin removes the user.
    ///
    /// # Errors
    /// [`WrongState`] if the user is removed already.
    pub const fn remove(self) -> Result<Self, WrongState> {
        match self {
            Self::Invited | Self::Active | Self::Suspended => Ok(Self::Removed),
            Self::Removed => Err(WrongState(self.name())),
        }
    }
}

impl SubjectState {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Restricted => "restricted",
            Self::Closed => "closed",
            Self::Erased => "erased",
        }
    }

    /// From now on what is known of the person is stored only.
    ///
    /// # Errors
    /// [`WrongState`] unless the subject is active.
    pub const fn restrict(self) -> Result<Self, WrongState> {
        match self {
            Self::Active => Ok(Self::Restricted),
            Self::Restricted | Self::Closed | Self::Erased => Err(WrongState(self.name())),
        }
    }

    /// The restriction is lifted.
    ///
    /// # Errors
    /// [`WrongState`] unless the subject is restricted.
    pub const fn lift_restriction(self) -> Result<Self, WrongState> {
        match self {
            Self::Restricted => Ok(Self::Active),
            Self::Active | Self::Closed | Self::Erased => Err(WrongState(self.name())),
        }
    }

    /// The person is erased as far as nothing retains them.
    ///
    /// # Errors
    /// [`WrongState`] if the subject is closed or erased already.
    pub const fn close(self) -> Result<Self, WrongState> {
        match self {
            Self::Active | Self::Restricted => Ok(Self::Closed),
            Self::Closed | Self::Erased => Err(WrongState(self.name())),
        }
    }

    /// The person is erased: nothing retains them, or nothing does any longer.
    ///
    /// # Errors
    /// [`WrongState`] if the subject is erased already.
    pub const fn erase(self) -> Result<Self, WrongState> {
        match self {
            Self::Active | Self::Restricted | Self::Closed => Ok(Self::Erased),
            Self::Erased => Err(WrongState(self.name())),
        }
    }
}

impl ErasureState {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Erasing => "erasing",
            Self::Partial => "partial",
            Self::Erased => "erased",
        }
    }

    /// The new key state is committed.
    ///
    /// # Errors
    /// [`WrongState`] unless the erasure is pending.
    pub const fn begin(self) -> Result<Self, WrongState> {
        match self {
            Self::Pending => Ok(Self::Erasing),
            Self::Erasing | Self::Partial | Self::Erased => Err(WrongState(self.name())),
        }
    }

    /// Some holders have forgotten the old root secret, others that count have not yet.
    ///
    /// # Errors
    /// [`WrongState`] unless the erasure is under way.
    pub const fn forget_partly(self) -> Result<Self, WrongState> {
        match self {
            Self::Erasing => Ok(Self::Partial),
            Self::Pending | Self::Partial | Self::Erased => Err(WrongState(self.name())),
        }
    }

    /// Every holder that counts has forgotten the old root secret.
    ///
    /// # Errors
    /// [`WrongState`] unless the erasure is under way or partial.
    pub const fn finish(self) -> Result<Self, WrongState> {
        match self {
            Self::Erasing | Self::Partial => Ok(Self::Erased),
            Self::Pending | Self::Erased => Err(WrongState(self.name())),
        }
    }
}

impl JobState {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing will be done any more.
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Uploading | Self::Queued | Self::Running => false,
            Self::Done | Self::Cancelled | Self::Failed => true,
        }
    }

    /// Whether a worker may do something of it.
    pub const fn is_due(self) -> bool {
        match self {
            Self::Queued | Self::Running => true,
            Self::Uploading | Self::Done | Self::Cancelled | Self::Failed => false,
        }
    }

    /// All that it needs is there.
    ///
    /// # Errors
    /// [`WrongState`] unless it is being uploaded.
    pub const fn start(self) -> Result<Self, WrongState> {
        match self {
            Self::Uploading => Ok(Self::Queued),
            Self::Queued | Self::Running | Self::Done | Self::Cancelled | Self::Failed => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// A worker takes it up.
    ///
    /// # Errors
    /// [`WrongState`] unless the job is queued.
    pub const fn begin(self) -> Result<Self, WrongState> {
        match self {
            Self::Queued => Ok(Self::Running),
            Self::Uploading | Self::Running | Self::Done | Self::Cancelled | Self::Failed => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// Every item was looked at.
    ///
    /// # Errors
    /// [`WrongState`] unless the job is running.
    pub const fn finish(self) -> Result<Self, WrongState> {
        match self {
            Self::Running => Ok(Self::Done),
            Self::Uploading | Self::Queued | Self::Done | Self::Cancelled | Self::Failed => {
                Err(WrongState(self.name()))
            }
        }
    }

    /// Somebody stops it.
    ///
    /// # Errors
    /// [`WrongState`] if the job has ended.
    pub const fn cancel(self) -> Result<Self, WrongState> {
        match self {
            Self::Uploading | Self::Queued | Self::Running => Ok(Self::Cancelled),
            Self::Done | Self::Cancelled | Self::Failed => Err(WrongState(self.name())),
        }
    }

    /// It cannot go on.
    ///
    /// # Errors
    /// [`WrongState`] if the job has ended.
    pub const fn fail(self) -> Result<Self, WrongState> {
        match self {
            Self::Uploading | Self::Queued | Self::Running => Ok(Self::Failed),
            Self::Done | Self::Cancelled | Self::Failed => Err(WrongState(self.name())),
        }
    }
}

impl ConsentState {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// The person takes back what they said. A new word on the purpose is a new entry.
    ///
    /// # Errors
    /// [`WrongState`] if it holds no longer.
    pub const fn withdraw(self) -> Result<Self, WrongState> {
        match self {
            Self::Given | Self::Refused => Ok(Self::Withdrawn),
            Self::Withdrawn | Self::Expired => Err(WrongState(self.name())),
        }
    }

    /// What the person said has ended by itself.
    ///
    /// # Errors
    /// [`WrongState`] if it holds no longer.
    pub const fn expire(self) -> Result<Self, WrongState> {
        match self {
            Self::Given | Self::Refused => Ok(Self::Expired),
            Self::Withdrawn | Self::Expired => Err(WrongState(self.name())),
        }
    }
}

impl RecoveryState {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Invited => "invited",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Expired => "expired",
        }
    }

    /// Whether it can still lead to a new owner.
    pub const fn is_under_way(self) -> bool {
        match self {
            Self::Requested | Self::Waiting | Self::Ready | Self::Invited => true,
            Self::Finished | Self::Stopped | Self::Expired => false,
        }
    }

    /// Another operator approves it.
    ///
    /// # Errors
    /// [`WrongState`] unless it has been asked for.
    pub const fn approve(self) -> Result<Self, WrongState> {
        match self {
            Self::Requested => Ok(Self::Waiting),
            Self::Waiting
            | Self::Ready
            | Self::Invited
            | Self::Finished
            | Self::Stopped
            | Self::Expired => Err(WrongState(self.name())),
        }
    }

    /// The wait is over.
    ///
    /// # Errors
    /// [`WrongState`] unless it waits.
    pub const fn open(self) -> Result<Self, WrongState> {
        match self {
            Self::Waiting => Ok(Self::Ready),
            Self::Requested
            | Self::Ready
            | Self::Invited
            | Self::Finished
            | Self::Stopped
            | Self::Expired => Err(WrongState(self.name())),
        }
    }

    /// One of the two operators makes the invitation.
    ///
    /// # Errors
    /// [`WrongState`] unless the wait is over.
    pub const fn invite(self) -> Result<Self, WrongState> {
        match self {
            Self::Ready => Ok(Self::Invited),
            Self::Requested
            | Self::Waiting
            | Self::Invited
            | Self::Finished
            | Self::Stopped
            | Self::Expired => Err(WrongState(self.name())),
        }
    }

    /// The new owner has come in.
    ///
    /// # Errors
    /// [`WrongState`] unless they were invited.
    pub const fn finish(self) -> Result<Self, WrongState> {
        match self {
            Self::Invited => Ok(Self::Finished),
            Self::Requested
            | Self::Waiting
            | Self::Ready
            | Self::Finished
            | Self::Stopped
            | Self::Expired => Err(WrongState(self.name())),
        }
    }

    /// Somebody of the tenant, or an operator, stops it.
    ///
    /// # Errors
    /// [`WrongState`] if it is over.
    pub const fn stop(self) -> Result<Self, WrongState> {
        match self {
            Self::Requested | Self::Waiting | Self::Ready | Self::Invited => Ok(Self::Stopped),
            Self::Finished | Self::Stopped | Self::Expired => Err(WrongState(self.name())),
        }
    }

    /// Its time has run out.
    ///
    /// # Errors
    /// [`WrongState`] while the wait runs, and if it is over.
    pub const fn expire(self) -> Result<Self, WrongState> {
        match self {
            Self::Requested | Self::Ready | Self::Invited => Ok(Self::Expired),
            Self::Waiting | Self::Finished | Self::Stopped | Self::Expired => {
                Err(WrongState(self.name()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Transition<S> = fn(S) -> Result<S, WrongState>;

    /// Every pair of old and new state that some transition leads from and to.
    fn pairs<S: Copy + std::fmt::Debug>(
        states: &[S],
        name: fn(S) -> &'static str,
        transitions: &[Transition<S>],
    ) -> Vec<String> {
        let mut pairs = Vec::new();
        for old in states {
            for transition in transitions {
                match transition(*old) {
                    Ok(new) => pairs.push(format!("{} {}", name(*old), name(new))),
                    Err(refused) => assert_eq!(refused, WrongState(name(*old))),
                }
            }
        }
        pairs.sort();
        pairs.dedup();
        pairs
    }

    #[test]
    fn a_tenant_goes_only_where_its_table_says() {
        use TenantState::{Active, Erased, Frozen, Invited, Suspended, Terminating};
        let found = pairs(
            &[Invited, Active, Suspended, Terminating, Frozen, Erased],
            TenantState::name,
            &[
                TenantState::redeem,
                TenantState::suspend,
                TenantState::resume,
                TenantState::terminate,
                TenantState::undo_termination,
                TenantState::freeze,
                TenantState::erase,
            ],
        );
        assert_eq!(
            found,
            [
                "active erased",
                "active suspended",
                "active terminating",
                "frozen active",
                "frozen erased",
                "invited active",
                "suspended active",
                "suspended erased",
                "suspended terminating",
                "terminating active",
                "terminating erased",
                "terminating frozen",
            ]
        );
    }

    #[test]
    fn a_user_goes_only_where_the_table_says() {
        use UserState::{Active, Invited, Removed, Suspended};
        let found = pairs(
            &[Invited, Active, Suspended, Removed],
            UserState::name,
            &[UserState::redeem, UserState::suspend, UserState::resume, UserState::remove],
        );
        assert_eq!(
            found,
            [
                "active removed",
                "active suspended",
                "invited active",
                "invited removed",
                "suspended active",
                "suspended removed",
            ]
        );
    }

    #[test]
    fn a_subject_goes_only_where_its_table_says() {
        use SubjectState::{Active, Closed, Erased, Restricted};
        let found = pairs(
            &[Active, Restricted, Closed, Erased],
            SubjectState::name,
            &[
                SubjectState::restrict,
                SubjectState::lift_restriction,
                SubjectState::close,
                SubjectState::erase,
            ],
        );
        assert_eq!(
            found,
            [
                "active closed",
                "active erased",
                "active restricted",
                "closed erased",
                "restricted active",
                "restricted closed",
                "restricted erased",
            ]
        );
    }

    #[test]
    fn an_erasure_goes_only_forward() {
        use ErasureState::{Erased, Erasing, Partial, Pending};
        let found = pairs(
            &[Pending, Erasing, Partial, Erased],
            ErasureState::name,
            &[ErasureState::begin, ErasureState::forget_partly, ErasureState::finish],
        );
        assert_eq!(
            found,
            ["erasing erased", "erasing partial", "partial erased", "pending erasing"]
        );
    }

    #[test]
    fn a_job_goes_only_where_its_table_says() {
        use JobState::{Cancelled, Done, Failed, Queued, Running, Uploading};
        let found = pairs(
            &[Uploading, Queued, Running, Done, Cancelled, Failed],
            JobState::name,
            &[JobState::start, JobState::begin, JobState::finish, JobState::cancel, JobState::fail],
        );
        assert_eq!(
            found,
            [
                "queued cancelled",
                "queued failed",
                "queued running",
                "running cancelled",
                "running done",
                "running failed",
                "uploading cancelled",
                "uploading failed",
                "uploading queued",
            ]
        );
    }

    #[test]
    fn a_recovery_reaches_a_new_owner_by_one_way_only() {
        use RecoveryState::{Expired, Finished, Invited, Ready, Requested, Stopped, Waiting};
        let found = pairs(
            &[Requested, Waiting, Ready, Invited, Finished, Stopped, Expired],
            RecoveryState::name,
            &[
                RecoveryState::approve,
                RecoveryState::open,
                RecoveryState::invite,
                RecoveryState::finish,
                RecoveryState::stop,
                RecoveryState::expire,
            ],
        );
        assert_eq!(
            found,
            [
                "invited expired",
                "invited finished",
                "invited stopped",
                "ready expired",
                "ready invited",
                "ready stopped",
                "requested expired",
                "requested stopped",
                "requested waiting",
                "waiting ready",
                "waiting stopped",
            ]
        );
    }

    #[test]
    fn a_word_on_a_purpose_ends_once() {
        use ConsentState::{Expired, Given, Refused, Withdrawn};
        let found = pairs(
            &[Given, Refused, Withdrawn, Expired],
            ConsentState::name,
            &[ConsentState::withdraw, ConsentState::expire],
        );
        assert_eq!(
            found,
            ["given expired", "given withdrawn", "refused expired", "refused withdrawn"]
        );
    }
}
