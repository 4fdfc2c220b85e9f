//! Somebody brings in many records at once; each has its own outcome.

use strongroom_access_policy::{AccessRequest, Facts, decide_list};
use strongroom_model::{Action, AuditEvent, AuditObject, CollectionName, RecordId};

use crate::idempotency::Before;
use crate::index::Index;
use crate::records::create::NewRecord;
use crate::records::writer::{Writer, make_room};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
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
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let Some(collection) = snapshot.collection(tenant, &wanted.collection).await? else {
        let object = AuditObject::Tenant(tenant);
        let attempted = Attempted {
            principal: who.principal,
            action: Action::Create,
            code: "record.import",
            object,
        };
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    let object = AuditObject::Collection(collection.number);
    let attempted = Attempted {
        principal: who.principal,
        action: Action::Create,
        code: "record.import",
        object,
    };
    // Whoever may create nothing here does not learn which external ids there are.
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
    let (rule, purpose) = match decision {
        Ok(allowed) => allowed,
        Err(refusal) => return vault.refuse(ctx, snapshot, attempted, refusal).await,
    };
    // A repeated import finds its records by their external ids; the row only tells other bodies apart.
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(_) => None,
    };
    let index = Index::of_records(tenant, &collection);
    make_room(&mut snapshot, index, &wanted.items).await?;

    let mut writer = Writer::new(snapshot, ctx, collection, wanted.items.len());
    let mut outcomes = Vec::with_capacity(wanted.items.len());
    let mut touches = Vec::new();
    for item in &wanted.items {
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
        match writer.plan(ctx, &who, item).await {
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

    let event = AuditEvent {
        rule: Some(rule),
        purpose: purpose.unwrap_or_default(),
        touches,
        ..attempted.done()
    };
    let (mut batch, grown) = writer.finish(ctx).await?;
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, OwnerLeaf::NOBODY, [0; 16]).await?;
    }
    batch.line(vault.line(tenant, Some(ctx), event).await?);
    let committed = vault.store.commit(batch).await?;
    grown.keep(vault);
    Ok(Answer { value: outcomes, lines: committed.places().to_vec() })
}
