//! Somebody brings in many records at once; each has its own outcome.

use strongroom_access_policy::{AccessRequest, Facts, decide_list};
use strongroom_model::{
    Action, AuditEvent, AuditObject, Collection, CollectionName, RecordId, Touch,
};

use crate::caller::Who;
use crate::idempotency::Before;
use crate::index::Index;
use crate::records::create::NewRecord;
use crate::records::writer::{Writer, make_room};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError};

/// Most records in one request.
pub const IMPORT_ITEMS_MAX: usize = 500;

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
    let (mut snapshot, allowed) =
        may_import(ctx, Snapshot::new(vault), &wanted.collection, "record.import").await?;
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

/// That somebody may create records of a collection, as it goes on record.
pub(crate) struct MayImport {
    pub(crate) who: Who,
    pub(crate) collection: Loaded<Collection>,
    pub(crate) event: AuditEvent,
}

/// Decides whether the caller may create records of a collection at all: whoever may not does not learn
/// which external ids there are.
///
/// # Errors
/// A refusal, which is on record.
pub(crate) async fn may_import<'v>(
    ctx: &TenantCtx,
    mut snapshot: Snapshot<'v>,
    collection: &CollectionName,
    code: &'static str,
) -> Result<(Snapshot<'v>, MayImport), VaultError> {
    let vault = snapshot.vault;
    let tenant = ctx.tenant();
    let who = snapshot.who(ctx).await?;
    let mut attempted = Attempted {
        principal: who.principal,
        action: Action::Create,
        code,
        object: AuditObject::Tenant(tenant),
    };
    let Some(collection) = snapshot.collection(tenant, collection).await? else {
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    attempted.object = AuditObject::Collection(collection.number);
    let decision = {
        let held = who.held();
        let facts = Facts { collection: Some(&collection.value), ..held.facts() };
        let request = AccessRequest {
            purpose: ctx.about().purpose.as_ref(),
            address: ctx.about().address,
            ..AccessRequest::new(Action::Create)
        };
        decide_list(&facts, &request, vault.now())
            .map(|permit| (permit.rule(), permit.purpose().map(ToString::to_string)))
    };
    match decision {
        Ok((rule, purpose)) => {
            let purpose = purpose.unwrap_or_default();
            let event = AuditEvent { rule: Some(rule), purpose, ..attempted.done() };
            Ok((snapshot, MayImport { who, collection, event }))
        }
        Err(refusal) => vault.refuse(ctx, snapshot, attempted, refusal).await,
    }
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
    allowed: &MayImport,
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
