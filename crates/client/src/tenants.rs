//! Tenants: the provider's clients.

use serde::{Deserialize, Serialize};
use strongroom_model::{BlueprintName, Email, Label, TenantId};

use crate::call::Call;
use crate::{Answer, Client, ClientError, Invitation, Listed, Page, RecoveryNotice};

/// A client of the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// Where it stands: `invited`, `active`, `suspended` and so on.
    pub state: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// What it was made from, in the version that it was given last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blueprint: Option<TenantBlueprint>,
    /// That the recovery of an owner is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryNotice>,
}

/// The blueprint of a tenant, and the version that it was given last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantBlueprint {
    /// Its name.
    pub name: BlueprintName,
    /// The number of the version.
    pub version: u32,
}

/// A tenant to be made.
#[derive(Debug, Clone, Serialize)]
pub struct NewTenant {
    /// Its name.
    pub name: Label,
    /// Who gets the owner's invitation.
    pub owner: NewOwner,
    /// The blueprint that it is made from; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blueprint: Option<BlueprintName>,
}

/// The first owner of a tenant.
#[derive(Debug, Clone, Serialize)]
pub struct NewOwner {
    /// The owner's name.
    pub name: Label,
    /// The owner's e-mail address.
    pub email: Email,
}

/// A tenant that was made, with the owner's invitation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewTenantAnswer {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// The owner's invitation; shown this once.
    pub invitation: Invitation,
}

impl Client {
    /// Makes a tenant: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_tenant(
        &self,
        tenant: &NewTenant,
    ) -> Result<Answer<NewTenantAnswer>, ClientError> {
        Call::post(self, "/v1/tenants".to_owned())?.json(tenant)?.read().await
    }

    /// The tenants: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tenants(&self, page: &Page) -> Result<Answer<Listed<Tenant>>, ClientError> {
        Call::get(self, "/v1/tenants".to_owned()).query(page.query()).read().await
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tenant(&self, tenant: TenantId) -> Result<Answer<Tenant>, ClientError> {
        Call::get(self, format!("/v1/tenants/{tenant}")).read().await
    }
}
