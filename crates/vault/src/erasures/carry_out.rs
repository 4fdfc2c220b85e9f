//! Steps 2 to 5 of erasures: index entries out, keys destroyed, receipts signed.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use strongroom_audit::position::Position;
use strongroom_audit::receipt::{self, Exclusion, Receipt, ReceiptState, Scope};
use strongroom_crypto::sign::SigningKey;
use strongroom_keyring::{Grade, Half, Service, ShredOutcome, ShredTarget, Tombstone};
use strongroom_model::{
    Action, AuditObject, Collection, CollectionNumber, Erasure, ErasureId, ErasureState,
    ErasureTarget, JobName, Principal, ReceiptId, RecordPlace, SubjectId, TenantId,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, KeyRange, RowKey};

use crate::index::{self, Index};
use crate::records::{SUPERSEDED, SealedRecord};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Vault, VaultError, keyspace};

/// Keys that one shred takes.
const TARGETS_MAX: usize = 4_000;
/// Manifest entries looked at at a time, and values that one commit takes out of an index.
const ENTRIES_AT_ONCE: usize = 100;

/// Seconds for which old versions of records wait for an erasure to go with, at the most.
const OLD_VERSIONS_EVERY_S: i64 = 60;
/// Tombstones of old versions that one commit clears.
const TOMBSTONES_AT_ONCE: usize = 200;

/// As many as one shred takes, those that stand first. Of a record with too many numbers the rest waits.
fn at_once(stones: impl Iterator<Item = Tombstone>) -> Vec<Tombstone> {
    let mut left = TARGETS_MAX;
    let mut taken = Vec::new();
    for mut stone in stones.take(TARGETS_MAX) {
        let keys = match &mut stone.target {
            ShredTarget::Numbers { numbers, .. } => {
                numbers.truncate(left);
                numbers.len()
            }
            ShredTarget::Leaf { .. } | ShredTarget::Tenant { .. } => left.min(1),
        };
        if keys == 0 {
            break;
        }
        left -= keys;
        taken.push(stone);
    }
    taken
}

/// Whether nobody has asked to erase by itself what a tombstone stands for: it went with a change.
fn goes_by_the_way(stone: &Tombstone) -> bool {
    is_superseded(stone) || stone.kind == RowKind::File
}

/// Whether a tombstone stands for an old version of a record.
fn is_superseded(stone: &Tombstone) -> bool {
    stone.kind == SUPERSEDED
}

/// A signed receipt as it is kept.
#[derive(Debug, minicbor::Encode, minicbor::Decode)]
pub(crate) struct ReceiptRow {
    #[n(0)]
    pub(crate) tenant: TenantId,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) signed: Vec<u8>,
}

impl Vault {
    /// Carries out erasures that have been asked for, as many as one shred takes, and says how many
    /// are complete. It can be stopped anywhere and run again.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`] if a holder or the store is: it goes on when they are back.
    pub(crate) async fn carry_out_erasures(&self) -> Result<usize, VaultError> {
        let _one_at_a_time = self.erasing.lock().await;
        let (mut superseded, mut asked_for): (Vec<_>, Vec<_>) =
            self.keyring.tombstones_pending().await?.into_iter().partition(is_superseded);
        // Old versions go with the next erasure, and wait for one no longer than their interval.
        if asked_for.is_empty() && !self.old_versions_are_due() {
            superseded.clear();
        }
        // A record's files and old versions die no later than the record, whose receipt covers them.
        asked_for.sort_by_key(|stone| stone.kind != RowKind::File);
        let pending = at_once(superseded.into_iter().chain(asked_for));
        if pending.is_empty() {
            return Ok(0);
        }
        for stone in pending.iter().filter(|stone| stone.kind == RowKind::SubjectHead) {
            self.forget_index_of(stone.tenant, SubjectId::from_bytes(stone.id)).await?;
        }
        let outcome = self.keyring.shred(&pending).await?;
        for stone in &pending {
            self.forget_opened(stone.tenant);
        }
        let (by_the_way, asked_for): (Vec<_>, Vec<_>) =
            pending.iter().cloned().partition(goes_by_the_way);
        for stone in &asked_for {
            attempt(|| self.settle(stone, &outcome)).await?;
        }
        if outcome.complete {
            self.settle_by_the_way(&by_the_way, &outcome).await?;
        }
        Ok(if outcome.complete { pending.len() } else { 0 })
    }

    /// Whether old versions of records have waited for their interval; it begins anew then.
    fn old_versions_are_due(&self) -> bool {
        let mut next = self.old_versions_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        let due = *next <= now;
        if due {
            *next = now.plus_seconds(OLD_VERSIONS_EVERY_S);
        }
        due
    }

    /// Step 5 for old versions of records and for files: what is left of their seed shows that they are gone,
    /// so their tombstones go. The change that did away with them is on record, and nobody is given a
    /// receipt for it.
    async fn settle_by_the_way(
        &self,
        stones: &[Tombstone],
        outcome: &ShredOutcome,
    ) -> Result<(), VaultError> {
        for some in stones.chunks(TOMBSTONES_AT_ONCE) {
            let mut batch = Batch::new();
            self.keyring.finish_and_forget(&mut batch, some, outcome)?;
            let _committed = self.store.commit(batch).await?;
        }
        Ok(())
    }

    /// Takes the external ids of a person's records out of the indexes, while their heads can still
    /// be opened. What is gone already is left out, so that this can be run again.
    async fn forget_index_of(
        &self,
        tenant: TenantId,
        subject: SubjectId,
    ) -> Result<(), VaultError> {
        let prefix = keyspace::manifest_prefix(tenant, subject);
        let mut range = KeyRange::prefix(prefix.as_bytes());
        loop {
            let rows = self.store.scan(&range, ENTRIES_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = KeyRange::after(last, prefix.as_bytes());
            let mut values: BTreeMap<CollectionNumber, Vec<String>> = BTreeMap::new();
            for (key, row) in &rows {
                let place = match self.open_row::<RecordPlace>(key, row).await {
                    Err(VaultError::Erased(_)) => continue,
                    place => place?.0,
                };
                if place.file.is_none()
                    && let Some(external_id) = self.external_id_at(tenant, place).await?
                {
                    values.entry(place.collection).or_default().push(external_id);
                }
            }
            for (number, values) in values {
                let pages = attempt(|| self.forget_values(tenant, number, &values)).await?;
                self.count_pages(tenant, ErasureId::from_bytes(*subject.as_bytes()), pages).await?;
            }
        }
    }

    async fn external_id_at(
        &self,
        tenant: TenantId,
        place: RecordPlace,
    ) -> Result<Option<String>, VaultError> {
        let mut snapshot = Snapshot::new(self);
        let Some(collection) = snapshot.collection_of(tenant, place.collection).await? else {
            return Ok(None);
        };
        let key = keyspace::record(tenant, place.collection, place.record);
        let rows = self.store.get_many(std::slice::from_ref(&key)).await?;
        let Some(row) = rows.into_iter().flatten().next() else { return Ok(None) };
        let sealed = SealedRecord::parse(row)?;
        let record_key = match self.record_key(tenant, &collection, sealed.place).await {
            Err(VaultError::Erased(_)) => return Ok(None),
            key => key?,
        };
        let opened = self.open_head(&record_key, tenant, &collection, place.record, &sealed)?;
        Ok(opened.head.external_id.as_ref().map(ToString::to_string))
    }

    async fn forget_values(
        &self,
        tenant: TenantId,
        number: CollectionNumber,
        values: &[String],
    ) -> Result<usize, VaultError> {
        let mut snapshot = Snapshot::new(self);
        let Some(collection) = snapshot.collection_of(tenant, number).await? else { return Ok(0) };
        let collection: &Collection = &collection;
        if collection.erased {
            return Ok(0);
        }
        let mut batch = Batch::new();
        let pages =
            index::forget(&mut snapshot, &mut batch, Index::of_records(tenant, collection), values)
                .await?;
        if pages > 0 {
            snapshot.expect_in(&mut batch);
            let _committed = self.store.commit(batch).await?;
        }
        Ok(pages)
    }

    /// Adds to the number of index pages that the receipt will name.
    async fn count_pages(
        &self,
        tenant: TenantId,
        erasure: ErasureId,
        pages: usize,
    ) -> Result<(), VaultError> {
        attempt(|| async {
            let mut snapshot = Snapshot::new(self);
            let key = keyspace::erasure(tenant, erasure);
            let Some(found) = snapshot.load::<Erasure>(&key).await? else { return Ok(()) };
            let more = u32::try_from(pages).unwrap_or(u32::MAX);
            let counted = Erasure {
                index_pages: found.index_pages.saturating_add(more),
                ..(*found.value).clone()
            };
            let mut batch = snapshot.into_batch();
            let value = self.seal_row(&key, OwnerLeaf::NOBODY, found.version + 1, &counted).await?;
            batch.put(key, found.version + 1, value);
            let _committed = self.store.commit(batch).await?;
            Ok(())
        })
        .await
    }

    /// Step 5 for one tombstone: the line, then the receipt with the line's place, the erasure's row
    /// and the tombstone in one commit.
    async fn settle(&self, stone: &Tombstone, outcome: &ShredOutcome) -> Result<(), VaultError> {
        let mut snapshot = Snapshot::new(self);
        let id = ErasureId::from_bytes(stone.id);
        let key = keyspace::erasure(stone.tenant, id);
        let Some(found) = snapshot.load::<Erasure>(&key).await? else {
            return Err(VaultError::Damaged("a tombstone without its erasure".into()));
        };
        let mut erasure = (*found.value).clone();
        let mut batch = snapshot.into_batch();
        let begun = match erasure.state {
            ErasureState::Pending => erasure.state.begin()?,
            under_way => under_way,
        };
        if outcome.complete {
            let object = AuditObject::Other(ErasureId::PREFIX, stone.id);
            let principal = Principal::Job(JobName::Eraser);
            let event =
                Attempted { principal, action: Action::Erase, code: "erasure.done", object }.done();
            let line = self.line(stone.tenant, None, event).await?;
            let placed = self.store.append(vec![line], Vec::new()).await?;
            let place = placed.places().first().ok_or_else(crate::rows::damaged)?;
            let audit = Position { node: place.node, n: place.n, tag: place.tag };
            let receipt = self.receipt_of(&erasure, outcome, audit)?;
            erasure.state = begun.finish()?;
            erasure.erased_at = receipt.forgotten_at;
            erasure.receipt = Some(receipt.id);
            let signed = receipt::sign(&receipt, &self.receipt_key().await?)
                .map_err(|error| VaultError::Internal(Box::new(error)))?;
            let at = keyspace::receipt(receipt.id);
            let row = ReceiptRow { tenant: stone.tenant, signed };
            let value = self.seal_row(&at, OwnerLeaf::NOBODY, 1, &row).await?;
            batch.put(at, 1, value);
            self.keyring.finish(&mut batch, std::slice::from_ref(stone), outcome)?;
        } else {
            erasure.state = match begun {
                ErasureState::Partial => begun,
                under_way => under_way.forget_partly()?,
            };
        }
        let value = self.seal_row(&key, OwnerLeaf::NOBODY, found.version + 1, &erasure).await?;
        batch.put(key, found.version + 1, value);
        let _committed = self.store.commit(batch).await?;
        Ok(())
    }

    fn receipt_of(
        &self,
        erasure: &Erasure,
        outcome: &ShredOutcome,
        audit: Position,
    ) -> Result<Receipt, VaultError> {
        let mut exclusions = vec![
            Exclusion::Exports,
            Exclusion::Recipients,
            Exclusion::FreeText,
            Exclusion::MachineImages,
            Exclusion::CopiedKeys,
        ];
        if erasure.index_pages > 0 {
            exclusions.push(Exclusion::IndexResidue);
        }
        exclusions.push(Exclusion::Metadata);
        Ok(Receipt {
            id: ReceiptId::new(self.now(), &*self.rng)?,
            install: self.keyring.install(),
            tenant: erasure.tenant,
            erasure: erasure.id,
            scope: match &erasure.target {
                ErasureTarget::Record(collection, record) => {
                    Scope::Record(*collection, *record.as_bytes())
                }
                ErasureTarget::Subject(subject) => Scope::Subject(*subject.as_bytes()),
                ErasureTarget::Collection(number, _, _) => Scope::Collection(*number),
                ErasureTarget::Tenant(_) => Scope::Tenant,
            },
            ground: erasure.ground,
            requested_at: erasure.requested_at,
            fenced_at: erasure.closed_at.unwrap_or(erasure.requested_at),
            forgotten_at: Some(self.now()),
            number_before: outcome.number_before,
            number_after: outcome.number_after,
            state: ReceiptState::Erased,
            holders: outcome
                .holders
                .iter()
                .map(|holder| receipt::Holder {
                    class: holder.class,
                    grade: grade(holder.grade),
                    replicas: u16::try_from(holder.replicas).unwrap_or(u16::MAX),
                    forgotten: u16::try_from(holder.forgotten).unwrap_or(u16::MAX),
                })
                .collect(),
            index_pages: erasure.index_pages,
            index_residue_until: None,
            exclusions,
            audit,
        })
    }

    /// The key that signs receipts: a leaf of the provider's own tree.
    pub(crate) async fn receipt_key(&self) -> Result<SigningKey, VaultError> {
        let seed = self.keyring.service(TenantId::PROVIDER, Half::Data, Service::Signing).await?;
        Ok(SigningKey::from_seed(seed.duplicate())?)
    }

    /// An erasure as it stands now.
    pub(crate) async fn erasure(&self, erasure: &Erasure) -> Result<Erasure, VaultError> {
        let key: RowKey = keyspace::erasure(erasure.tenant, erasure.id);
        let found = Snapshot::new(self).load::<Erasure>(&key).await?.ok_or(VaultError::NotFound)?;
        Ok((*found.value).clone())
    }
}

fn grade(grade: Grade) -> receipt::Grade {
    match grade {
        // Until a holder says by when it forgets, a delayed one is worth no more than a logical one.
        Grade::Logical | Grade::Delayed => receipt::Grade::Logical,
        Grade::Overwritten => receipt::Grade::Overwritten,
        Grade::Hardware => receipt::Grade::Hardware,
    }
}
