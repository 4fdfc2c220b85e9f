//! Admissions: how far a tenant lets a backend of the provider go.

use serde::{Deserialize, Serialize};
use strongroom_model::{ActsAs, BackendId, ClassName, Purpose, Timestamp};

use crate::call::Call;
use crate::{Answer, ClientError, IfMatch, Listed, Page, Scoped};

/// How far a tenant lets a backend go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Admission {
    /// The backend.
    pub backend: BackendId,
    /// What the provider calls it.
    #[serde(default)]
    pub name: Option<String>,
    /// `admitted`, `revoked`, `ended` or `backend_revoked`.
    pub state: String,
    /// The names of the classes that bound it.
    pub classes: Vec<String>,
    /// The purposes that bound it; empty: those of the classes.
    pub purposes: Vec<String>,
    /// In whose name it may act: `for_users` or `itself`.
    pub acts: String,
    /// About how many persons it may read in an hour.
    pub subjects_per_hour: u32,
    /// When the admission ends by itself, RFC 3339.
    #[serde(default)]
    pub until: Option<String>,
    /// When it was first admitted, RFC 3339.
    pub admitted_at: String,
    /// When the bounds were changed last, RFC 3339.
    pub changed_at: String,
    /// When it last ran into the bound on persons, RFC 3339.
    #[serde(default)]
    pub last_limited_at: Option<String>,
}

/// How far a backend is to go.
#[derive(Debug, Clone, Serialize)]
pub struct AdmissionBounds {
    /// Only what these classes allow.
    pub classes: Vec<ClassName>,
    /// Only for these purposes; empty: those of the classes.
    pub purposes: Vec<Purpose>,
    /// In whose name it may act.
    pub acts: ActsAs,
    /// About how many persons it may read in an hour.
    pub subjects_per_hour: u32,
    /// When the admission is to end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Scoped<'_> {
    /// The tenant's admissions.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn admissions(&self, page: &Page) -> Result<Answer<Listed<Admission>>, ClientError> {
        Call::get(self.client, self.path("backends")).query(page.query()).read().await
    }

    /// The admission of one backend.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn admission(&self, backend: BackendId) -> Result<Answer<Admission>, ClientError> {
        Call::get(self.client, self.path(&format!("backends/{backend}"))).read().await
    }

    /// Admits a backend, or changes how far it may go; a first admission names no version.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn admit_backend(
        &self,
        backend: BackendId,
        bounds: &AdmissionBounds,
        version: Option<IfMatch>,
    ) -> Result<Answer<Admission>, ClientError> {
        let mut call = Call::put(self.client, self.path(&format!("backends/{backend}")));
        if let Some(version) = version {
            call = call.if_match(version);
        }
        call.json(bounds)?.read().await
    }

    /// Revokes the admission of a backend at once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke_admission(&self, backend: BackendId) -> Result<Answer<()>, ClientError> {
        Call::delete(self.client, self.path(&format!("backends/{backend}"))).done().await
    }
}
