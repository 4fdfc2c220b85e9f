//! Somebody takes the records of a collection out, page by page.

use strongroom_model::{Action, Collection, ExternalId, FieldName, Label, Purpose, Timestamp};

use crate::records::list::{ListRecords, Listing, Walk, page};
use crate::records::view::{RecordView, Wanted};
use crate::{Answer, Listed, TenantCtx, Vault, VaultError};

/// A record as it is taken out: what the caller sees of it, and where it comes from.
pub struct Exported {
    /// What the caller sees of it.
    pub view: RecordView,
    /// The id that the SaaS product has for the person whom it is about.
    pub subject_external_id: Option<ExternalId>,
    /// Who gave the data.
    pub source: Option<Label>,
    /// When it was collected.
    pub collected_at: Timestamp,
    /// The version of the notice that was in force then.
    pub notice: Option<u32>,
    /// For what it may be used.
    pub purposes: Vec<Purpose>,
}

impl Exported {
    pub(crate) fn of(view: RecordView, known: &Listing<'_>) -> Self {
        Self {
            view,
            subject_external_id: known.subject.external_id.clone(),
            source: known.head.source.clone(),
            collected_at: known.head.collected_at,
            notice: known.head.notice,
            purposes: known.head.purposes.clone(),
        }
    }
}

/// What the lines of pages that are taken out are called.
pub(crate) const EXPORT: &str = "record.export";

/// A page of an export.
pub struct ExportPage {
    /// The names of the fields that records may have here, in the order of their numbers.
    pub columns: Vec<FieldName>,
    /// The records.
    pub records: Listed<Exported>,
}

/// Takes a page of records out in the order in which they were created. Each page is decided on and
/// put on record by itself, with a touch for each record, before anything of it leaves: what is
/// revoked while somebody takes out a collection is not used for its next page.
///
/// # Errors
/// [`VaultError::Refused`] without `export`; [`VaultError::NotFound`] for a collection that is not
/// there; [`VaultError::Invalid`] for more than 1,000 records at once.
pub async fn export(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ListRecords,
) -> Result<Answer<ExportPage>, VaultError> {
    let walk = Walk { action: Action::Export, code: EXPORT, show: Exported::of };
    let Answer { value, lines } = page(vault, ctx, &wanted, &walk).await?;
    let columns = wanted_columns(&value.collection, &wanted.wanted);
    Ok(Answer { value: ExportPage { columns, records: value.records }, lines })
}

fn wanted_columns(collection: &Collection, wanted: &Wanted) -> Vec<FieldName> {
    let mut columns = columns(collection);
    if let Some(names) = &wanted.fields {
        columns.retain(|name| names.contains(name));
    }
    columns
}

/// The names of the fields that are not retired, in the order of their numbers.
pub(crate) fn columns(collection: &Collection) -> Vec<FieldName> {
    let mut fields: Vec<_> = collection.fields.iter().filter(|field| !field.retired).collect();
    fields.sort_unstable_by_key(|field| field.number);
    fields.into_iter().map(|field| field.name.clone()).collect()
}
