//! Exports as jobs of the server: asked for, and taken part by part.

use serde::Serialize;
use strongroom_model::{CollectionName, FieldName, JobId};

use crate::call::{Call, idempotency_key};
use crate::{Answer, ClientError, Job, Scoped};

/// An export that is asked for.
#[derive(Debug, Clone, Serialize)]
pub struct NewExportJob {
    /// The collection.
    pub collection: CollectionName,
    /// How its parts are written: `ndjson` or `csv`.
    pub format: &'static str,
    /// Only these fields; absent: all that the caller may see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<FieldName>>,
    /// Revealable fields that are to come in the clear.
    pub reveal: Vec<FieldName>,
    /// Most records of a part, at most 1,000.
    pub part_records: u32,
}

impl Scoped<'_> {
    /// Asks for an export.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begin_export(&self, wanted: &NewExportJob) -> Result<Answer<Job>, ClientError> {
        let key = idempotency_key(self.client.rng())?;
        Call::post_with_key(self.client, self.path("exports"), &key)?.json(wanted)?.read().await
    }

    /// A part of an export as it is written, and the number of the next one; the last one that was taken
    /// may be taken again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn export_part(
        &self,
        job: JobId,
        number: u32,
    ) -> Result<Answer<(Vec<u8>, Option<String>)>, ClientError> {
        Call::get(self.client, self.path(&format!("jobs/{job}/parts/{number}"))).page().await
    }
}
