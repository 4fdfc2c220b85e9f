//! Somebody creates up to 100 records of a collection at once.

use strongroom_model::{Action, AuditObject, CollectionName};

use crate::index::Index;
use crate::records::batch::{Beginning, Changes, Outcomes, Shared, Written, check_count, of_item};
use crate::records::create::NewRecord;
use crate::records::writer::{Writer, make_room};
use crate::snapshot::attempt;
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError};

/// What is wanted.
pub struct BatchCreate {
    /// The collection.
    pub collection: CollectionName,
    /// The records.
    pub items: Vec<NewRecord>,
    /// Whether all of them are to be created or none.
    pub atomic: bool,
    /// So that a repeated batch makes its records once.
    pub idempotency: Option<Idempotency>,
}

/// Creates records in one commit: those that can be, or, if the batch is atomic, all or none.
///
/// # Errors
/// [`VaultError::BatchFailed`] for an atomic batch with an item that cannot be created;
/// [`VaultError::Refused`] for whoever may create none; [`VaultError::NotFound`] for a collection that
/// is not there; [`VaultError::Invalid`] for no items or more than
/// [`crate::records::BATCH_ITEMS_MAX`].
pub async fn batch_create(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: BatchCreate,
) -> Result<Answer<Outcomes<Written>>, VaultError> {
    check_count(wanted.items.len())?;
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &BatchCreate,
) -> Result<Answer<Outcomes<Written>>, VaultError> {
    let _ticket = vault.admission.enter();
    let asked = Changes {
        collection: &wanted.collection,
        action: Action::Create,
        code: "record.batch_create",
        idempotency: wanted.idempotency.as_ref(),
    };
    let begun = match vault.begin_batch(ctx, asked).await? {
        Beginning::Fresh(begun) => *begun,
        Beginning::Repeated(answer) => return Ok(answer),
    };
    let mut snapshot = begun.snapshot;
    let Shared { who, collection, mut lines, .. } = begun.shared;
    let number = collection.number;
    let index = Index::of_records(ctx.tenant(), &collection);
    make_room(&mut snapshot, index, &wanted.items).await?;

    // Each item is decided and planned by itself.
    let mut writer = Writer::new(snapshot, ctx, collection, wanted.items.len());
    writer.reserve(ctx, &wanted.items).await?;
    let mut outcomes = Vec::with_capacity(wanted.items.len());
    for item in &wanted.items {
        let planned = of_item(writer.plan(ctx, &who, item).await)?;
        if let Err(VaultError::Refused(refusal)) = &planned {
            lines.refuse(AuditObject::Collection(number), refusal);
        }
        outcomes.push(planned.map(|planned| {
            lines.allow(number, &planned.granted, Some(planned.touch()));
            Written { id: planned.id, version: 1 }
        }));
    }
    if wanted.atomic && outcomes.iter().any(Result::is_err) {
        return vault.fail_batch(ctx, writer.snapshot, lines, outcomes).await;
    }

    // The effect, and the record of it.
    let (batch, grown) = writer.finish(ctx).await?;
    let lines = vault.commit_batch(ctx, batch, lines, begun.slot, &outcomes).await?;
    grown.keep(vault);
    Ok(Answer { value: outcomes, lines })
}
