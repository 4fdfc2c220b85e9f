//! What batches of records share: how many items there may be, how an item names its record, and the
//! lines that they put on record.

use std::collections::BTreeSet;

use strongroom_access_policy::{Granted, Refusal};
use strongroom_crypto::Key;
use strongroom_model::{
    Action, AuditEvent, AuditObject, Collection, CollectionName, CollectionNumber, ExternalId,
    Principal, RecordId, RuleRef, SubjectHead, Touch,
};
use strongroom_storage::{Batch, Line, LinePlaced};

use crate::caller::Who;
use crate::idempotency::{BeforeBatch, Slot};
use crate::index::Index;
use crate::records::SealedRecord;
use crate::records::may::{Intent, May, may};
use crate::snapshot::{Gone, Loaded, Snapshot};
use crate::trail::{Attempted, answered};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError};

/// Most items of one batch.
pub const BATCH_ITEMS_MAX: usize = 100;

/// By what an item of a batch names a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedRecord {
    /// Its id.
    Id(RecordId),
    /// The id that the SaaS product has for it.
    External(ExternalId),
}

/// A record that an item of a batch has made, changed or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The record.
    pub id: RecordId,
    /// Its version from now on; of a deleted record the one that was deleted.
    pub version: u64,
}

/// What became of each item, in their order.
pub type Outcomes<T> = Vec<Result<T, VaultError>>;

/// Refuses a batch of no items or too many.
///
/// # Errors
/// [`VaultError::Invalid`].
pub fn check_count(items: usize) -> Result<(), VaultError> {
    if (1..=BATCH_ITEMS_MAX).contains(&items) {
        Ok(())
    } else {
        Err(VaultError::invalid("/items", format!("a batch has 1 to {BATCH_ITEMS_MAX} items")))
    }
}

/// The outcome of an item: what stops this one alone is its outcome, anything else stops the batch.
pub(crate) fn of_item<T>(
    outcome: Result<T, VaultError>,
) -> Result<Result<T, VaultError>, VaultError> {
    match outcome {
        Ok(done) => Ok(Ok(done)),
        Err(
            error @ (VaultError::Invalid(_)
            | VaultError::WrongState { .. }
            | VaultError::Refused(_)
            | VaultError::NotFound
            | VaultError::Erased(_)
            | VaultError::VersionRequired
            | VaultError::VersionStale { .. }),
        ) => Ok(Err(error)),
        Err(
            error @ (VaultError::Unauthenticated
            | VaultError::UserNotAllowed
            | VaultError::TooManySubjects { .. }
            | VaultError::OnRecord { .. }
            | VaultError::BatchFailed(_)
            | VaultError::IdempotencyReused
            | VaultError::SecretAlreadyShown
            | VaultError::Conflict
            | VaultError::Locked
            | VaultError::Unavailable(_)
            | VaultError::Damaged(_)
            | VaultError::Internal(_)),
        ) => Err(error),
    }
}

/// The lines of a batch: one for all records of a collection that the same rule allows, with a touch
/// for each, and one for each refusal.
pub(crate) struct BatchLines {
    principal: Principal,
    action: Action,
    code: &'static str,
    purpose: String,
    allowed: Vec<(CollectionNumber, RuleRef, AuditEvent)>,
    refused: Vec<AuditEvent>,
}

impl BatchLines {
    pub(crate) fn new(
        ctx: &TenantCtx,
        principal: Principal,
        action: Action,
        code: &'static str,
    ) -> Self {
        let purpose = ctx.about().purpose.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { principal, action, code, purpose, allowed: Vec::new(), refused: Vec::new() }
    }

    fn attempted(&self, object: AuditObject) -> Attempted {
        let Self { principal, action, code, .. } = self;
        Attempted { principal: *principal, action: *action, code, object }
    }

    /// Notes what was allowed on a record of a collection.
    pub(crate) fn allow(
        &mut self,
        collection: CollectionNumber,
        granted: &Granted,
        touch: Option<Touch>,
    ) {
        let known = self
            .allowed
            .iter_mut()
            .find(|(number, rule, _)| *number == collection && *rule == granted.rule);
        if let Some((_, _, event)) = known {
            event.touches.extend(touch);
        } else {
            let attempted = self.attempted(AuditObject::Collection(collection));
            let event = attempted.allowed(granted, touch.into_iter().collect());
            self.allowed.push((collection, granted.rule, event));
        }
    }

    /// Notes what was refused.
    pub(crate) fn refuse(&mut self, object: AuditObject, refusal: &Refusal) {
        let event = self.attempted(object).refused(refusal, self.purpose.clone());
        self.refused.push(event);
    }

    /// Only what was refused: nothing else happened.
    pub(crate) fn of_refusals(self) -> Self {
        Self { allowed: Vec::new(), ..self }
    }

    /// The lines, to be sealed where their places become known.
    pub(crate) async fn seal(
        self,
        vault: &Vault,
        ctx: &TenantCtx,
    ) -> Result<Vec<Box<dyn Line>>, VaultError> {
        let events = self.allowed.into_iter().map(|(_, _, event)| event).chain(self.refused);
        let mut lines = Vec::new();
        for event in events {
            lines.push(vault.line(ctx.tenant(), Some(ctx), event).await?);
        }
        Ok(lines)
    }
}

/// A batch of changes that may go on: somebody who may do this to some records of the collection.
pub(crate) struct Begun<'v> {
    pub(crate) snapshot: Snapshot<'v>,
    pub(crate) shared: Shared,
    /// Where what is done will be remembered, if the request named a key.
    pub(crate) slot: Option<Slot>,
}

/// What the items of a batch of changes share.
pub(crate) struct Shared {
    pub(crate) who: Who,
    pub(crate) collection: Loaded<Collection>,
    pub(crate) lines: BatchLines,
    /// The records that items have named so far.
    named: BTreeSet<RecordId>,
}

/// A record that an item names and that is there.
pub(crate) struct Item {
    pub(crate) id: RecordId,
    pub(crate) sealed: SealedRecord,
    pub(crate) subject: Loaded<SubjectHead>,
    pub(crate) key: Key,
}

impl Shared {
    /// The record that an item names and none before it. What is not there is refused, on a line of its
    /// own, with the answer of absence.
    pub(crate) async fn find(
        &mut self,
        vault: &Vault,
        ctx: &TenantCtx,
        snapshot: &mut Snapshot<'_>,
        named: &NamedRecord,
    ) -> Result<Item, VaultError> {
        let Some(id) = vault.named(ctx, &self.collection, named).await? else {
            let object = AuditObject::Collection(self.collection.number);
            return Err(self.absent(vault, ctx, object, None));
        };
        if !self.named.insert(id) {
            return Err(VaultError::invalid("", "another item of the batch is this record"));
        }
        // Aside, so that what is known of one item is not taken for all.
        let mut aside = Snapshot::new(vault);
        let known = aside.record(ctx, &self.collection, id).await?;
        let gone = aside.gone();
        snapshot.learn(aside);
        if let Some((sealed, subject)) = known {
            match vault.key_of(ctx.tenant(), &self.collection, id, &sealed).await {
                Err(VaultError::Erased(_)) => {}
                key => return Ok(Item { id, sealed, subject, key: key? }),
            }
        }
        let object = AuditObject::Record(self.collection.number, id);
        Err(self.absent(vault, ctx, object, gone))
    }

    fn absent(
        &mut self,
        vault: &Vault,
        ctx: &TenantCtx,
        object: AuditObject,
        gone: Option<Gone>,
    ) -> VaultError {
        let refusal = vault.absence(ctx, &self.who, self.lines.action, gone);
        self.lines.refuse(object, &refusal);
        answered(refusal, gone)
    }

    /// Notes what was refused of a record that is there, and gives what its item is answered.
    pub(crate) fn refuse(&mut self, id: RecordId, refusal: Refusal) -> VaultError {
        self.lines.refuse(AuditObject::Record(self.collection.number, id), &refusal);
        answered(refusal, None)
    }
}

/// What a batch of changes begins with.
pub(crate) enum Beginning<'v> {
    /// It was not carried out before.
    Fresh(Box<Begun<'v>>),
    /// It was, with these outcomes.
    Repeated(Answer<Outcomes<Written>>),
}

/// What is asked of a collection by a batch of changes.
pub(crate) struct Changes<'a> {
    pub(crate) collection: &'a CollectionName,
    pub(crate) action: Action,
    pub(crate) code: &'static str,
    pub(crate) idempotency: Option<&'a Idempotency>,
}

impl Vault {
    /// Begins a batch of changes. Whoever may do nothing of the kind in the collection learns nothing
    /// of single items.
    pub(crate) async fn begin_batch<'v>(
        &'v self,
        ctx: &TenantCtx,
        asked: Changes<'_>,
    ) -> Result<Beginning<'v>, VaultError> {
        let Changes { collection, action, code, idempotency } = asked;
        let intent = Intent { collection, action, code, wanted: None };
        let (mut snapshot, May { who, collection, event, .. }) =
            may(ctx, Snapshot::new(self), &intent).await?;
        match snapshot.before_batch(ctx, idempotency).await? {
            BeforeBatch::Never(slot) => {
                let lines = BatchLines::new(ctx, who.principal, action, code);
                let shared = Shared { who, collection, lines, named: BTreeSet::new() };
                Ok(Beginning::Fresh(Box::new(Begun { snapshot, shared, slot })))
            }
            BeforeBatch::Done(ids) => {
                let outcomes = self.present(ctx, &mut snapshot, &collection, action, ids).await?;
                let committed = self.put_on_record(ctx, snapshot, event).await?;
                let lines = committed.places().to_vec();
                Ok(Beginning::Repeated(Answer { value: outcomes, lines }))
            }
        }
    }

    /// What a batch that was carried out before has done, as it stands now.
    async fn present(
        &self,
        ctx: &TenantCtx,
        snapshot: &mut Snapshot<'_>,
        collection: &Collection,
        action: Action,
        ids: Vec<Option<RecordId>>,
    ) -> Result<Outcomes<Written>, VaultError> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(id) = id else {
                outcomes.push(Err(VaultError::wrong_state(
                    "not_repeated",
                    "the item was not carried out when the batch first came, and is not tried again",
                )));
                continue;
            };
            let mut aside = Snapshot::new(self);
            let found = aside.record(ctx, collection, id).await?;
            snapshot.learn(aside);
            outcomes.push(match found {
                Some((sealed, _)) => Ok(Written { id, version: sealed.version }),
                // What was to be deleted is.
                None if action == Action::Delete => Ok(Written { id, version: 0 }),
                None => Err(VaultError::NotFound),
            });
        }
        Ok(outcomes)
    }

    /// The record that an item names, whoever asks: what may be known of it is decided afterwards. An
    /// id is taken as it is.
    pub(crate) async fn named(
        &self,
        ctx: &TenantCtx,
        collection: &Collection,
        named: &NamedRecord,
    ) -> Result<Option<RecordId>, VaultError> {
        match named {
            NamedRecord::Id(id) => Ok(Some(*id)),
            NamedRecord::External(external_id) => {
                let index = Index::of_records(ctx.tenant(), collection);
                let hit = Snapshot::new(self).find(index, external_id.as_str()).await?;
                Ok(hit.map(|hit| hit.record))
            }
        }
    }

    /// Puts the refusals of a batch on record of which nothing is carried out, because it is to be
    /// carried out as a whole or not at all.
    pub(crate) async fn fail_batch<T>(
        &self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'_>,
        lines: BatchLines,
        outcomes: Outcomes<Written>,
    ) -> Result<T, VaultError> {
        let failed = outcomes.into_iter().enumerate();
        let failed =
            failed.filter_map(|(place, outcome)| outcome.err().map(|error| (place, error)));
        self.fail_with_refusals(ctx, snapshot, lines, VaultError::BatchFailed(failed.collect()))
            .await
    }

    /// Answers an error for all of a batch, once the refusals among its items are on record.
    pub(crate) async fn fail_with_refusals<T>(
        &self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'_>,
        lines: BatchLines,
        error: VaultError,
    ) -> Result<T, VaultError> {
        let lines = lines.of_refusals().seal(self, ctx).await?;
        if lines.is_empty() {
            return Err(error);
        }
        let committed = self.store.append(lines, snapshot.into_facts()).await?;
        Err(VaultError::OnRecord { error: Box::new(error), lines: committed.places().to_vec() })
    }

    /// Commits a batch with its lines, and what a repetition of it is answered.
    pub(crate) async fn commit_batch(
        &self,
        ctx: &TenantCtx,
        mut batch: Batch,
        lines: BatchLines,
        slot: Option<Slot>,
        outcomes: &Outcomes<Written>,
    ) -> Result<Vec<LinePlaced>, VaultError> {
        if let Some(slot) = slot {
            let ids: Vec<Option<RecordId>> = outcomes
                .iter()
                .map(|outcome| outcome.as_ref().ok().map(|written| written.id))
                .collect();
            slot.fill_batch(self, &mut batch, ctx.tenant(), &ids).await?;
        }
        for line in lines.seal(self, ctx).await? {
            batch.line(line);
        }
        let committed = self.store.commit(batch).await?;
        Ok(committed.places().to_vec())
    }
}
