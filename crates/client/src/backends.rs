//! Backends: the provider's software products, as its operators see them.

use serde::{Deserialize, Serialize};
use strongroom_model::{BackendId, Label};

use crate::call::Call;
use crate::{Answer, Client, ClientError, Listed, Page, Secret};

/// A software product of the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backend {
    /// Its id.
    pub id: BackendId,
    /// Its name.
    pub name: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Whether it has been revoked.
    pub revoked: bool,
    /// The secrets in force.
    pub secrets: Vec<BackendSecret>,
    /// How many tenants admit it now.
    pub tenants: u64,
}

/// A secret of a backend, without the secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackendSecret {
    /// Its number.
    pub number: u32,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it ends, RFC 3339; absent for the newest.
    #[serde(default)]
    pub ends_at: Option<String>,
}

/// A backend to be made.
#[derive(Debug, Clone, Serialize)]
pub struct NewBackend {
    /// Its name.
    pub name: Label,
}

/// A backend with a new secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewBackendAnswer {
    /// The backend.
    #[serde(flatten)]
    pub backend: Backend,
    /// The bearer token; shown this once.
    pub token: Secret,
}

#[derive(Serialize)]
struct Rotation {
    overlap_seconds: i64,
}

const PATH: &str = "/v1/provider/backends";

impl Client {
    /// Makes a backend: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_backend(
        &self,
        backend: &NewBackend,
    ) -> Result<Answer<NewBackendAnswer>, ClientError> {
        Call::post(self, PATH.to_owned())?.json(backend)?.read().await
    }

    /// The backends: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn backends(&self, page: &Page) -> Result<Answer<Listed<Backend>>, ClientError> {
        Call::get(self, PATH.to_owned()).query(page.query()).read().await
    }

    /// One backend: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn backend(&self, backend: BackendId) -> Result<Answer<Backend>, ClientError> {
        Call::get(self, format!("{PATH}/{backend}")).read().await
    }

    /// Gives a backend a new secret; the old one ends after so many seconds: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rotate_backend(
        &self,
        backend: BackendId,
        overlap_seconds: i64,
    ) -> Result<Answer<NewBackendAnswer>, ClientError> {
        let rotation = Rotation { overlap_seconds };
        Call::post(self, format!("{PATH}/{backend}/rotation"))?.json(&rotation)?.read().await
    }

    /// Revokes a backend everywhere: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_backend(&self, backend: BackendId) -> Result<Answer<()>, ClientError> {
        Call::delete(self, format!("{PATH}/{backend}")).done().await
    }
}
