//! What is known of one record before a decision about it, and the decision itself.

use strongroom_access_policy::{
    AccessRequest, Facts, Permit, RecordFacts, Refusal, SubjectFacts, decide,
};
use strongroom_crypto::Key;
use strongroom_model::{
    Action, AuditObject, Collection, CollectionName, FieldNumber, RecordHead, RecordId,
    SubjectHead, SubjectState,
};
use strongroom_storage::Expect;

use crate::caller::Who;
use crate::records::SealedRecord;
use crate::snapshot::{Loaded, Snapshot};
use crate::trail::Attempted;
use crate::{TenantCtx, Vault, VaultError, keyspace, spans};

/// A record that is there, with all that a decision about it rests on.
pub(crate) struct KnownRecord<'v> {
    pub(crate) snapshot: Snapshot<'v>,
    pub(crate) who: Who,
    pub(crate) collection: Loaded<Collection>,
    pub(crate) subject: Loaded<SubjectHead>,
    pub(crate) sealed: SealedRecord,
    pub(crate) key: Key,
    pub(crate) attempted: Attempted,
}

/// What of a record is asked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) requested: Option<&'a [FieldNumber]>,
    pub(crate) reveal: &'a [FieldNumber],
    pub(crate) written: &'a [FieldNumber],
}

impl Vault {
    /// Finds a record and what is known around it; nothing of it is opened yet. What is not there is
    /// refused, on record, with the answer of absence.
    pub(crate) async fn know<'v>(
        &'v self,
        ctx: &TenantCtx,
        collection: &CollectionName,
        record: RecordId,
        action: Action,
        code: &'static str,
    ) -> Result<KnownRecord<'v>, VaultError> {
        let tenant = ctx.tenant();
        let mut snapshot = Snapshot::new(self);
        let who = snapshot.who(ctx).await?;
        let object = AuditObject::Tenant(tenant);
        let mut attempted = Attempted { principal: who.principal, action, code, object };
        let Some(collection) = snapshot.collection(tenant, collection).await? else {
            return self.refuse_absent(ctx, snapshot, who, attempted).await;
        };
        attempted.object = AuditObject::Record(collection.number, record);
        let Some((sealed, subject)) = snapshot.record(ctx, &collection, record).await? else {
            return self.refuse_absent(ctx, snapshot, who, attempted).await;
        };
        let key = self.key_of(tenant, &collection, record, &sealed).await?;
        Ok(KnownRecord { snapshot, who, collection, subject, sealed, key, attempted })
    }

    /// Decides on an action on a record that has, or is to have, this head.
    pub(crate) fn decide_on_record(
        &self,
        ctx: &TenantCtx,
        who: &Who,
        collection: &Collection,
        record: RecordFacts<'_>,
        action: Action,
        asked: Asked<'_>,
    ) -> Result<Permit, Refusal> {
        let held = who.held();
        let facts = Facts { collection: Some(collection), record: Some(record), ..held.facts() };
        let request = AccessRequest {
            requested: asked.requested,
            reveal: asked.reveal,
            written: asked.written,
            purpose: ctx.about().purpose.as_ref(),
            address: ctx.about().address,
            ..AccessRequest::new(action)
        };
        spans::deciding().in_scope(|| decide(&facts, &request, self.now()))
    }
}

/// A record as the policy takes it.
pub(crate) fn record_facts<'a>(
    id: RecordId,
    head: &'a RecordHead,
    subject: &'a SubjectHead,
) -> RecordFacts<'a> {
    RecordFacts { id, head, subject: SubjectFacts::from(subject) }
}

impl Snapshot<'_> {
    /// A record that is there and whose subject is. Both rows become facts.
    pub(crate) async fn record(
        &mut self,
        ctx: &TenantCtx,
        collection: &Collection,
        record: RecordId,
    ) -> Result<Option<(SealedRecord, Loaded<SubjectHead>)>, VaultError> {
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
        let Some(subject) = subject.filter(|subject| subject.state != SubjectState::Erased) else {
            self.look_for_erasure(ctx.tenant(), *sealed.subject.as_bytes()).await?;
            return Ok(None);
        };
        self.is_about((subject.id, subject.leaf.slot));
        Ok(Some((sealed, subject)))
    }
}
