//! Which operators stand for the recovery of a tenant's owner: two, and each in an account of their own.

use strongroom_model::{RECOVERY_OPERATOR_SECONDS, Recovery, Timestamp, User};

/// Why an operator may not do what another may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongOperator {
    /// They asked for it, so they do not approve it.
    Asked,
    /// They are neither of the two who stand for it.
    Bystander,
    /// Somebody else has let a person into their account lately.
    TooNew,
}

/// Whether an operator may ask for a recovery.
///
/// # Errors
/// [`WrongOperator::TooNew`] unless for 72 hours they have come in by invitations of their own alone:
/// somebody who has let themselves in by another's account, new or old, is found out first.
pub fn may_ask(operator: &User, now: Timestamp) -> Result<(), WrongOperator> {
    if operator.theirs_since().plus_seconds(RECOVERY_OPERATOR_SECONDS) <= now {
        Ok(())
    } else {
        Err(WrongOperator::TooNew)
    }
}

/// Whether an operator may approve a recovery.
///
/// # Errors
/// [`WrongOperator::Asked`]; those of [`may_ask`].
pub fn may_approve(
    recovery: &Recovery,
    operator: &User,
    now: Timestamp,
) -> Result<(), WrongOperator> {
    if recovery.requested_by == operator.id {
        return Err(WrongOperator::Asked);
    }
    may_ask(operator, now)
}

/// Whether an operator may invite the new owner.
///
/// # Errors
/// [`WrongOperator::Bystander`]; those of [`may_ask`].
pub fn may_invite_owner(
    recovery: &Recovery,
    operator: &User,
    now: Timestamp,
) -> Result<(), WrongOperator> {
    if recovery.requested_by != operator.id && recovery.approved_by != Some(operator.id) {
        return Err(WrongOperator::Bystander);
    }
    may_ask(operator, now)
}
