//! Step 1 of an erasure: one commit writes the tombstones, hides what is to be erased and puts it on
//! record, so that nothing can be created past it.

use strongroom_keyring::{Half, ShredTarget, Tombstone};
use strongroom_model::{
    AuditEvent, Collection, CollectionNumber, Erasure, ErasureGround, ErasureId, ErasureState,
    ErasureTarget, ExternalId, FilePlace, Principal, RecordId, SubjectHead, Tenant, TenantId,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, Expect, LinePlaced};

use crate::collections::CollectionList;
use crate::files::FileOwner;
use crate::index::{self, Index};
use crate::records::Place;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Loaded, Snapshot};
use crate::{TenantCtx, Vault, VaultError, keyspace};

/// Gathers what one erasure fences off.
pub(crate) struct Fence<'v> {
    vault: &'v Vault,
    tenant: TenantId,
    batch: Batch,
    tombstones: Vec<Tombstone>,
    index_pages: usize,
}

/// A record that is to be erased.
pub(crate) struct RecordTarget<'r> {
    pub(crate) collection: &'r Collection,
    pub(crate) record: RecordId,
    pub(crate) subject: &'r Loaded<SubjectHead>,
    pub(crate) place: Place,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) files: Vec<FilePlace>,
}

impl<'v> Fence<'v> {
    pub(crate) fn new(vault: &'v Vault, tenant: TenantId) -> Self {
        Self { vault, tenant, batch: Batch::new(), tombstones: Vec::new(), index_pages: 0 }
    }

    /// A record: its number is punctured, its row goes at once.
    pub(crate) async fn record(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        target: RecordTarget<'_>,
    ) -> Result<(), VaultError> {
        self.records(snapshot, vec![target]).await
    }

    /// Records of one collection. Their external ids leave the index together, because a page of it is
    /// re-keyed once.
    pub(crate) async fn records(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        targets: Vec<RecordTarget<'_>>,
    ) -> Result<(), VaultError> {
        let Some(first) = targets.first() else { return Ok(()) };
        let index = Index::of_records(self.tenant, first.collection);
        let external_ids = targets.iter().filter_map(|target| target.external_id.as_ref());
        let values: Vec<String> = external_ids.map(ToString::to_string).collect();
        for target in targets {
            refuse_held(target.subject)?;
            self.cut(&target).await?;
        }
        if !values.is_empty() {
            self.index_pages += index::forget(snapshot, &mut self.batch, index, &values).await?;
        }
        Ok(())
    }

    /// Takes a record's rows away and punctures its number, and those of its files.
    async fn cut(&mut self, target: &RecordTarget<'_>) -> Result<(), VaultError> {
        let owner = FileOwner {
            tenant: self.tenant,
            collection: target.collection.number,
            record: target.record,
            subject: target.subject.id,
            slot: target.place.slot,
        };
        for place in &target.files {
            self.vault.doom_file(&mut self.batch, &owner, *place).await?;
        }
        self.batch.delete(keyspace::record(self.tenant, target.collection.number, target.record));
        self.batch.delete(keyspace::manifest_entry(
            self.tenant,
            target.subject.id,
            target.place.number,
        ));
        self.tombstones.push(Tombstone {
            tenant: self.tenant,
            kind: RowKind::Record,
            id: *target.record.as_bytes(),
            part: 0,
            target: ShredTarget::Numbers {
                half: Half::Data,
                slot: target.place.slot,
                numbers: vec![target.place.number],
            },
        });
        Ok(())
    }

    /// A person: the seed dies, and with it all that is sealed under its numbers. The index entries
    /// of their records are taken out when the erasure is carried out.
    pub(crate) async fn subject(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        subject: &Loaded<SubjectHead>,
    ) -> Result<(), VaultError> {
        refuse_held(subject)?;
        if let Some(external_id) = &subject.external_id {
            let index = Index::of_subjects(self.tenant);
            let values = [external_id.to_string()];
            self.index_pages += index::forget(snapshot, &mut self.batch, index, &values).await?;
        }
        snapshot.is_about((subject.id, subject.leaf.slot));
        let key = keyspace::subject_head(self.tenant, subject.id);
        let erased = SubjectHead { state: subject.state.erase()?, ..(*subject.value).clone() };
        let value = self.vault.seal_row(&key, subject.leaf, subject.version + 1, &erased).await?;
        self.batch.put(key, subject.version + 1, value);
        self.tombstones.push(Tombstone {
            tenant: self.tenant,
            kind: RowKind::SubjectHead,
            id: *subject.id.as_bytes(),
            part: 0,
            target: ShredTarget::Leaf { half: Half::Data, slot: subject.leaf.slot },
        });
        Ok(())
    }

    /// A collection: its key dies, and with it all its records and their index.
    pub(crate) async fn collection(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        collection: &Loaded<Collection>,
    ) -> Result<(), VaultError> {
        let list_key = keyspace::collection_list(self.tenant);
        let list = snapshot.load::<CollectionList>(&list_key).await?.ok_or(VaultError::NotFound)?;
        let mut marked = (*list.value).clone();
        for entry in marked.collections.iter_mut().filter(|entry| entry.number == collection.number)
        {
            entry.erased = true;
        }
        let value =
            self.vault.seal_row(&list_key, OwnerLeaf::NOBODY, list.version + 1, &marked).await?;
        self.batch.put(list_key, list.version + 1, value);
        let key = keyspace::collection(self.tenant, collection.number);
        let erased = Collection { erased: true, ..(*collection.value).clone() };
        let value =
            self.vault.seal_row(&key, OwnerLeaf::NOBODY, collection.version + 1, &erased).await?;
        self.batch.put(key, collection.version + 1, value);
        self.tombstones.push(Tombstone {
            tenant: self.tenant,
            kind: RowKind::Collection,
            id: *collection.id.as_bytes(),
            part: 0,
            target: ShredTarget::Leaf { half: Half::Data, slot: collection.slot },
        });
        Ok(())
    }

    /// The tenant's data: one leaf of the root tree dies.
    pub(crate) async fn tenant(&mut self, tenant: &Loaded<Tenant>) -> Result<(), VaultError> {
        let key = keyspace::tenant(self.tenant);
        let erased = Tenant { state: tenant.state.erase()?, ..(*tenant.value).clone() };
        let value =
            self.vault.seal_row(&key, OwnerLeaf::NOBODY, tenant.version + 1, &erased).await?;
        self.batch.put(key, tenant.version + 1, value);
        self.tombstones.push(Tombstone {
            tenant: self.tenant,
            kind: RowKind::Tenant,
            id: *self.tenant.as_bytes(),
            part: 0,
            target: ShredTarget::Tenant { half: Half::Data },
        });
        Ok(())
    }

    pub(crate) fn erasure_of_record(
        &self,
        collection: CollectionNumber,
        record: RecordId,
        ground: ErasureGround,
        by: Principal,
    ) -> Erasure {
        self.erasure(ErasureTarget::Record(collection, record), ground, by)
    }

    /// The erasure's row as it begins.
    pub(crate) fn erasure(
        &self,
        target: ErasureTarget,
        ground: ErasureGround,
        by: Principal,
    ) -> Erasure {
        Erasure {
            id: id_of(&target),
            tenant: self.tenant,
            target,
            ground,
            state: ErasureState::Pending,
            requested_by: by,
            requested_at: self.vault.now(),
            closed_at: Some(self.vault.now()),
            erased_at: None,
            receipt: None,
            index_pages: u32::try_from(self.index_pages).unwrap_or(u32::MAX),
        }
    }

    /// The commit that the fence will make, for what goes with it.
    pub(crate) fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Commits the fence.
    pub(crate) async fn close(
        self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'_>,
        erasure: Erasure,
        event: AuditEvent,
    ) -> Result<(Vec<LinePlaced>, Erasure), VaultError> {
        let (vault, tenant, about) = (self.vault, self.tenant, snapshot.person());
        let mut batch = self.into_batch(snapshot, std::slice::from_ref(&erasure)).await?;
        batch.line(vault.line_about(tenant, Some(ctx), about, event).await?);
        let committed = vault.store.commit(batch).await?;
        Ok((committed.places().to_vec(), erasure))
    }

    /// The commit that makes the fence, without the lines that go with it.
    pub(crate) async fn into_batch(
        mut self,
        mut snapshot: Snapshot<'_>,
        erasures: &[Erasure],
    ) -> Result<Batch, VaultError> {
        snapshot.end_jobs_with_data(&mut self.batch, self.tenant).await?;
        self.vault.keyring.fence(&mut self.batch, &self.tombstones);
        for erasure in erasures {
            let key = keyspace::erasure(self.tenant, erasure.id);
            let value = self.vault.seal_row(&key, OwnerLeaf::NOBODY, 1, erasure).await?;
            self.batch.expect(Expect::Absent(key.clone())).put(key, 1, value);
        }
        snapshot.expect_in(&mut self.batch);
        Ok(self.batch)
    }
}

/// The id of the erasure of a target: the target's own.
pub(crate) fn id_of(target: &ErasureTarget) -> ErasureId {
    ErasureId::from_bytes(match target {
        ErasureTarget::Record(_, record) => *record.as_bytes(),
        ErasureTarget::Subject(subject) => *subject.as_bytes(),
        ErasureTarget::Collection(_, _, id) => *id.as_bytes(),
        ErasureTarget::Tenant(tenant) => *tenant.as_bytes(),
    })
}

/// A hold blocks every way of erasing.
pub(crate) fn refuse_held(subject: &SubjectHead) -> Result<(), VaultError> {
    match subject.holds.first() {
        None => Ok(()),
        Some(_) => {
            Err(VaultError::wrong_state("held", "a legal hold on the person blocks the erasure"))
        }
    }
}
