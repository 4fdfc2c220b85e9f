//! Invitations: one-time tokens that become a session.

use serde::{Deserialize, Serialize};
use strongroom_model::UserId;

use crate::call::Call;
use crate::{Answer, Client, ClientError, Scoped, Secret};

/// A one-time token for a person to begin with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invitation {
    /// The token; shown this once.
    pub token: Secret,
    /// When it ends, RFC 3339.
    pub expires_at: String,
}

/// What an invitation became.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Redeemed {
    /// The tenant that invited.
    pub tenant: String,
    /// Who was invited.
    pub user: UserId,
    /// The session that begins.
    pub session: SessionToken,
}

/// A session and its token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionToken {
    /// The session's id.
    pub id: String,
    /// The bearer token; shown this once.
    pub token: Secret,
    /// When it ends, RFC 3339.
    pub expires_at: String,
}

impl Client {
    /// Trades an invitation for a session. It works once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn redeem(&self, invitation: &Secret) -> Result<Answer<Redeemed>, ClientError> {
        #[derive(Serialize)]
        struct Body<'b> {
            token: &'b Secret,
        }
        let body = Body { token: invitation };
        Call::ask(self, "/v1/invitations/redeem".to_owned()).json(&body)?.read().await
    }
}

impl Scoped<'_> {
    /// A fresh invitation for a user.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn invite_again(&self, user: UserId) -> Result<Answer<Invitation>, ClientError> {
        Call::post(self.client, self.path(&format!("users/{user}/invitation")))?.read().await
    }
}
