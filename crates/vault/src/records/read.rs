//! Somebody reads a record.

use strongroom_access_policy::{
    AccessRequest, Facts, RecordFacts, SubjectFacts, absent, decide, erased,
};
use strongroom_model::{
    Action, AuditObject, CollectionName, RecordId, SubjectHead, SubjectKind, SubjectState,
};
use strongroom_storage::Expect;

use crate::caller::Who;
use crate::records::SealedRecord;
use crate::records::view::{Known, RecordView, Wanted, disclose};
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

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
    let tenant = ctx.tenant();
    let ticket = vault.admission.enter();

    // What is known.
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let Some(collection) = snapshot.collection(tenant, &wanted.collection).await? else {
        let attempted = Attempted {
            principal: who.principal,
            action: Action::Read,
            code: "record.read",
            object: AuditObject::Tenant(tenant),
        };
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    let columns = wanted.wanted.columns(&collection)?;
    let attempted = Attempted {
        principal: who.principal,
        action: Action::Read,
        code: "record.read",
        object: AuditObject::Record(collection.number, wanted.record),
    };
    let Some(found) = snapshot.record(ctx, &collection, wanted.record).await? else {
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    let key = vault.record_key(tenant, &collection, found.sealed.place).await?;
    let opened = vault.open_head(&key, tenant, &collection, wanted.record, &found.sealed)?;

    // The decision.
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
            requested: columns.requested.as_deref(),
            reveal: &columns.reveal,
            purpose: ctx.about().purpose.as_ref(),
            address: ctx.about().address,
            ..AccessRequest::new(Action::Read)
        };
        decide(&facts, &request, vault.now())
    };

    // The record of it.
    let permit = match decision {
        Ok(permit) => permit,
        Err(refusal) => return vault.refuse(ctx, snapshot, attempted, refusal).await,
    };
    let touches = permit.touch().into_iter().collect();
    let event = attempted.allowed(permit.granted(), touches);
    let committed = vault.put_on_record(ctx, snapshot, event).await?;

    // The effect.
    let known = Known {
        id: wanted.record,
        version: found.sealed.version,
        collection: &collection,
        person: person(&found.subject),
        opened: &opened,
    };
    let value = disclose(permit, &committed, &ticket, &known)?;
    Ok(Answer { value, lines: committed.places().to_vec() })
}

/// The person whom a subject stands for, if it stands for one.
pub(crate) const fn person(subject: &SubjectHead) -> Option<strongroom_model::SubjectId> {
    match subject.kind {
        SubjectKind::Person => Some(subject.id),
        SubjectKind::Filler(_) => None,
    }
}

/// A record that is there, with its subject.
pub(crate) struct Found {
    pub(crate) sealed: SealedRecord,
    pub(crate) subject: Loaded<SubjectHead>,
}

impl Snapshot<'_> {
    /// A record that is there and whose subject is. Both rows become facts.
    pub(crate) async fn record(
        &mut self,
        ctx: &TenantCtx,
        collection: &strongroom_model::Collection,
        record: RecordId,
    ) -> Result<Option<Found>, VaultError> {
        let key = keyspace::record(ctx.tenant(), collection.number, record);
        let mut rows = self.vault.store.get_many(std::slice::from_ref(&key)).await?;
        let Some(row) = rows.pop().flatten() else {
            self.fact(Expect::Absent(key));
            self.look_for_erasure(ctx.tenant(), *record.as_bytes()).await?;
            return Ok(None);
        };
        self.fact(Expect::Version(key, row.version));
        let sealed = SealedRecord::parse(row)?;
        let subject = self.subject(ctx.tenant(), sealed.subject).await?;
        let subject = subject.filter(|subject| subject.state != SubjectState::Erased);
        match &subject {
            Some(subject) => self.is_about((subject.id, subject.leaf.slot)),
            None => self.look_for_erasure(ctx.tenant(), *sealed.subject.as_bytes()).await?,
        }
        Ok(subject.map(|subject| Found { sealed, subject }))
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
        let refusal = {
            let held = who.held();
            let facts = Facts { tenant: who.tenant.state, ..Facts::of(who.actor(&held)) };
            let request = AccessRequest {
                purpose: ctx.about().purpose.as_ref(),
                address: ctx.about().address,
                ..AccessRequest::new(attempted.action)
            };
            if snapshot.gone().is_some() {
                erased(&facts, &request, self.now())
            } else {
                absent(&facts, &request, self.now())
            }
        };
        self.refuse(ctx, snapshot, attempted, refusal).await
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
    let tenant = ctx.tenant();
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let collection =
        snapshot.collection(tenant, &wanted.collection).await?.ok_or(VaultError::NotFound)?;
    let found =
        snapshot.record(ctx, &collection, wanted.record).await?.ok_or(VaultError::NotFound)?;
    let key = vault.record_key(tenant, &collection, found.sealed.place).await?;
    let opened = vault.open_head(&key, tenant, &collection, wanted.record, &found.sealed)?;
    let object = AuditObject::Record(collection.number, wanted.record);
    let attempted =
        Attempted { principal: who.principal, action: Action::Create, code: "record.made", object };
    let committed = vault.put_on_record(ctx, snapshot, attempted.done()).await?;
    let value = RecordView {
        id: wanted.record,
        collection: collection.name.clone(),
        subject: None,
        external_id: None,
        version: found.sealed.version,
        created_at: opened.head.created_at,
        changed_at: opened.head.changed_at,
        assignees: Vec::new(),
        fields: Vec::new(),
        masked: Vec::new(),
    };
    Ok(Answer { value, lines: committed.places().to_vec() })
}
