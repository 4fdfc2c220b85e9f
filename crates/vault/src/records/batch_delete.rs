//! Somebody deletes up to 100 records of a collection at once: they are hidden at once, and their keys
//! die in the next batch of erasures.

use std::collections::BTreeSet;

use strongroom_model::{
    Action, AuditObject, Collection, CollectionName, ErasureGround, RecordId, SubjectHead, Touch,
};

use crate::caller::Who;
use crate::erasures::{Fence, RecordTarget, refuse_held};
use crate::records::SealedRecord;
use crate::records::batch::{
    BatchLines, Beginning, Changes, NamedRecord, Outcomes, Written, check_count, of_item,
};
use crate::records::codec::Opened;
use crate::records::known::{Asked, record_facts};
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::trail::answered;
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
    vault.decoded.forget(ctx.tenant());
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
    let (mut snapshot, who, mut lines) = (begun.snapshot, begun.who, begun.lines);
    let collection = begun.collection;
    let mut named = BTreeSet::new();
    let mut going = Vec::new();
    let mut outcomes = Vec::with_capacity(wanted.items.len());
    for (record, expected) in &wanted.items {
        let asked = One { who: &who, collection: &collection, record, expected: *expected };
        let one = one(vault, ctx, &asked, &mut snapshot, &mut lines, &mut named).await;
        outcomes.push(of_item(one)?.map(|one| {
            let written = Written { id: one.id, version: one.sealed.version };
            going.push(one);
            written
        }));
    }
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

/// What is asked of one record.
struct One<'a> {
    who: &'a Who,
    collection: &'a Loaded<Collection>,
    record: &'a NamedRecord,
    expected: Expected,
}

/// Decides on one record.
async fn one(
    vault: &Vault,
    ctx: &TenantCtx,
    asked: &One<'_>,
    snapshot: &mut Snapshot<'_>,
    lines: &mut BatchLines,
    named: &mut BTreeSet<RecordId>,
) -> Result<Going, VaultError> {
    // What is known.
    let One { who, collection, expected, .. } = *asked;
    let record = vault.named(ctx, collection, asked.record).await?;
    let mut gone = None;
    let known = match record {
        Some(record) => {
            if !named.insert(record) {
                return Err(VaultError::invalid("", "another item of the batch is this record"));
            }
            // Aside, so that what is known of one item is not taken for all.
            let mut aside = Snapshot::new(vault);
            let known = aside.record(ctx, collection, record).await?;
            gone = aside.gone();
            snapshot.learn(aside);
            match known {
                Some((sealed, subject)) => {
                    let key = vault.record_key(ctx.tenant(), collection, sealed.place).await;
                    match key {
                        Err(VaultError::Erased(_)) => None,
                        key => Some((record, sealed, subject, key?)),
                    }
                }
                None => None,
            }
        }
        None => None,
    };
    let Some((id, sealed, subject, key)) = known else {
        let object = record.map_or(AuditObject::Collection(collection.number), |record| {
            AuditObject::Record(collection.number, record)
        });
        let refusal = vault.absence(ctx, who, Action::Delete, gone);
        lines.refuse(object, &refusal);
        return Err(answered(refusal, gone));
    };
    let opened = vault.open_head(&key, ctx.tenant(), collection, id, &sealed)?;

    // The decision.
    let facts = record_facts(id, &opened.head, &subject);
    let asked = Asked::default();
    let granted = match vault.decide_on_record(ctx, who, collection, facts, Action::Delete, asked) {
        Ok(permit) => permit.spend(),
        Err(refusal) => {
            lines.refuse(AuditObject::Record(collection.number, id), &refusal);
            return Err(answered(refusal, None));
        }
    };
    match expected {
        Expected::Missing | Expected::Any => {}
        Expected::Version(_) => expected.check(sealed.version)?,
    }
    refuse_held(&subject)?;
    let touch = Touch { record: id, clear: Vec::new(), masked: Vec::new() };
    lines.allow(collection.number, &granted, Some(touch));
    Ok(Going { id, sealed, opened, subject })
}
