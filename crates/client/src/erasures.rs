//! Erasures: asked for, under way, done.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_model::{CollectionName, ErasureGround, ErasureId, RecordId, SubjectId, TenantId};

use crate::call::Call;
use crate::{Answer, ClientError, Listed, Page, Scoped};

/// What is to be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureTarget {
    /// One record.
    Record {
        /// Its collection.
        collection: CollectionName,
        /// Its id.
        id: RecordId,
    },
    /// A person, with all their records.
    Subject(SubjectId),
    /// A collection, with all its records.
    Collection(CollectionName),
    /// All data of a tenant.
    Tenant(TenantId),
}

/// An erasure to be carried out.
#[derive(Debug, Clone, Serialize)]
pub struct NewErasure {
    /// What is to be erased.
    pub target: ErasureTarget,
    /// Why.
    pub ground: ErasureGround,
}

/// An erasure and how far it has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// What is erased.
    pub target: Value,
    /// Why.
    pub ground: String,
    /// Where it stands: `pending`, `erasing`, `partial`, `erased`.
    pub state: String,
    /// When it was asked for, RFC 3339.
    pub requested_at: String,
    /// When access was closed, RFC 3339.
    #[serde(default)]
    pub closed_at: Option<String>,
    /// When the keys were gone, RFC 3339.
    #[serde(default)]
    pub erased_at: Option<String>,
    /// Its receipt.
    #[serde(default)]
    pub receipt: Option<String>,
    /// What stays, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained: Vec<Retained>,
}

/// What an erasure would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forecast {
    /// How many records and other things would be erased.
    pub would_erase: serde_json::Map<String, Value>,
    /// What would stay, and why.
    #[serde(default)]
    pub retained: Vec<Retained>,
}

/// A record that an erasure leaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Retained {
    /// The record.
    pub record: String,
    /// Why it stays.
    pub ground: String,
    /// Until when, RFC 3339, if that is known.
    #[serde(default)]
    pub until: Option<String>,
}

impl Scoped<'_> {
    /// What an erasure would do; nothing is changed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn foresee_erasure(
        &self,
        erasure: &NewErasure,
    ) -> Result<Answer<Forecast>, ClientError> {
        #[derive(Serialize)]
        struct Body<'b> {
            #[serde(flatten)]
            erasure: &'b NewErasure,
            dry_run: bool,
        }
        let body = Body { erasure, dry_run: true };
        Call::ask(self.client, self.path("erasures")).json(&body)?.read().await
    }

    /// Erases. There is no way back.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn erase(&self, erasure: &NewErasure) -> Result<Answer<Erasure>, ClientError> {
        Call::post(self.client, self.path("erasures"))?.json(erasure)?.read().await
    }

    /// The erasures.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn erasures(&self, page: &Page) -> Result<Answer<Listed<Erasure>>, ClientError> {
        Call::get(self.client, self.path("erasures")).query(page.query()).read().await
    }

    /// One erasure.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn erasure(&self, erasure: ErasureId) -> Result<Answer<Erasure>, ClientError> {
        Call::get(self.client, self.path(&format!("erasures/{erasure}"))).read().await
    }
}
