//! Exports: the records of a collection are written to a file, page by page. One that broke off can be
//! gone on with. `docs/export.md` describes the files.

mod references;
mod run;
mod verify;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_model::{CollectionName, RecordId};

pub(crate) use references::{external_ids, ids, target};
pub use run::{Export, ExportError, ExportSummary, export};
pub use verify::{Verified, verify};

use crate::call::Call;
use crate::import::Format;
use crate::{Answer, ClientError, Page, Scoped, Shown};

/// A record as an NDJSON export has it, one a line.
#[derive(Clone, Serialize, Deserialize)]
pub struct ExportedRecord {
    /// Its id.
    pub id: RecordId,
    /// Its collection.
    pub collection: CollectionName,
    /// The id that the SaaS product has for it.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Whom it is about.
    #[serde(default)]
    pub subject: Option<String>,
    /// The id that the SaaS product has for that person.
    #[serde(default)]
    pub subject_external_id: Option<String>,
    /// Who gave the data.
    #[serde(default)]
    pub source: Option<String>,
    /// When it was collected, RFC 3339.
    pub collected_at: String,
    /// The version of the notice that was in force then.
    #[serde(default)]
    pub notice: Option<u32>,
    /// For what it may be used.
    pub purposes: Vec<String>,
    /// Its version.
    pub version: u64,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// When it was last changed, RFC 3339.
    pub changed_at: String,
    /// To whom it is assigned.
    #[serde(default)]
    pub assignees: Vec<String>,
    /// The values that the caller sees in the clear.
    pub fields: Map<String, Value>,
    /// What masks leave of others.
    #[serde(default)]
    pub masked: Map<String, Value>,
}

impl Scoped<'_> {
    /// A page of an export as it is written, and the cursor of the page that follows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn export_page(
        &self,
        collection: &CollectionName,
        format: Format,
        shown: &Shown,
        page: &Page,
    ) -> Result<Answer<(Vec<u8>, Option<String>)>, ClientError> {
        let path = self.path(&format!("collections/{collection}/records:export"));
        let format = match format {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        };
        let call = Call::get(self.client, path).query(vec![("format", format.to_owned())]);
        call.query(shown.query()).query(page.query()).page().await
    }
}
