//! Somebody changes up to 100 records of a collection at once.

use strongroom_model::{Action, ClearValue, CollectionName, FieldName, NamedUser, Touch};

use crate::records::batch::{
    Beginning, Changes, Item, NamedRecord, Outcomes, Shared, Written, check_count, of_item,
};
use crate::records::change::{Change, Target, prepare};
use crate::records::writer::Writer;
use crate::snapshot::attempt;
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
    pub assignees: Option<Vec<NamedUser>>,
    /// Whether what stood there was wrong and is to be erased.
    pub correction: bool,
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
    let mut shared = begun.shared;
    let mut writer = Writer::new(begun.snapshot, ctx, shared.collection.clone(), 0);
    let mut outcomes = Vec::with_capacity(wanted.items.len());
    for item in &wanted.items {
        outcomes.push(of_item(one(vault, ctx, &mut shared, &mut writer, item).await)?);
    }
    let lines = shared.lines;
    if wanted.atomic && outcomes.iter().any(Result::is_err) {
        return vault.fail_batch(ctx, writer.snapshot, lines, outcomes).await;
    }
    let (batch, _grown) = writer.finish(ctx).await?;
    let lines = vault.commit_batch(ctx, batch, lines, begun.slot, &outcomes).await?;
    Ok(Answer { value: outcomes, lines })
}

/// Decides on one change, and gathers what it makes of the record.
async fn one(
    vault: &Vault,
    ctx: &TenantCtx,
    shared: &mut Shared,
    writer: &mut Writer<'_>,
    item: &ItemChange,
) -> Result<Written, VaultError> {
    // What is known.
    let found = shared.find(vault, ctx, &mut writer.snapshot, &item.record).await?;
    let Item { id, sealed, subject, key } = found;

    // The decision.
    let target = Target { record: id, sealed: &sealed, subject: &subject, key: &key };
    let change = Change {
        expected: item.expected,
        fields: &item.fields,
        assignees: item.assignees.as_deref(),
        correction: item.correction,
    };
    let prepared = match prepare(vault, ctx, &shared.who, writer, &target, &change).await {
        Err(VaultError::Refused(refusal)) => return Err(shared.refuse(id, refusal)),
        prepared => prepared?,
    };

    // The record of it, and the effect.
    let touch = Touch { record: id, clear: prepared.written, masked: Vec::new() };
    shared.lines.allow(shared.collection.number, &prepared.granted, Some(touch));
    let row = keyspace::record(ctx.tenant(), shared.collection.number, id);
    writer.batch.put(row, prepared.version, prepared.sealed);
    Ok(Written { id, version: prepared.version })
}
