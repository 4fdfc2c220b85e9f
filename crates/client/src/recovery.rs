//! Recovery of a tenant's lost owner.

use serde::{Deserialize, Serialize};
use strongroom_model::{Email, Label, TenantId, UserId};

use crate::call::Call;
use crate::{Answer, Client, ClientError, IfMatch, Invitation, PrincipalShown};

/// The recovery of a tenant's owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recovery {
    /// Where it stands: `requested`, `waiting`, `ready`, `invited`, `finished`, `stopped` or `expired`.
    pub state: String,
    /// Why.
    pub reason: String,
    /// The operator who asked for it.
    pub requested_by: UserId,
    /// When, RFC 3339.
    pub requested_at: String,
    /// The other operator, who approved it.
    #[serde(default)]
    pub approved_by: Option<UserId>,
    /// When, RFC 3339.
    #[serde(default)]
    pub approved_at: Option<String>,
    /// From when on the new owner can be invited, RFC 3339.
    #[serde(default)]
    pub opens_at: Option<String>,
    /// When it ends by itself, RFC 3339; absent for one that is over.
    #[serde(default)]
    pub ends_at: Option<String>,
    /// The operator who invited the new owner.
    #[serde(default)]
    pub invited_by: Option<UserId>,
    /// The new owner.
    #[serde(default)]
    pub user: Option<UserId>,
    /// Who stopped it.
    #[serde(default)]
    pub stopped_by: Option<PrincipalShown>,
    /// When it was stopped, or the new owner came in, RFC 3339.
    #[serde(default)]
    pub closed_at: Option<String>,
}

/// What everybody of a tenant is told while a recovery is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecoveryNotice {
    /// Where it stands.
    pub state: String,
    /// From when on a new owner can be invited, RFC 3339; absent before the approval.
    #[serde(default)]
    pub opens_at: Option<String>,
}

/// The new owner of a tenant.
#[derive(Debug, Clone, Serialize)]
pub struct RecoveredOwner {
    /// Their name.
    pub name: Label,
    /// Their e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
}

/// A recovery whose new owner is invited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RedeemedRecovery {
    /// The recovery.
    #[serde(flatten)]
    pub recovery: Recovery,
    /// The new owner's invitation; shown this once.
    pub invitation: Invitation,
}

#[derive(Serialize)]
struct Asked<'r> {
    reason: &'r Label,
}

#[derive(Serialize)]
struct Redemption<'o> {
    owner: &'o RecoveredOwner,
}

impl Client {
    /// Asks for the recovery of a tenant's owner: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn start_recovery(
        &self,
        tenant: TenantId,
        reason: &Label,
    ) -> Result<Answer<Recovery>, ClientError> {
        Call::post(self, path(tenant))?.json(&Asked { reason })?.read().await
    }

    /// The last recovery of a tenant's owner.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn recovery(&self, tenant: TenantId) -> Result<Answer<Recovery>, ClientError> {
        Call::get(self, path(tenant)).read().await
    }

    /// Approves a recovery that another operator has asked for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn approve_recovery(
        &self,
        tenant: TenantId,
        version: IfMatch,
    ) -> Result<Answer<Recovery>, ClientError> {
        let path = format!("{}/approval", path(tenant));
        Call::ask(self, path).if_match(version).read().await
    }

    /// Invites the new owner, when the wait is over: for the two operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn redeem_recovery(
        &self,
        tenant: TenantId,
        owner: &RecoveredOwner,
    ) -> Result<Answer<RedeemedRecovery>, ClientError> {
        let path = format!("{}/redemption", path(tenant));
        Call::post(self, path)?.json(&Redemption { owner })?.read().await
    }

    /// Stops a recovery: for those of the tenant who may manage users, and for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stop_recovery(&self, tenant: TenantId) -> Result<Answer<()>, ClientError> {
        Call::delete(self, path(tenant)).done().await
    }

    /// A new invitation for the first owner of a tenant into which nobody has come: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn invite_owner_again(
        &self,
        tenant: TenantId,
    ) -> Result<Answer<Invitation>, ClientError> {
        Call::ask(self, format!("/v1/tenants/{tenant}/owner-invitation")).read().await
    }
}

fn path(tenant: TenantId) -> String {
    format!("/v1/tenants/{tenant}/recovery")
}
