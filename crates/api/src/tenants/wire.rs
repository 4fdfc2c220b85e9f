//! Tenants as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{BlueprintName, Email, Label, TenantId, TenantState, Timestamp};
use strongroom_vault::{Versioned, tenants};
use utoipa::ToSchema;

use crate::extract::{FromBody, Sent};
use crate::recovery::wire::RecoveryNotice;
use crate::reply::SecretShown;

/// A tenant that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// Its name.
    #[schema(example = "Sample Ltd")]
    name: Label,
    /// Who is to be its first owner.
    #[serde(deserialize_with = "crate::json::strict")]
    owner: NewOwner,
    /// The blueprint that it is made from, in its newest version. If absent: no collections, and a
    /// class of each of the server's templates.
    #[serde(default)]
    #[schema(example = "clinic")]
    blueprint: Option<BlueprintName>,
}

/// The person who is to be an owner of a tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOwner {
    /// Their name.
    #[schema(example = "Olive Owner")]
    name: Label,
    /// Their e-mail address.
    #[serde(default)]
    email: Option<Email>,
}

impl From<NewOwner> for tenants::Owner {
    fn from(sent: NewOwner) -> Self {
        Self { name: sent.name, email: sent.email }
    }
}

impl FromBody for NewTenant {}

impl From<Sent<NewTenant>> for tenants::CreateTenant {
    fn from(sent: Sent<NewTenant>) -> Self {
        let NewTenant { name, owner, blueprint } = sent.value;
        Self { name, owner: owner.into(), blueprint, idempotency: sent.repeat }
    }
}

/// A tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tenant {
    #[schema(value_type = String)]
    id: TenantId,
    /// Its name.
    name: Label,
    /// Where it stands.
    state: TenantState,
    /// When it was made.
    created_at: Timestamp,
    /// What it was made from; null where it was made from no blueprint.
    blueprint: Option<TenantBlueprint>,
    /// That the recovery of an owner is under way; absent in lists, and where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    recovery: Option<RecoveryNotice>,
}

/// The blueprint of a tenant, and the version that it was given last.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantBlueprint {
    /// Its name.
    name: BlueprintName,
    /// The number of the version.
    version: u32,
}

impl From<&Versioned<tenants::TenantView>> for Tenant {
    fn from(found: &Versioned<tenants::TenantView>) -> Self {
        let tenants::TenantView { tenant, recovery } = &found.value;
        Self { recovery: recovery.map(Into::into), ..Self::from(tenant) }
    }
}

impl From<&Versioned<strongroom_model::Tenant>> for Tenant {
    fn from(found: &Versioned<strongroom_model::Tenant>) -> Self {
        Self::from(&found.value)
    }
}

impl From<&strongroom_model::Tenant> for Tenant {
    fn from(tenant: &strongroom_model::Tenant) -> Self {
        Self {
            id: tenant.id,
            name: tenant.name.clone(),
            state: tenant.state,
            created_at: tenant.created_at,
            blueprint: tenant
                .blueprint
                .as_ref()
                .map(|given| TenantBlueprint { name: given.name.clone(), version: given.version }),
            recovery: None,
        }
    }
}

/// A tenant that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedTenant<'a> {
    #[serde(flatten)]
    tenant: Tenant,
    /// The invitation of its first owner.
    invitation: SecretShown<'a>,
}

impl<'a> From<&'a tenants::CreatedTenant> for CreatedTenant<'a> {
    fn from(created: &'a tenants::CreatedTenant) -> Self {
        Self { tenant: Tenant::from(&created.tenant), invitation: (&created.invitation).into() }
    }
}
