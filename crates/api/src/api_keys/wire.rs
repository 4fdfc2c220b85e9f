//! API keys as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::{ActsAs, ClassName, KeyId, KeyLabel, Timestamp};
use strongroom_vault::{Versioned, api_keys};
use utoipa::ToSchema;

use crate::extract::{FromBody, Sent};
use crate::wire::Shown;

/// An API key that is to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    /// What it is called in lists.
    #[schema(example = "web_backend")]
    label: KeyLabel,
    /// The permission classes it is to have, by name; none wider than the caller's.
    #[schema(example = json!(["clerk"]))]
    classes: Vec<ClassName>,
    /// In whose name it is to act: `itself`, or `for_users`, which each request then names.
    #[serde(default = "itself")]
    #[schema(required = false)]
    acts: ActsAs,
    /// When it ends: at most a year from now.
    expires_at: Timestamp,
}

const fn itself() -> ActsAs {
    ActsAs::Itself
}

impl FromBody for NewApiKey {}

impl From<Sent<NewApiKey>> for api_keys::CreateApiKey {
    fn from(sent: Sent<NewApiKey>) -> Self {
        let NewApiKey { label, classes, acts, expires_at } = sent.value;
        Self { label, classes, acts, expires_at, idempotency: sent.repeat }
    }
}

/// An API key.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKey {
    #[schema(value_type = String)]
    id: KeyId,
    /// What it is called in lists.
    label: KeyLabel,
    /// Its permission classes, by name.
    classes: Vec<ClassName>,
    /// In whose name it acts.
    acts: ActsAs,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends.
    expires_at: Timestamp,
    /// Whether it has been revoked.
    revoked: bool,
}

impl From<&Versioned<api_keys::ApiKeyView>> for ApiKey {
    fn from(found: &Versioned<api_keys::ApiKeyView>) -> Self {
        let api_keys::ApiKeyView { key, classes } = found.value.clone();
        Self {
            id: key.id,
            acts: key.acts(),
            label: key.label,
            classes,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked: key.revoked,
        }
    }
}

/// An API key that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedApiKey<'a> {
    #[serde(flatten)]
    key: ApiKey,
    /// Its token. It is shown this once and not kept.
    #[schema(value_type = String)]
    token: Shown<'a>,
}

impl<'a> From<&'a api_keys::CreatedApiKey> for CreatedApiKey<'a> {
    fn from(created: &'a api_keys::CreatedApiKey) -> Self {
        Self { key: ApiKey::from(&created.key), token: Shown(&created.secret.token) }
    }
}
