//! API keys: credentials of a tenant for machines.

use serde::{Deserialize, Serialize};
use strongroom_model::{ActsAs, ClassName, KeyId, KeyLabel, Timestamp};

use crate::call::Call;
use crate::{Answer, ClientError, Listed, Page, Scoped, Secret};

/// A credential for a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// What it is called in lists.
    pub label: String,
    /// The names of its classes.
    pub classes: Vec<String>,
    /// In whose name it acts: `itself` or `for_users`.
    #[serde(default)]
    pub acts: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it ends, RFC 3339.
    pub expires_at: String,
    /// Whether it has been revoked.
    pub revoked: bool,
}

/// A key to be made.
#[derive(Debug, Clone, Serialize)]
pub struct NewApiKey {
    /// What it is to be called.
    pub label: KeyLabel,
    /// Its classes, each one that its maker has.
    pub classes: Vec<ClassName>,
    /// In whose name it is to act.
    pub acts: ActsAs,
    /// When it is to end.
    pub expires_at: Timestamp,
}

/// A key that was made, with its token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewApiKeyAnswer {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKey,
    /// The bearer token; shown this once.
    pub token: Secret,
}

impl Scoped<'_> {
    /// Makes a key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_api_key(
        &self,
        key: &NewApiKey,
    ) -> Result<Answer<NewApiKeyAnswer>, ClientError> {
        Call::post(self.client, self.path("api-keys"))?.json(key)?.read().await
    }

    /// The keys.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn api_keys(&self, page: &Page) -> Result<Answer<Listed<ApiKey>>, ClientError> {
        Call::get(self.client, self.path("api-keys")).query(page.query()).read().await
    }

    /// One key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn api_key(&self, key: KeyId) -> Result<Answer<ApiKey>, ClientError> {
        Call::get(self.client, self.path(&format!("api-keys/{key}"))).read().await
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_api_key(&self, key: KeyId) -> Result<Answer<()>, ClientError> {
        Call::delete(self.client, self.path(&format!("api-keys/{key}"))).done().await
    }
}
