//! Recoveries as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{Label, RecoveryState, Timestamp, UserId};
use strongroom_vault::{Versioned, recovery};
use utoipa::ToSchema;

use crate::extract::FromBody;
use crate::reply::SecretShown;
use crate::tenants::wire::NewOwner;
use crate::whoami::PrincipalShown;

/// A recovery that is to be asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRecovery {
    /// Why; the tenant reads it.
    #[schema(example = "The only owner has left the company; ticket 4711")]
    pub(crate) reason: Label,
}

impl FromBody for NewRecovery {}

/// Who is to be let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecoveryRedemption {
    /// The new owner: a user whom the tenant does not have yet.
    #[serde(deserialize_with = "crate::json::strict")]
    pub(crate) owner: NewOwner,
}

impl FromBody for RecoveryRedemption {}

/// The recovery of a tenant's owner.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recovery {
    /// Where it stands.
    state: RecoveryState,
    /// Why.
    reason: Label,
    /// The operator who asked for it.
    #[schema(value_type = String)]
    requested_by: UserId,
    /// When.
    requested_at: Timestamp,
    /// The other operator, who approved it.
    #[schema(value_type = Option<String>)]
    approved_by: Option<UserId>,
    /// When.
    approved_at: Option<Timestamp>,
    /// From when on the new owner can be invited: 72 hours after the approval.
    opens_at: Option<Timestamp>,
    /// When it ends by itself if nothing more is done; null for one that is over.
    ends_at: Option<Timestamp>,
    /// The operator who invited the new owner.
    #[schema(value_type = Option<String>)]
    invited_by: Option<UserId>,
    /// The new owner, a user of the tenant.
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    /// Who stopped it.
    stopped_by: Option<PrincipalShown>,
    /// When it was stopped, or the new owner came in.
    closed_at: Option<Timestamp>,
}

impl From<&Versioned<recovery::RecoveryView>> for Recovery {
    fn from(found: &Versioned<recovery::RecoveryView>) -> Self {
        let recovery::RecoveryView {
            state,
            reason,
            requested_by,
            requested_at,
            approved_by,
            approved_at,
            opens_at,
            ends_at,
            invited_by,
            user,
            stopped_by,
            closed_at,
        } = found.value.clone();
        Self {
            state,
            reason,
            requested_by,
            requested_at,
            approved_by,
            approved_at,
            opens_at,
            ends_at,
            invited_by,
            user,
            stopped_by: stopped_by.map(Into::into),
            closed_at,
        }
    }
}

/// A recovery whose new owner is invited.
#[derive(Serialize, ToSchema)]
pub(crate) struct RedeemedRecovery<'a> {
    #[serde(flatten)]
    recovery: Recovery,
    /// The new owner's invitation.
    invitation: SecretShown<'a>,
}

impl<'a> From<&'a recovery::RedeemedRecovery> for RedeemedRecovery<'a> {
    fn from(redeemed: &'a recovery::RedeemedRecovery) -> Self {
        Self {
            recovery: Recovery::from(&redeemed.recovery),
            invitation: (&redeemed.invitation).into(),
        }
    }
}

/// That the recovery of an owner is under way: a warning to everybody of the tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveryNotice {
    /// Where it stands.
    state: RecoveryState,
    /// From when on a new owner can be invited; null before the approval.
    opens_at: Option<Timestamp>,
}

impl From<recovery::RecoveryNotice> for RecoveryNotice {
    fn from(notice: recovery::RecoveryNotice) -> Self {
        Self { state: notice.state, opens_at: notice.opens_at }
    }
}
