//! Recovery of a lost owner: two operators and a wait, after which a tenant gets a new owner.

use crate::{Label, Principal, Timestamp, UserId};

/// That operators want to let a new owner into a tenant whose owners cannot come in any more. A tenant
/// has at most one; the last one stays until another is asked for.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Recovery {
    /// Where it stood when it was last changed; [`Recovery::state_at`] says where it stands.
    #[n(0)]
    pub state: RecoveryState,
    /// Why, as the operator who asked put it.
    #[n(1)]
    pub reason: Label,
    /// The operator who asked for it.
    #[n(2)]
    pub requested_by: UserId,
    /// When it was asked for.
    #[n(3)]
    pub requested_at: Timestamp,
    /// The other operator, who approved it.
    #[n(4)]
    pub approved_by: Option<UserId>,
    /// When it was approved: the wait is counted from here.
    #[n(5)]
    pub approved_at: Option<Timestamp>,
    /// The operator who made the invitation.
    #[n(6)]
    pub invited_by: Option<UserId>,
    /// The user of the tenant who was invited as its new owner.
    #[n(7)]
    pub user: Option<UserId>,
    /// When the invitation ends.
    #[n(8)]
    pub invitation_ends_at: Option<Timestamp>,
    /// Who stopped it.
    #[n(9)]
    pub stopped_by: Option<Principal>,
    /// When it was stopped, or the new owner came in.
    #[n(10)]
    pub closed_at: Option<Timestamp>,
}

/// Where the recovery of a tenant's owner stands: requested → waiting → ready → invited → finished.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum RecoveryState {
    /// One operator has asked for it.
    #[n(0)]
    Requested,
    /// Another one has approved it; the wait runs.
    #[n(1)]
    Waiting,
    /// The wait is over: one of the two may make the invitation.
    #[n(2)]
    Ready,
    /// The new owner is invited and has not come in yet.
    #[n(3)]
    Invited,
    /// The new owner has come in.
    #[n(4)]
    Finished,
    /// Somebody of the tenant, or an operator, stopped it.
    #[n(5)]
    Stopped,
    /// Its time has run out.
    #[n(6)]
    Expired,
}

/// How long a recovery waits for a second operator: seven days.
pub const RECOVERY_APPROVAL_SECONDS: i64 = 7 * 24 * 60 * 60;

/// How long an operator must have come in by invitations of their own alone before they may ask for,
/// approve or redeem a recovery: 72 hours. Whoever lets themselves into the accounts of others is seen
/// meanwhile.
pub const RECOVERY_OPERATOR_SECONDS: i64 = 72 * 60 * 60;

/// How long the tenant has to stop an approved recovery before anybody can be invited: 72 hours.
pub const RECOVERY_WAIT_SECONDS: i64 = 72 * 60 * 60;

/// How long after the wait the invitation can be made and redeemed: fourteen days.
pub const RECOVERY_OPEN_SECONDS: i64 = 14 * 24 * 60 * 60;

impl Recovery {
    /// A recovery that one operator has asked for.
    pub const fn requested(reason: Label, by: UserId, now: Timestamp) -> Self {
        Self {
            state: RecoveryState::Requested,
            reason,
            requested_by: by,
            requested_at: now,
            approved_by: None,
            approved_at: None,
            invited_by: None,
            user: None,
            invitation_ends_at: None,
            stopped_by: None,
            closed_at: None,
        }
    }

    /// From when on the invitation can be made; absent before the approval.
    pub fn opens_at(&self) -> Option<Timestamp> {
        self.approved_at.map(|approved| approved.plus_seconds(RECOVERY_WAIT_SECONDS))
    }

    /// When it ends by itself if nothing more is done; absent for one that is over.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.state {
            RecoveryState::Requested => {
                Some(self.requested_at.plus_seconds(RECOVERY_APPROVAL_SECONDS))
            }
            RecoveryState::Waiting | RecoveryState::Ready => {
                self.opens_at().map(|opens| opens.plus_seconds(RECOVERY_OPEN_SECONDS))
            }
            RecoveryState::Invited => self.invitation_ends_at,
            RecoveryState::Finished | RecoveryState::Stopped | RecoveryState::Expired => None,
        }
    }

    /// Where it stands at this moment: what only the clock does is not written.
    pub fn state_at(&self, now: Timestamp) -> RecoveryState {
        let has_ended = self.ends_at().is_some_and(|ends| ends <= now);
        let is_open = self.opens_at().is_some_and(|opens| opens <= now);
        match self.state {
            RecoveryState::Requested | RecoveryState::Invited if has_ended => {
                RecoveryState::Expired
            }
            RecoveryState::Waiting | RecoveryState::Ready if has_ended => RecoveryState::Expired,
            RecoveryState::Waiting | RecoveryState::Ready if is_open => RecoveryState::Ready,
            RecoveryState::Waiting | RecoveryState::Ready => RecoveryState::Waiting,
            state @ (RecoveryState::Requested
            | RecoveryState::Invited
            | RecoveryState::Finished
            | RecoveryState::Stopped
            | RecoveryState::Expired) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::default().plus_seconds(seconds)
    }

    fn requested() -> Recovery {
        let by = UserId::from_bytes([1; 16]);
        Recovery::requested("all owners have left".parse().unwrap(), by, at(0))
    }

    #[test]
    fn a_request_that_nobody_approves_ends_after_seven_days() {
        let row = requested();
        assert_eq!(row.state_at(at(RECOVERY_APPROVAL_SECONDS - 1)), RecoveryState::Requested);
        assert_eq!(row.state_at(at(RECOVERY_APPROVAL_SECONDS)), RecoveryState::Expired);
        assert_eq!(row.opens_at(), None);
    }

    #[test]
    fn the_wait_is_72_hours_from_the_approval_and_not_a_microsecond_less() {
        let approved_at = Some(at(1_000));
        let row = Recovery { state: RecoveryState::Waiting, approved_at, ..requested() };
        let opens = at(1_000 + 72 * 60 * 60);
        let before = Timestamp::from_micros(opens.as_micros() - 1);
        assert_eq!(row.state_at(before), RecoveryState::Waiting);
        assert_eq!(row.state_at(opens), RecoveryState::Ready);
        let ends = opens.plus_seconds(14 * 24 * 60 * 60);
        let before = Timestamp::from_micros(ends.as_micros() - 1);
        assert_eq!(row.state_at(before), RecoveryState::Ready);
        assert_eq!(row.state_at(ends), RecoveryState::Expired);
        // A row that said ready too early would not be believed.
        let early = Recovery { state: RecoveryState::Ready, ..row };
        assert_eq!(early.state_at(at(1_000)), RecoveryState::Waiting);
    }

    #[test]
    fn an_invited_recovery_ends_with_its_invitation_and_a_closed_one_stays_as_it_is() {
        let invited = Recovery {
            state: RecoveryState::Invited,
            approved_at: Some(at(0)),
            invitation_ends_at: Some(at(500_000)),
            ..requested()
        };
        assert_eq!(invited.state_at(at(499_999)), RecoveryState::Invited);
        assert_eq!(invited.state_at(at(500_000)), RecoveryState::Expired);
        for state in [RecoveryState::Finished, RecoveryState::Stopped, RecoveryState::Expired] {
            let closed = Recovery { state, ..invited.clone() };
            assert_eq!(closed.state_at(at(10_000_000)), state);
            assert_eq!(closed.ends_at(), None);
        }
    }
}
