//! Numbers for records about nobody: a collection's filler subject, and blocks of its numbers that
//! this process has taken, so that creations do not wait for each other.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use strongroom_keyring::Half;
use strongroom_model::{
    Collection, CollectionNumber, FIRST_RECORD_NUMBER, Filler, SubjectHead, SubjectId, SubjectKind,
    TenantId,
};
use strongroom_storage::Batch;

use crate::records::codec::Place;
use crate::rows::{OwnerLeaf, damaged};
use crate::snapshot::{Loaded, Snapshot};
use crate::subjects::new_head;
use crate::{Vault, VaultError, keyspace};

/// Records that share a filler subject at most.
const FILLER_RECORDS_MAX: u32 = 1 << 16;
/// Numbers taken at a time, where no more are needed.
const BLOCK: u32 = 64;

/// What creations in this process share.
#[derive(Default)]
pub(crate) struct Creations {
    blocks: Mutex<HashMap<(TenantId, CollectionNumber), TakenBlock>>,
    taking: tokio::sync::Mutex<()>,
}

struct TakenBlock {
    subject: SubjectId,
    place: Place,
    end: u32,
}

impl Creations {
    fn next(
        &self,
        tenant: TenantId,
        collection: CollectionNumber,
        filler: Filler,
    ) -> Option<(SubjectId, Place)> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let block = blocks.get_mut(&(tenant, collection))?;
        if block.subject != filler.subject || block.place.number >= block.end {
            return None;
        }
        let place = block.place;
        block.place.number += 1;
        Some((block.subject, place))
    }

    fn left(&self, tenant: TenantId, collection: CollectionNumber, filler: Filler) -> u32 {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let block =
            blocks.get(&(tenant, collection)).filter(|block| block.subject == filler.subject);
        block.map_or(0, |block| block.end.saturating_sub(block.place.number))
    }
}

impl Vault {
    /// A number for a record of this collection that is about nobody, from the block that
    /// [`Vault::reserve_filler`] has taken. Numbers that are not used are lost, which costs nothing.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when others have used up the block meanwhile.
    pub(crate) fn filler_number(
        &self,
        tenant: TenantId,
        collection: &Collection,
    ) -> Result<(SubjectId, Place), VaultError> {
        let filler = collection.filler.ok_or(VaultError::Conflict)?;
        self.creations.next(tenant, collection.number, filler).ok_or(VaultError::Conflict)
    }

    /// Takes a block of at least so many numbers, in a commit of its own. It comes before the
    /// filler's head is read as a fact, because it changes the head.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] when the collection got a new filler: what was read of it is old.
    pub(crate) async fn reserve_filler(
        &self,
        tenant: TenantId,
        collection: &Loaded<Collection>,
        need: u32,
    ) -> Result<(), VaultError> {
        if let Some(filler) = collection.filler
            && self.creations.left(tenant, collection.number, filler) >= need
        {
            return Ok(());
        }
        let _one_at_a_time = self.creations.taking.lock().await;
        let Some(filler) = collection.filler else {
            return self.plant_filler(tenant, collection).await;
        };
        if self.creations.left(tenant, collection.number, filler) >= need {
            return Ok(());
        }
        let mut snapshot = Snapshot::new(self);
        let head = snapshot.subject(tenant, filler.subject).await?.ok_or(VaultError::Conflict)?;
        let block = need.max(BLOCK);
        if head.next_number.saturating_add(block) > FIRST_RECORD_NUMBER + FILLER_RECORDS_MAX {
            return self.plant_filler(tenant, collection).await;
        }
        let first = head.next_number;
        let grown = SubjectHead { next_number: first + block, ..(*head.value).clone() };
        let key = keyspace::subject_head(tenant, filler.subject);
        let mut batch = snapshot.into_batch();
        let value = self.seal_row(&key, head.leaf, head.version + 1, &grown).await?;
        batch.put(key, head.version + 1, value);
        let _committed = self.store.commit(batch).await?;
        let place = Place { slot: filler.slot, epoch: head.epoch, number: first };
        let taken = TakenBlock { subject: filler.subject, place, end: first + block };
        self.creations
            .blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((tenant, collection.number), taken);
        Ok(())
    }

    /// Gives a collection a new filler subject.
    async fn plant_filler(
        &self,
        tenant: TenantId,
        collection: &Loaded<Collection>,
    ) -> Result<(), VaultError> {
        let slots = self.keyring.take_slots(tenant, Half::Data, 1).await?;
        let slot = slots.first().copied().ok_or_else(damaged)?;
        let subject = SubjectId::new(self.now(), &*self.rng)?;
        let head = new_head(subject, SubjectKind::Filler(collection.number), None, self.now());
        let mut batch = Batch::new();
        let key = keyspace::subject_head(tenant, subject);
        let value = self.seal_row(&key, OwnerLeaf::subject(subject, slot, 0, 0), 1, &head).await?;
        batch.expect_absent(key.clone()).put(key, 1, value);
        let with =
            Collection { filler: Some(Filler { subject, slot }), ..(*collection.value).clone() };
        let key = keyspace::collection(tenant, collection.number);
        let value = self.seal_row(&key, OwnerLeaf::NOBODY, collection.version + 1, &with).await?;
        batch.expect_version(key.clone(), collection.version).put(
            key,
            collection.version + 1,
            value,
        );
        let _committed = self.store.commit(batch).await?;
        // The collection's row has changed: whoever asked reads it again.
        Err(VaultError::Conflict)
    }
}
