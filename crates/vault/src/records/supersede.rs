//! A record takes another number, so that the version before dies without the record.

use strongroom_crypto::Key;
use strongroom_keyring::{Half, ShredTarget, Tombstone};
use strongroom_model::{Collection, RecordId, TenantId};
use strongroom_storage::keyspace::RowKind;

use crate::erasures::refuse_held;
use crate::records::SealedRecord;
use crate::records::change::Target;
use crate::records::codec::Place;
use crate::records::writer::Writer;
use crate::{TenantCtx, Vault, VaultError, keyspace};

/// The kind of the tombstones of superseded versions: what their number was used for is the entry of a
/// manifest. Those of erasures stand for records, persons, collections and tenants.
pub(crate) const SUPERSEDED: RowKind = RowKind::ManifestEntry;

impl Writer<'_> {
    /// Gives a record that changes another number of its subject, with its key, and fences the one that it has,
    /// where the change erases what was there: a correction, or one in a collection that forgets old
    /// versions. It is called when nothing can be wrong with the change any more.
    ///
    /// A hold keeps what is there: a correction waits for its release, and a collection does not forget old
    /// versions of what is about a person under one.
    ///
    /// # Errors
    /// `held`; those of the store and the keyring.
    pub(crate) async fn renumber(
        &mut self,
        ctx: &TenantCtx,
        target: &Target<'_>,
        correction: bool,
    ) -> Result<Option<(Place, Key)>, VaultError> {
        if correction {
            refuse_held(target.subject)?;
        }
        let forgets = self.collection().forgets_old_versions && target.subject.holds.is_empty();
        if !correction && !forgets {
            return Ok(None);
        }
        let (tenant, subject) = (ctx.tenant(), target.subject.id);
        let old = target.sealed.place;
        let place = self.next_number(ctx, subject).await?;
        self.enter(ctx, subject, place, target.record).await?;
        self.batch.delete(keyspace::manifest_entry(tenant, subject, old.number));
        let vault = self.snapshot.vault;
        vault.keyring.fence(&mut self.batch, &[tombstone(tenant, target.record, old)]);
        let key = vault.record_key(tenant, self.collection(), place).await?;
        Ok(Some((place, key)))
    }
}

/// What says that a version of a record is to be erased.
fn tombstone(tenant: TenantId, record: RecordId, old: Place) -> Tombstone {
    Tombstone {
        tenant,
        kind: SUPERSEDED,
        id: *record.as_bytes(),
        part: 0,
        target: ShredTarget::Numbers {
            half: Half::Data,
            slot: old.slot,
            numbers: vec![old.number],
        },
    }
}

impl Vault {
    /// The key of a record that was found. Where it is gone because the record has taken another number
    /// meanwhile, the record is to be looked for again.
    ///
    /// # Errors
    /// [`VaultError::Erased`]; [`VaultError::Conflict`] for a record that is there under another number.
    pub(crate) async fn key_of(
        &self,
        tenant: TenantId,
        collection: &Collection,
        record: RecordId,
        sealed: &SealedRecord,
    ) -> Result<Key, VaultError> {
        match self.record_key(tenant, collection, sealed.place).await {
            Err(VaultError::Erased(receipt)) => {
                let row = keyspace::record(tenant, collection.number, record);
                let now = self.store.get_many(&[row]).await?.into_iter().flatten().next();
                match now.map(SealedRecord::parse).transpose()? {
                    Some(now) if now.place.number != sealed.place.number => {
                        Err(VaultError::Conflict)
                    }
                    Some(_) | None => Err(VaultError::Erased(receipt)),
                }
            }
            key => key,
        }
    }
}
