//! Invitations as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{SessionId, TenantId, Timestamp, UserId};
use strongroom_vault::{Secret, invitations};
use utoipa::ToSchema;

use crate::extract::FromBody;
use crate::limits::PUBLIC_BYTES_MAX;
use crate::wire::{SentSecret, Shown};

/// An invitation that is to be redeemed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redemption {
    /// Its token.
    #[schema(value_type = String, example = "sri_…")]
    token: SentSecret,
}

impl FromBody for Redemption {
    const BYTES_MAX: usize = PUBLIC_BYTES_MAX;
}

impl Redemption {
    /// The invitation's token.
    pub(crate) fn token(&self) -> &str {
        self.token.text()
    }
}

/// What came of an invitation.
#[derive(Serialize, ToSchema)]
pub(crate) struct Redeemed<'a> {
    #[schema(value_type = String)]
    tenant: TenantId,
    #[schema(value_type = String)]
    user: UserId,
    /// The session.
    session: SessionShown<'a>,
}

/// A session, with its token.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionShown<'a> {
    #[schema(value_type = String)]
    id: SessionId,
    /// Its token. It is shown this once and not kept.
    #[schema(value_type = String)]
    token: Shown<'a>,
    /// When it ends at the latest.
    expires_at: Timestamp,
}

impl<'a> From<&'a invitations::Redeemed> for Redeemed<'a> {
    fn from(redeemed: &'a invitations::Redeemed) -> Self {
        let Secret { token, expires_at } = &redeemed.secret;
        let session =
            SessionShown { id: redeemed.session, token: Shown(token), expires_at: *expires_at };
        Self { tenant: redeemed.tenant, user: redeemed.user, session }
    }
}
