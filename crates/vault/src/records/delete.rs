//! Somebody deletes a record: it is hidden at once, and its key dies in the next batch.

use strongroom_access_policy::{AccessRequest, Facts, RecordFacts, SubjectFacts, decide};
use strongroom_model::{Action, AuditObject, CollectionName, ErasureGround, RecordId};
use strongroom_storage::LinePlaced;

use crate::erasures::{Fence, RecordTarget};
use crate::snapshot::{Snapshot, attempt};
use crate::trail::Attempted;
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
    vault.decoded.forget(ctx.tenant());
    vault.admission.drain().await;
    vault.erase_soon.notify_one();
    Ok(Answer { value: (), lines })
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &DeleteRecord,
) -> Result<Vec<LinePlaced>, VaultError> {
    let tenant = ctx.tenant();
    let _ticket = vault.admission.enter();
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let mut attempted = Attempted {
        principal: who.principal,
        action: Action::Delete,
        code: "record.delete",
        object: AuditObject::Tenant(tenant),
    };
    let Some(collection) = snapshot.collection(tenant, &wanted.collection).await? else {
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    attempted.object = AuditObject::Record(collection.number, wanted.record);
    let Some(found) = snapshot.record(ctx, &collection, wanted.record).await? else {
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    let key = vault.record_key(tenant, &collection, found.sealed.place).await?;
    let opened = vault.open_head(&key, tenant, &collection, wanted.record, &found.sealed)?;
    let decision = {
        let held = who.held();
        let facts = Facts {
            tenant: who.tenant.state,
            collection: Some(&collection.value),
            record: Some(RecordFacts {
                id: wanted.record,
                head: &opened.head,
                subject: SubjectFacts::from(&*found.subject.value),
            }),
            ..Facts::of(who.actor(&held))
        };
        let request = AccessRequest {
            purpose: ctx.about().purpose.as_ref(),
            address: ctx.about().address,
            ..AccessRequest::new(Action::Delete)
        };
        decide(&facts, &request, vault.now())
    };
    let granted = match decision {
        Ok(permit) => permit.spend(),
        Err(refusal) => return vault.refuse(ctx, snapshot, attempted, refusal).await,
    };
    match wanted.expected {
        Expected::Missing | Expected::Any => {}
        Expected::Version(_) => wanted.expected.check(found.sealed.version)?,
    }
    let target = RecordTarget {
        collection: &collection,
        record: wanted.record,
        subject: &found.subject,
        place: found.sealed.place,
        external_id: opened.head.external_id.clone(),
    };
    let mut fence = Fence::new(vault, tenant);
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
