//! Jobs: long-running work, watched and stopped by whoever asked for it, by operators, and in a tenant by
//! holders of `manage_settings`.

use serde::{Deserialize, Serialize};
use strongroom_model::{BackupPlaceName, BlueprintName, CollectionName, JobId, TenantId};

use crate::call::Call;
use crate::{Answer, ClientError, Listed, Page, Scoped};

/// A long-running piece of work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub kind: String,
    /// The blueprint that tenants are given.
    #[serde(default)]
    pub blueprint: Option<JobBlueprint>,
    /// What is imported.
    #[serde(default)]
    pub import: Option<JobImport>,
    /// What is taken out.
    #[serde(default)]
    pub export: Option<JobExport>,
    /// Where the store is copied to.
    #[serde(default)]
    pub backup: Option<JobBackup>,
    /// Where it stands: `uploading`, `queued`, `running`, `done`, `cancelled`, `failed`.
    pub state: String,
    /// When it was asked for, RFC 3339.
    pub asked_at: String,
    /// When it began, RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(default)]
    pub ended_at: Option<String>,
    /// How far it has come.
    pub progress: JobProgress,
    /// How many items had which outcome.
    pub outcomes: JobOutcomes,
    /// Why it could not go on.
    #[serde(default)]
    pub problem: Option<String>,
}

impl Job {
    /// Whether nothing will be done any more.
    pub fn has_ended(&self) -> bool {
        !matches!(self.state.as_str(), "uploading" | "queued" | "running")
    }
}

/// The version that a job gives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobBlueprint {
    /// The name of the blueprint.
    pub name: BlueprintName,
    /// The number of the version.
    pub version: u32,
    /// How many tenants were named; absent where it is every one that has the blueprint.
    #[serde(default)]
    pub tenants: Option<u64>,
}

/// The import of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobImport {
    /// The collection whose records are made.
    pub collection: CollectionName,
    /// Whether everything is looked at and nothing is made.
    pub dry_run: bool,
    /// Parts of the file that are there.
    pub parts: u32,
}

/// What an export or an archive takes out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobExport {
    /// The collections.
    pub collections: Vec<CollectionName>,
    /// How they are written: `ndjson`, `csv` or `archive`.
    pub format: String,
    /// The number of the part that was taken last; absent for an archive.
    #[serde(default)]
    pub part: Option<u32>,
}

/// A backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobBackup {
    /// Where it goes, as the server's configuration calls it.
    pub place: BackupPlaceName,
    /// What it is called there.
    pub name: String,
    /// How many bytes are there.
    pub bytes: u64,
}

/// How far a job has come, in items.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct JobProgress {
    /// Items that are done.
    pub done: u64,
    /// Items in all, as far as they are known.
    pub total: u64,
}

/// How many items of a job had which outcome.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct JobOutcomes {
    /// They got all of it.
    pub applied: u64,
    /// They had it already.
    pub unchanged: u64,
    /// They got it but for what they have edited themselves.
    pub kept: u64,
    /// They are not there any more.
    pub skipped: u64,
    /// They got nothing of it.
    pub failed: u64,
    /// Rows of which a record was made, or would have been.
    #[serde(default)]
    pub created: u64,
    /// Rows whose external id was there.
    #[serde(default)]
    pub exists: u64,
    /// Rows that became no record.
    #[serde(default)]
    pub rejected: u64,
}

/// What became of one item of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobItem {
    /// The tenant that it is about.
    pub tenant: TenantId,
    /// How it ended: `applied`, `kept`, `skipped`, `failed`.
    pub outcome: String,
    /// What stays as the tenant has edited it.
    pub kept: Vec<String>,
    /// Why it failed.
    #[serde(default)]
    pub problem: Option<String>,
}

impl Scoped<'_> {
    /// The jobs: of the provider, or of a tenant those that the caller may see.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn jobs(&self, page: &Page) -> Result<Answer<Listed<Job>>, ClientError> {
        Call::get(self.client, self.path("jobs")).query(page.query()).read().await
    }

    /// One job.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn job(&self, job: JobId) -> Result<Answer<Job>, ClientError> {
        Call::get(self.client, self.path(&format!("jobs/{job}"))).read().await
    }

    /// What became of the items of a job of the provider: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn job_items(
        &self,
        job: JobId,
        page: &Page,
    ) -> Result<Answer<Listed<JobItem>>, ClientError> {
        let path = self.path(&format!("jobs/{job}/items"));
        Call::get(self.client, path).query(page.query()).read().await
    }

    /// Stops a job.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cancel_job(&self, job: JobId) -> Result<Answer<Job>, ClientError> {
        Call::ask(self.client, self.path(&format!("jobs/{job}/cancel"))).read().await
    }
}
