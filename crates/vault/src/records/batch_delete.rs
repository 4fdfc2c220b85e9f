//! Somebody deletes up to 100 records of a collection at once: they are hidden at once, and their keys
//! die in the next batch of erasures.

use strongroom_model::{Action, CollectionName, ErasureGround, RecordId, SubjectHead, Touch};

use crate::erasures::{Fence, RecordTarget, refuse_held};
use crate::records::SealedRecord;
use crate::records::batch::{
    Beginning, Changes, Item, NamedRecord, Outcomes, Shared, Written, check_count, of_item,
};
use crate::records::codec::Opened;
use crate::records::known::{Asked, record_facts};
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::{Answer, Expected, Idempotency, TenantCtx, Vault, VaultError};

/// What is wanted.
#[derive(Debug)]
pub struct BatchDelete {
    /// The collection.
    pub collection: CollectionName,
    /// The records, each with the version that is to be deleted; whichever is there, where an item
    /// names none.
    pub items: Vec<(NamedRecord, Expected)>,
    /// Whether all of them are to be deleted or none.
    pub atomic: bool,
    /// So that a repeated batch is carried out once.
    pub idempotency: Option<Idempotency>,
}

/// Deletes records in one commit: those that can be, or, if the batch is atomic, all or none.
///
/// # Errors
/// [`VaultError::BatchFailed`] for an atomic batch with an item that cannot be deleted;
/// [`VaultError::Refused`] for whoever may delete none; [`VaultError::NotFound`] for a collection that
/// is not there; [`VaultError::Invalid`] for no items or more than
/// [`crate::records::BATCH_ITEMS_MAX`].
pub async fn batch_delete(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: BatchDelete,
) -> Result<Answer<Outcomes<Written>>, VaultError> {
    check_count(wanted.items.len())?;
    let answer = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.forget_opened(ctx.tenant());
    vault.admission.drain().await;
    vault.work_soon.notify_one();
    Ok(answer)
}

/// A record that is to go.
struct Going {
    id: RecordId,
    sealed: SealedRecord,
    opened: Opened,
    subject: Loaded<SubjectHead>,
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &BatchDelete,
) -> Result<Answer<Outcomes<Written>>, VaultError> {
    let _ticket = vault.admission.enter();
    let asked = Changes {
        collection: &wanted.collection,
        action: Action::Delete,
        code: "record.batch_delete",
        idempotency: wanted.idempotency.as_ref(),
    };
    let begun = match vault.begin_batch(ctx, asked).await? {
        Beginning::Fresh(begun) => *begun,
        Beginning::Repeated(answer) => return Ok(answer),
    };
    let (mut snapshot, mut shared) = (begun.snapshot, begun.shared);
    let mut going = Vec::new();
    let mut outcomes = Vec::with_capacity(wanted.items.len());
    for (record, expected) in &wanted.items {
        let one = one(vault, ctx, &mut shared, &mut snapshot, record, *expected).await;
        outcomes.push(of_item(one)?.map(|one| {
            let written = Written { id: one.id, version: one.sealed.version };
            going.push(one);
            written
        }));
    }
    let Shared { who, collection, lines, .. } = shared;
    if wanted.atomic && outcomes.iter().any(Result::is_err) {
        return vault.fail_batch(ctx, snapshot, lines, outcomes).await;
    }

    // The effect, and the record of it.
    let mut fence = Fence::new(vault, ctx.tenant());
    let targets = going.iter().map(|one| RecordTarget {
        collection: &collection,
        record: one.id,
        subject: &one.subject,
        place: one.sealed.place,
        external_id: one.opened.head.external_id.clone(),
        files: one.opened.head.files.clone(),
    });
    fence.records(&mut snapshot, targets.collect()).await?;
    let erasures = going.iter().map(|one| {
        let ground = ErasureGround::NoLongerNeeded;
        fence.erasure_of_record(collection.number, one.id, ground, who.principal)
    });
    let erasures: Vec<_> = erasures.collect();
    let batch = fence.into_batch(snapshot, &erasures).await?;
    let lines = vault.commit_batch(ctx, batch, lines, begun.slot, &outcomes).await?;
    Ok(Answer { value: outcomes, lines })
}

/// Decides on one record.
async fn one(
    vault: &Vault,
    ctx: &TenantCtx,
    shared: &mut Shared,
    snapshot: &mut Snapshot<'_>,
    record: &NamedRecord,
    expected: Expected,
) -> Result<Going, VaultError> {
    // What is known.
    let Item { id, sealed, subject, key } = shared.find(vault, ctx, snapshot, record).await?;
    let Shared { who, collection, .. } = &*shared;
    let opened = vault.open_head(&key, ctx.tenant(), collection, id, &sealed)?;

    // The decision.
    let facts = record_facts(id, &opened.head, &subject);
    let asked = Asked::default();
    let granted = match vault.decide_on_record(ctx, who, collection, facts, Action::Delete, asked) {
        Ok(permit) => permit.spend(),
        Err(refusal) => return Err(shared.refuse(id, refusal)),
    };
    match expected {
        Expected::Missing | Expected::Any => {}
        Expected::Version(_) => expected.check(sealed.version)?,
    }
    refuse_held(&subject)?;
    let touch = Touch { record: id, clear: Vec::new(), masked: Vec::new() };
    shared.lines.allow(shared.collection.number, &granted, Some(touch));
    Ok(Going { id, sealed, opened, subject })
}
