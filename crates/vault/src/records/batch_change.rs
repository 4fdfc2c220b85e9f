//! Somebody changes up to 100 records of a collection at once.

use std::collections::BTreeSet;

use strongroom_model::{
    Action, AuditObject, ClearValue, CollectionName, FieldName, RecordId, Touch, UserId,
};

use crate::caller::Who;
use crate::records::batch::{
    BatchLines, Beginning, Changes, NamedRecord, Outcomes, Written, check_count, of_item,
};
use crate::records::change::{Change, Target, prepare};
use crate::records::writer::Writer;
use crate::snapshot::{Snapshot, attempt};
use crate::trail::answered;
use crate::{Answer, Expected, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
pub struct BatchChange {
    /// The collection.
    pub collection: CollectionName,
    /// The changes.
    pub items: Vec<ItemChange>,
    /// Whether all of them are to be made or none.
    pub atomic: bool,
    /// So that a repeated batch is carried out once.
    pub idempotency: Option<Idempotency>,
}

/// What is wanted of one record; a merge patch, as for a single change.
pub struct ItemChange {
    /// The record.
    pub record: NamedRecord,
    /// The version that the change is made against.
    pub expected: Expected,
    /// Fields to be replaced or removed.
    pub fields: Vec<(FieldName, ClearValue)>,
    /// The users to whom it is assigned from now on.
    pub assignees: Option<Vec<UserId>>,
}

/// Changes records in one commit: those that can be, or, if the batch is atomic, all or none.
///
/// # Errors
/// [`VaultError::BatchFailed`] for an atomic batch with an item that cannot be carried out;
/// [`VaultError::Refused`] for whoever may change none; [`VaultError::NotFound`] for a collection that
/// is not there; [`VaultError::Invalid`] for no items or more than
/// [`crate::records::BATCH_ITEMS_MAX`].
pub async fn batch_change(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: BatchChange,
) -> Result<Answer<Outcomes<Written>>, VaultError> {
    check_count(wanted.items.len())?;
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &BatchChange,
) -> Result<Answer<Outcomes<Written>>, VaultError> {
    let _ticket = vault.admission.enter();
    let asked = Changes {
        collection: &wanted.collection,
        action: Action::Update,
        code: "record.batch_change",
        idempotency: wanted.idempotency.as_ref(),
    };
    let begun = match vault.begin_batch(ctx, asked).await? {
        Beginning::Fresh(begun) => *begun,
        Beginning::Repeated(answer) => return Ok(answer),
    };
    let (who, mut lines) = (begun.who, begun.lines);
    let mut writer = Writer::new(begun.snapshot, ctx, begun.collection, 0);
    let mut named = BTreeSet::new();
    let mut outcomes = Vec::with_capacity(wanted.items.len());
    for item in &wanted.items {
        let changed = one(vault, ctx, &who, &mut writer, &mut lines, &mut named, item).await;
        outcomes.push(of_item(changed)?);
    }
    if wanted.atomic && outcomes.iter().any(Result::is_err) {
        return vault.fail_batch(ctx, writer.snapshot, lines, outcomes).await;
    }
    let batch = writer.finish(ctx).await?;
    let lines = vault.commit_batch(ctx, batch, lines, begun.slot, &outcomes).await?;
    Ok(Answer { value: outcomes, lines })
}

/// Decides on one change, and gathers what it makes of the record.
async fn one(
    vault: &Vault,
    ctx: &TenantCtx,
    who: &Who,
    writer: &mut Writer<'_>,
    lines: &mut BatchLines,
    named: &mut BTreeSet<RecordId>,
    item: &ItemChange,
) -> Result<Written, VaultError> {
    // What is known.
    let collection = writer.collection().clone();
    let record = vault.named(ctx, &collection, &item.record).await?;
    let mut gone = None;
    let known = match record {
        Some(record) => {
            if !named.insert(record) {
                return Err(VaultError::invalid("", "another item of the batch is this record"));
            }
            // Aside, so that what is known of one item is not taken for all.
            let mut aside = Snapshot::new(vault);
            let known = aside.record(ctx, &collection, record).await?;
            gone = aside.gone();
            writer.snapshot.learn(aside);
            match known {
                Some((sealed, subject)) => {
                    let key = vault.record_key(ctx.tenant(), &collection, sealed.place).await;
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
    let Some((record, sealed, subject, key)) = known else {
        let object = record.map_or(AuditObject::Collection(collection.number), |record| {
            AuditObject::Record(collection.number, record)
        });
        let refusal = vault.absence(ctx, who, Action::Update, gone);
        lines.refuse(object, &refusal);
        return Err(answered(refusal, gone));
    };

    // The decision.
    let target = Target { record, sealed: &sealed, subject: &subject, key: &key };
    let change = Change {
        expected: item.expected,
        fields: &item.fields,
        assignees: item.assignees.as_deref(),
    };
    let prepared = match prepare(vault, ctx, who, writer, &target, &change).await {
        Err(VaultError::Refused(refusal)) => {
            lines.refuse(AuditObject::Record(collection.number, record), &refusal);
            return Err(answered(refusal, None));
        }
        prepared => prepared?,
    };

    // The record of it, and the effect.
    let touch = Touch { record, clear: prepared.written, masked: Vec::new() };
    lines.allow(collection.number, &prepared.granted, Some(touch));
    let row = keyspace::record(ctx.tenant(), collection.number, record);
    writer.batch.put(row, prepared.version, prepared.sealed);
    Ok(Written { id: record, version: prepared.version })
}
