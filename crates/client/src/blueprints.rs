//! Blueprints: what tenants begin with, in versions, as operators store and apply them.

use serde::{Deserialize, Serialize};
use strongroom_model::{BlueprintContent, BlueprintId, BlueprintName, TenantId};

use crate::call::Call;
use crate::{Answer, Client, ClientError, Job, Listed, Page};

/// What tenants begin with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Blueprint {
    /// Its id.
    pub id: BlueprintId,
    /// Its name.
    pub name: BlueprintName,
    /// The number of its newest version.
    pub newest: u32,
    /// When its first version was stored, RFC 3339.
    pub created_at: String,
    /// When its newest version was stored, RFC 3339.
    pub changed_at: String,
    /// How many tenants have which version; left out in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<TenantsAt>,
}

/// How many tenants have a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TenantsAt {
    /// The version's number.
    pub version: u32,
    /// How many tenants.
    pub tenants: u64,
}

/// A version of a blueprint, without what it holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlueprintVersionSummary {
    /// Its number.
    pub version: u32,
    /// When it was stored, RFC 3339.
    pub stored_at: String,
    /// How many collections it gives.
    pub collections: u64,
    /// How many classes it gives.
    pub classes: u64,
}

/// A version of a blueprint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlueprintVersion {
    /// The name of the blueprint.
    pub name: BlueprintName,
    /// Its number.
    pub version: u32,
    /// When it was stored, RFC 3339.
    pub stored_at: String,
    /// What it holds.
    pub content: BlueprintContent,
}

/// A version that was stored, or was there already.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredBlueprint {
    /// The name of the blueprint.
    pub name: BlueprintName,
    /// The number of the version.
    pub version: u32,
    /// Whether it is a new one.
    pub new: bool,
    /// When it was stored, RFC 3339.
    pub stored_at: String,
    /// What it has that the version before had not.
    pub changes: Vec<BlueprintChange>,
}

/// What storing a content would change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlueprintDiff {
    /// The number of the newest version; absent where there is no such blueprint.
    #[serde(default)]
    pub newest: Option<u32>,
    /// What the content has that the newest version has not.
    pub changes: Vec<BlueprintChange>,
}

/// A difference between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlueprintChange {
    /// Where: the names of the parts.
    pub place: String,
    /// What.
    pub what: String,
}

/// Which tenants are to be given which version.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BlueprintApplication {
    /// The number of the version; absent: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The tenants; absent: every one that has the blueprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<TenantId>>,
}

const PATH: &str = "/v1/provider/blueprints";

impl Client {
    /// Stores a version, or finds that it is there already: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_blueprint(
        &self,
        name: &BlueprintName,
        content: &BlueprintContent,
    ) -> Result<Answer<StoredBlueprint>, ClientError> {
        Call::put(self, format!("{PATH}/{name}")).json(content)?.read().await
    }

    /// What storing this would change: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn diff_blueprint(
        &self,
        name: &BlueprintName,
        content: &BlueprintContent,
    ) -> Result<Answer<BlueprintDiff>, ClientError> {
        Call::ask(self, format!("{PATH}/{name}/diff")).json(content)?.read().await
    }

    /// Has tenants given a version: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn apply_blueprint(
        &self,
        name: &BlueprintName,
        application: &BlueprintApplication,
    ) -> Result<Answer<Job>, ClientError> {
        Call::post(self, format!("{PATH}/{name}/apply"))?.json(application)?.read().await
    }

    /// The blueprints: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blueprints(&self, page: &Page) -> Result<Answer<Listed<Blueprint>>, ClientError> {
        Call::get(self, PATH.to_owned()).query(page.query()).read().await
    }

    /// One blueprint, with the number of tenants at each of its versions: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blueprint(&self, name: &BlueprintName) -> Result<Answer<Blueprint>, ClientError> {
        Call::get(self, format!("{PATH}/{name}")).read().await
    }

    /// The versions of a blueprint: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blueprint_versions(
        &self,
        name: &BlueprintName,
        page: &Page,
    ) -> Result<Answer<Listed<BlueprintVersionSummary>>, ClientError> {
        Call::get(self, format!("{PATH}/{name}/versions")).query(page.query()).read().await
    }

    /// One version of a blueprint: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blueprint_version(
        &self,
        name: &BlueprintName,
        version: u32,
    ) -> Result<Answer<BlueprintVersion>, ClientError> {
        Call::get(self, format!("{PATH}/{name}/versions/{version}")).read().await
    }
}
