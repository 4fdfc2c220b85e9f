//! Somebody reads a record.

use strongroom_access_policy::{AccessRequest, Refusal, absent, erased};
use strongroom_model::{Action, CollectionName, RecordId, SubjectHead, SubjectId, SubjectKind};

use crate::caller::Who;
use crate::records::known::{Asked, KnownRecord, record_facts};
use crate::records::view::{Contents, Known, RecordView, Wanted, disclose};
use crate::snapshot::{Gone, Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, TenantCtx, Vault, VaultError, spans};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct ReadRecord {
    /// The collection.
    pub collection: CollectionName,
    /// The record.
    pub record: RecordId,
    /// Which of its fields.
    pub wanted: Wanted,
}

/// Reads a record: opens the fields that the caller's view has, after the decision is on record.
///
/// # Errors
/// [`VaultError::NotFound`] for what is not there and what the caller may not know about;
/// [`VaultError::Refused`]; [`VaultError::Erased`] for those who may know.
pub async fn read(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ReadRecord,
) -> Result<Answer<RecordView>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ReadRecord,
) -> Result<Answer<RecordView>, VaultError> {
    let ticket = vault.admission.enter();

    // What is known.
    let known =
        vault.know(ctx, &wanted.collection, wanted.record, Action::Read, "record.read").await?;
    let KnownRecord { snapshot, who, collection, subject, sealed, key, attempted } = known;
    let columns = wanted.wanted.columns(&collection);
    let opened = vault.open_head(&key, ctx.tenant(), &collection, wanted.record, &sealed)?;

    // The decision.
    let asked = Asked {
        requested: columns.requested.as_deref(),
        reveal: &columns.reveal,
        ..Asked::default()
    };
    let facts = record_facts(wanted.record, &opened.head, &subject);
    let decision = vault.decide_on_record(ctx, &who, &collection, facts, Action::Read, asked);

    // The record of it.
    let permit = match decision {
        Ok(permit) => permit,
        Err(refusal) => return vault.refuse(ctx, snapshot, attempted, refusal).await,
    };
    columns.check()?;
    let about = person(&subject);
    let (snapshot, attempted) =
        vault.count_subjects(ctx, snapshot, &who, attempted, about.as_slice()).await?;
    let touches = permit.touch().into_iter().collect();
    let event = attempted.allowed(permit.granted(), touches);
    let committed = vault.put_on_record(ctx, snapshot, event).await?;

    // The effect.
    let known = Known {
        id: wanted.record,
        version: sealed.version,
        collection: &collection,
        person: person(&subject),
        head: &opened.head,
        contents: Contents::Sealed(&opened),
    };
    let value = spans::opening().in_scope(|| disclose(permit, &committed, &ticket, &known))?;
    Ok(Answer { value, lines: committed.places().to_vec() })
}

/// The person whom a subject stands for, if it stands for one.
pub(crate) const fn person(subject: &SubjectHead) -> Option<SubjectId> {
    match subject.kind {
        SubjectKind::Person => Some(subject.id),
        SubjectKind::Filler(_) => None,
    }
}

impl Vault {
    /// Refuses what is not there with the same answer as what the caller may not know about.
    pub(crate) async fn refuse_absent<T>(
        &self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'_>,
        who: Who,
        attempted: Attempted,
    ) -> Result<T, VaultError> {
        let refusal = self.absence(ctx, &who, attempted.action, snapshot.gone());
        self.refuse(ctx, snapshot, attempted, refusal).await
    }

    /// The refusal for what is not there, or has been erased.
    pub(crate) fn absence(
        &self,
        ctx: &TenantCtx,
        who: &Who,
        action: Action,
        gone: Option<Gone>,
    ) -> Refusal {
        let held = who.held();
        let facts = held.facts();
        let request = AccessRequest {
            purpose: ctx.about().purpose.as_ref(),
            address: ctx.about().address,
            ..AccessRequest::new(action)
        };
        if gone.is_some() {
            erased(&facts, &request, self.now())
        } else {
            absent(&facts, &request, self.now())
        }
    }
}

/// Shows a record that the caller has just made or changed, in the view that it has of it. Whoever
/// may write but not read gets the record without fields.
pub(crate) async fn read_made(
    vault: &Vault,
    ctx: &TenantCtx,
    collection: &CollectionName,
    record: RecordId,
) -> Result<Answer<RecordView>, VaultError> {
    let wanted = ReadRecord { collection: collection.clone(), record, wanted: Wanted::default() };
    match attempt(|| once(vault, ctx, &wanted)).await {
        Err(error) if error.is_refusal() => attempt(|| bare(vault, ctx, &wanted)).await,
        shown => shown,
    }
}

/// A record's id and version, for whoever has just written it and may not read it.
async fn bare(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ReadRecord,
) -> Result<Answer<RecordView>, VaultError> {
    let known =
        vault.know(ctx, &wanted.collection, wanted.record, Action::Create, "record.made").await?;
    let opened = vault.open_head(
        &known.key,
        ctx.tenant(),
        &known.collection,
        wanted.record,
        &known.sealed,
    )?;
    let value = RecordView {
        id: wanted.record,
        collection: known.collection.name.clone(),
        subject: None,
        external_id: None,
        version: known.sealed.version,
        created_at: opened.head.created_at,
        changed_at: opened.head.changed_at,
        assignees: Vec::new(),
        fields: Vec::new(),
        masked: Vec::new(),
    };
    let committed = vault.put_on_record(ctx, known.snapshot, known.attempted.done()).await?;
    Ok(Answer { value, lines: committed.places().to_vec() })
}
