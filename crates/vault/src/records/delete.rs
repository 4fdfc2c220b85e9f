//! Somebody deletes a record: it is hidden at once, and its key dies in the next batch.

use strongroom_model::{Action, CollectionName, ErasureGround, RecordId};
use strongroom_storage::LinePlaced;

use crate::erasures::{Fence, RecordTarget};
use crate::records::known::{Asked, KnownRecord, record_facts};
use crate::snapshot::attempt;
use crate::{Answer, Expected, TenantCtx, Vault, VaultError};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct DeleteRecord {
    /// The collection.
    pub collection: CollectionName,
    /// The record.
    pub record: RecordId,
    /// The version that is to be deleted; whichever is there, if the request names none.
    pub expected: Expected,
}

/// Deletes a record.
///
/// # Errors
/// [`VaultError::NotFound`]; [`VaultError::Refused`]; [`VaultError::VersionStale`]; `held`.
pub async fn delete(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: DeleteRecord,
) -> Result<Answer<()>, VaultError> {
    let lines = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.forget_opened(ctx.tenant());
    vault.admission.drain().await;
    vault.work_soon.notify_one();
    Ok(Answer { value: (), lines })
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &DeleteRecord,
) -> Result<Vec<LinePlaced>, VaultError> {
    let _ticket = vault.admission.enter();
    let known =
        vault.know(ctx, &wanted.collection, wanted.record, Action::Delete, "record.delete").await?;
    let KnownRecord { mut snapshot, who, collection, subject, sealed, key, attempted } = known;
    let opened = vault.open_head(&key, ctx.tenant(), &collection, wanted.record, &sealed)?;
    let facts = record_facts(wanted.record, &opened.head, &subject);
    let decision =
        vault.decide_on_record(ctx, &who, &collection, facts, Action::Delete, Asked::default());
    let granted = match decision {
        Ok(permit) => permit.spend(),
        Err(refusal) => return vault.refuse(ctx, snapshot, attempted, refusal).await,
    };
    match wanted.expected {
        Expected::Missing | Expected::Any => {}
        Expected::Version(_) => wanted.expected.check(sealed.version)?,
    }
    let target = RecordTarget {
        collection: &collection,
        record: wanted.record,
        subject: &subject,
        place: sealed.place,
        external_id: opened.head.external_id.clone(),
        files: opened.head.files.clone(),
    };
    let mut fence = Fence::new(vault, ctx.tenant());
    fence.record(&mut snapshot, target).await?;
    let event = attempted.allowed(&granted, Vec::new());
    let erasure = fence.erasure_of_record(
        collection.number,
        wanted.record,
        ErasureGround::NoLongerNeeded,
        who.principal,
    );
    fence.close(ctx, snapshot, erasure, event).await.map(|(lines, _)| lines)
}
