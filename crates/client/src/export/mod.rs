//! Exports: the records of a collection are written to a file, part by part. One that broke off can be
//! gone on with. `docs/export.md` describes the files.

mod assignees;
mod job;
mod references;
mod run;
mod verify;

use strongroom_model::CollectionName;

pub use job::NewExportJob;
pub(crate) use references::{external_ids, ids, target};
pub use run::{Export, ExportError, ExportSummary, export};
pub use strongroom_tables::ExportedRecord;
pub use verify::{Verified, verify};

use crate::call::Call;
use crate::import::Format;
use crate::{Answer, ClientError, Page, Scoped, Shown};

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
