//! Somebody creates the record of an external id, or changes it if it is there.

use crate::records::change::{ChangeRecord, change};
use crate::records::create::{CreateRecord, create};
use crate::records::lookup::find;
use crate::records::view::RecordView;
use crate::{Answer, Expected, TenantCtx, Vault, VaultError};

/// What became of it.
#[derive(Debug)]
pub enum Upserted {
    /// The record was created.
    Created(RecordView),
    /// The record was there and has been changed.
    Changed(RecordView),
}

/// Creates a record, or changes the one that has its external id: fields that are sent replace
/// those that are there, the others stay.
///
/// # Errors
/// [`VaultError::Invalid`] without an external id; else as for [`create`] and [`change`].
pub async fn upsert(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: CreateRecord,
) -> Result<Answer<Upserted>, VaultError> {
    let external_id = wanted.record.external_id.clone();
    let external_id = external_id
        .ok_or_else(|| VaultError::invalid("/external_id", "an upsert needs an external id"))?;
    if find(vault, ctx, &wanted.collection, &external_id).await?.is_none() {
        match create(vault, ctx, &wanted).await {
            // Somebody else created it meanwhile.
            Err(VaultError::WrongState { code: "external_id_taken", .. }) => {}
            created => {
                return created.map(|made| Answer {
                    value: Upserted::Created(made.value),
                    lines: made.lines,
                });
            }
        }
    }
    let record =
        find(vault, ctx, &wanted.collection, &external_id).await?.ok_or(VaultError::Conflict)?;
    let wanted = ChangeRecord {
        collection: wanted.collection,
        record,
        expected: Expected::Any,
        fields: wanted.record.fields,
        assignees: (!wanted.record.assignees.is_empty()).then_some(wanted.record.assignees),
        correction: false,
    };
    let changed = change(vault, ctx, wanted).await?;
    Ok(Answer { value: Upserted::Changed(changed.value), lines: changed.lines })
}
