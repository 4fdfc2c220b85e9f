//! Records as they are kept: `subject 16 | slot u64 | header16 | body`, field 0 of the body being
//! the record head (`docs/formats/record-head.md`).

use bytes::Bytes;
use strongroom_crypto::{Context, Key, MessagePurpose, record, scrub_once};
use strongroom_keyring::Half;
use strongroom_model::{Collection, Plaintext, RecordHead, RecordId, SubjectId, TenantId, Wiping};
use strongroom_storage::Row;

use crate::rows::{OWNER_BYTES, damaged, join_owner, split_owner};
use crate::{Vault, VaultError};

/// A record's row, taken apart as far as that goes without a key.
pub(crate) struct SealedRecord {
    pub(crate) version: u64,
    pub(crate) subject: SubjectId,
    pub(crate) place: Place,
    row: Row,
}

/// Where a record's key is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The leaf of the subject's seed.
    pub(crate) slot: u64,
    /// The seed's epoch.
    pub(crate) epoch: u16,
    /// The record's number under the seed.
    pub(crate) number: u32,
}

impl SealedRecord {
    pub(crate) fn parse(row: Row) -> Result<Self, VaultError> {
        let (subject, slot, sealed) = split_owner(&row.value).ok_or_else(damaged)?;
        let (epoch, number) = Context::peek(sealed).ok_or_else(damaged)?;
        let subject = SubjectId::from_bytes(subject);
        Ok(Self { version: row.version, subject, place: Place { slot, epoch, number }, row })
    }

    /// The sealed message.
    fn message(&self) -> Bytes {
        self.row.value.slice(OWNER_BYTES.min(self.row.value.len())..)
    }
}

/// A record whose head has been opened.
pub(crate) struct Opened {
    pub(crate) head: RecordHead,
    body: record::OpenRecord<Bytes>,
}

impl Opened {
    /// Opens one field in place of what is in `out`; `false` if there is none. Only
    /// [`crate::records::view::disclose`] calls it, and [`Opened::open`].
    pub(crate) fn open_into(
        &self,
        field: u32,
        out: &mut Plaintext<Vec<u8>>,
    ) -> Result<bool, VaultError> {
        Ok(self.body.open_field_into(field, out)?)
    }

    /// The same, for a field that is kept: the re-sealing of a changed record calls it, and
    /// [`crate::records::view::disclose_file`].
    pub(crate) fn open(&self, field: u32) -> Result<Option<Plaintext<Vec<u8>>>, VaultError> {
        Ok(self.body.open_field(field)?)
    }

    /// Opens every field and keeps none: whether the record is what was sealed.
    pub(crate) fn prove(&self) -> Result<(), VaultError> {
        let mut scratch = Plaintext::new(Vec::new());
        self.fields().try_for_each(|field| self.open_into(field, &mut scratch).map(drop))
    }

    /// The numbers of its fields, the head's not included.
    pub(crate) fn fields(&self) -> impl Iterator<Item = u32> + '_ {
        self.body.fields().filter(|field| *field != 0)
    }
}

impl Vault {
    /// The key of a record.
    pub(crate) async fn record_key(
        &self,
        tenant: TenantId,
        collection: &Collection,
        place: Place,
    ) -> Result<Key, VaultError> {
        Ok(self
            .keyring
            .subject_key(tenant, Half::Data, place.slot, place.number, Some(collection.slot))
            .await?)
    }

    /// Opens a record's head, and nothing else of it.
    pub(crate) fn open_head(
        &self,
        key: &Key,
        tenant: TenantId,
        collection: &Collection,
        id: RecordId,
        sealed: &SealedRecord,
    ) -> Result<Opened, VaultError> {
        let context = self.record_context(
            tenant,
            collection,
            id,
            sealed.subject,
            sealed.place,
            sealed.version,
        );
        let (body, head) = scrub_once(|| {
            let body = record::open(key, &context, sealed.message())?;
            let head = body.open_field(0)?;
            Ok::<_, VaultError>((body, head))
        })?;
        let head = head.ok_or_else(damaged)?;
        let head: RecordHead = minicbor::decode(head.expose()).map_err(|_| damaged())?;
        if head.subject != sealed.subject {
            return Err(damaged());
        }
        Ok(Opened { head, body })
    }

    /// Seals a record for its row.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the record's place")]
    pub(crate) fn seal_record(
        &self,
        key: &Key,
        tenant: TenantId,
        collection: &Collection,
        id: RecordId,
        place: Place,
        version: u64,
        head: &RecordHead,
        fields: &[(u32, &[u8])],
    ) -> Result<Vec<u8>, VaultError> {
        let encoded = Wiping::new(
            minicbor::to_vec(head)
                .map_err(|_| VaultError::Internal("a head that cannot be encoded".into()))?,
        );
        let mut all: Vec<(u32, &[u8])> = Vec::with_capacity(fields.len() + 1);
        all.push((0, encoded.as_slice()));
        all.extend_from_slice(fields);
        let context = self.record_context(tenant, collection, id, head.subject, place, version);
        let sealed = record::seal(key, &context, &all, &*self.rng)?;
        Ok(join_owner(head.subject.as_bytes(), place.slot, &sealed))
    }

    fn record_context(
        &self,
        tenant: TenantId,
        collection: &Collection,
        id: RecordId,
        subject: SubjectId,
        place: Place,
        version: u64,
    ) -> Context {
        Context {
            purpose: MessagePurpose::Record,
            epoch: place.epoch,
            install: self.keyring.install(),
            tenant,
            subject: *subject.as_bytes(),
            object: *id.as_bytes(),
            collection: collection.number.0,
            index: 0,
            number: place.number,
            version,
        }
    }
}
