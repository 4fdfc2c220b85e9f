//! Backends as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{BackendId, Label, Timestamp};
use strongroom_vault::{Versioned, backends};
use utoipa::ToSchema;

use crate::extract::{FromBody, Sent};
use crate::wire::Shown;

/// A backend that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBackend {
    /// Its name, which the tenants that admit it see.
    #[schema(example = "Shop software")]
    name: Label,
}

impl FromBody for NewBackend {}

impl From<Sent<NewBackend>> for backends::CreateBackend {
    fn from(sent: Sent<NewBackend>) -> Self {
        Self { name: sent.value.name, idempotency: sent.repeat }
    }
}

/// A new secret for a backend.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackendRotation {
    /// For how many seconds the old secret stays in force: 0, at once, to 604800, seven days.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 604_800, default = 0, required = false)]
    pub(crate) overlap_seconds: i64,
}

impl FromBody for BackendRotation {}

/// A backend.
#[derive(Serialize, ToSchema)]
pub(crate) struct Backend {
    #[schema(value_type = String)]
    id: BackendId,
    /// Its name.
    name: Label,
    /// When it was made.
    created_at: Timestamp,
    /// Whether it has been revoked.
    revoked: bool,
    /// The secrets in force.
    secrets: Vec<BackendSecret>,
    /// How many tenants admit it now.
    tenants: u64,
}

/// A secret of a backend; the secret itself is not kept.
#[derive(Serialize, ToSchema)]
pub(crate) struct BackendSecret {
    /// Its number under the backend, from 1.
    number: u32,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends; null for the newest.
    ends_at: Option<Timestamp>,
}

impl From<&Versioned<backends::BackendView>> for Backend {
    fn from(found: &Versioned<backends::BackendView>) -> Self {
        let backends::BackendView { id, name, created_at, revoked, secrets, tenants } =
            found.value.clone();
        let secrets = secrets.into_iter().map(|secret| BackendSecret {
            number: secret.number,
            created_at: secret.created_at,
            ends_at: secret.ends_at,
        });
        Self { id, name, created_at, revoked, secrets: secrets.collect(), tenants }
    }
}

/// A backend with a new secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedBackend<'a> {
    #[serde(flatten)]
    backend: Backend,
    /// Its token. It is shown this once and not kept.
    #[schema(value_type = String)]
    token: Shown<'a>,
}

impl<'a> From<&'a backends::CreatedBackend> for CreatedBackend<'a> {
    fn from(created: &'a backends::CreatedBackend) -> Self {
        Self { backend: Backend::from(&created.backend), token: Shown(&created.token.0) }
    }
}
