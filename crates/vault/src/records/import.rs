//! Somebody brings in many records at once; each has its own outcome.

use strongroom_model::{AuditEvent, CollectionName, RecordId, Touch};

use crate::idempotency::Before;
use crate::index::Index;
use crate::records::create::NewRecord;
use crate::records::may::{Intent, May, may};
use crate::records::writer::{Writer, make_room};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError};

/// Most records in one request.
pub const IMPORT_ITEMS_MAX: usize = 500;

/// What the lines of an import are called.
pub(crate) const IMPORT: &str = "record.import";

/// What is wanted.
pub struct ImportRecords {
    /// The collection.
    pub collection: CollectionName,
    /// The records; each has an external id.
    pub items: Vec<NewRecord>,
    /// So that a repeated request is recognised as another one's.
    pub idempotency: Option<Idempotency>,
}

/// What became of one item.
#[derive(Debug)]
pub enum Imported {
    /// It was created.
    Created(RecordId),
    /// A record with its external id was there; it was left as it is.
    Exists(RecordId),
    /// It was not created.
    Failed(VaultError),
}

/// Imports records: those that can be created are, in one commit.
///
/// # Errors
/// [`VaultError::NotFound`] for a collection that is not there; [`VaultError::Invalid`] for too many
/// items; what is wrong with single items is in their outcome.
pub async fn import(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ImportRecords,
) -> Result<Answer<Vec<Imported>>, VaultError> {
    if wanted.items.is_empty() || wanted.items.len() > IMPORT_ITEMS_MAX {
        return Err(VaultError::invalid("/items", "an import has 1 to 500 items"));
    }
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ImportRecords,
) -> Result<Answer<Vec<Imported>>, VaultError> {
    let tenant = ctx.tenant();
    let _ticket = vault.admission.enter();
    let intent = Intent::to_create(&wanted.collection, IMPORT);
    let (mut snapshot, allowed) = may(ctx, Snapshot::new(vault), &intent).await?;
    // A repeated import finds its records by their external ids; the row only tells other bodies apart.
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(_) => None,
    };
    let Gathered { writer, outcomes, touches } =
        gather(ctx, snapshot, &allowed, &wanted.items).await?;
    let event = AuditEvent { touches, ..allowed.event };
    let (mut batch, grown) = writer.finish(ctx).await?;
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, [0; 16]).await?;
    }
    batch.line(vault.line(tenant, Some(ctx), event).await?);
    let committed = vault.store.commit(batch).await?;
    grown.keep(vault);
    Ok(Answer { value: outcomes, lines: committed.places().to_vec() })
}

/// Records that can be created, gathered for one commit.
pub(crate) struct Gathered<'v> {
    pub(crate) writer: Writer<'v>,
    /// What becomes of each item.
    pub(crate) outcomes: Vec<Imported>,
    /// What the audit line says was written.
    pub(crate) touches: Vec<Touch>,
}

/// Plans the records of an import. What is wrong with single items is in their outcome.
///
/// # Errors
/// [`VaultError::Conflict`] where the index had to grow first, and what keeps all of them from being
/// created.
pub(crate) async fn gather<'v>(
    ctx: &TenantCtx,
    mut snapshot: Snapshot<'v>,
    allowed: &May,
    items: &[NewRecord],
) -> Result<Gathered<'v>, VaultError> {
    let index = Index::of_records(ctx.tenant(), &allowed.collection);
    make_room(&mut snapshot, index, items).await?;
    let mut writer = Writer::new(snapshot, ctx, allowed.collection.clone(), items.len());
    writer.reserve(ctx, items).await?;
    let mut outcomes = Vec::with_capacity(items.len());
    let mut touches = Vec::new();
    for item in items {
        let Some(external_id) = &item.external_id else {
            outcomes.push(Imported::Failed(VaultError::invalid(
                "/external_id",
                "an imported record has an external id",
            )));
            continue;
        };
        if let Some(hit) = writer.look(external_id).await? {
            outcomes.push(Imported::Exists(hit.record));
            continue;
        }
        match writer.plan(ctx, &allowed.who, item).await {
            Ok(record) => {
                outcomes.push(Imported::Created(record.id));
                touches.push(record.touch());
            }
            Err(
                error @ (VaultError::Invalid(_)
                | VaultError::WrongState { .. }
                | VaultError::Refused(_)
                | VaultError::NotFound),
            ) => outcomes.push(Imported::Failed(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(Gathered { writer, outcomes, touches })
}
