//! Rows as they are kept: CBOR, sealed under the key of whoever the row belongs to.
//!
//! A row that belongs to a person, a user or a job carries that owner's id and leaf before the header, as
//! records do (`docs/formats/rows.md`); every other row is sealed under a service key of its tenant.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_crypto::{Context, Key, MessagePurpose, hash, stream};
use strongroom_keyring::{Half, Leaf, Service};
use strongroom_model::{Plaintext, TenantId};
use strongroom_storage::keyspace::{Owner, RowKind};
use strongroom_storage::{Recent, Row, RowKey};

use crate::snapshot::Loaded;
use crate::{Vault, VaultError};

/// The leaf that a row's owner has in one of the tenant's trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerLeaf {
    /// The owner's id.
    pub(crate) id: [u8; 16],
    /// The leaf that holds the owner's key or seed.
    pub(crate) slot: u64,
    /// The number under a subject's seed; 0 for users and jobs.
    pub(crate) number: u32,
    /// The epoch of a subject's seed; 0 for users and jobs.
    pub(crate) epoch: u16,
}

impl OwnerLeaf {
    /// A row of this kind that belongs to no person: the tenant's own.
    pub(crate) const NOBODY: Self = Self { id: [0; 16], slot: 0, number: 0, epoch: 0 };

    /// A user's leaf.
    pub(crate) fn user(user: strongroom_model::UserId, slot: u64) -> Self {
        Self { id: *user.as_bytes(), slot, number: 0, epoch: 0 }
    }

    /// A job's leaf.
    pub(crate) fn job(job: strongroom_model::JobId, slot: u64) -> Self {
        Self { id: *job.as_bytes(), slot, number: 0, epoch: 0 }
    }

    /// A number under a subject's seed.
    pub(crate) fn subject(
        subject: strongroom_model::SubjectId,
        slot: u64,
        epoch: u16,
        number: u32,
    ) -> Self {
        Self { id: *subject.as_bytes(), slot, number, epoch }
    }
}

/// Bytes of owner id and slot before the header.
pub(crate) const OWNER_BYTES: usize = 24;

/// Reads the owner's id and slot that stand before the header.
pub(crate) fn split_owner(value: &[u8]) -> Option<([u8; 16], u64, &[u8])> {
    let (id, rest) = value.split_first_chunk::<16>()?;
    let (slot, sealed) = rest.split_first_chunk::<8>()?;
    Some((*id, u64::from_be_bytes(*slot), sealed))
}

/// Writes them.
pub(crate) fn join_owner(id: &[u8; 16], slot: u64, sealed: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(OWNER_BYTES + sealed.len());
    value.extend_from_slice(id);
    value.extend_from_slice(&slot.to_be_bytes());
    value.extend_from_slice(sealed);
    value
}

/// Whose key seals the rows of a kind.
enum Sealing {
    Service(Half),
    Leaf(Half),
    Subject,
}

fn sealing(kind: RowKind) -> Result<Sealing, VaultError> {
    match kind.owner() {
        Owner::TenantAccount => Ok(Sealing::Service(Half::Account)),
        Owner::TenantData => Ok(Sealing::Service(Half::Data)),
        Owner::User => Ok(Sealing::Leaf(Half::Account)),
        Owner::Subject => Ok(Sealing::Subject),
        Owner::Job => Ok(Sealing::Leaf(Half::Data)),
        Owner::Clear | Owner::KeyState | Owner::Day => {
            Err(VaultError::Internal("a row of this kind is not sealed here".into()))
        }
    }
}

impl Vault {
    /// Seals a value for its row.
    pub(crate) async fn seal_row<T: minicbor::Encode<()>>(
        &self,
        key: &RowKey,
        leaf: OwnerLeaf,
        version: u64,
        value: &T,
    ) -> Result<Vec<u8>, VaultError> {
        let (tenant, kind) = place(key)?;
        let plain = zeroize::Zeroizing::new(
            minicbor::to_vec(value)
                .map_err(|_| VaultError::Internal("a row that cannot be encoded".into()))?,
        );
        let context = self.row_context(key, tenant, kind, leaf, version);
        let sealing = sealing(kind)?;
        let row_key = self.row_key(tenant, &sealing, leaf).await?;
        let sealed = stream::seal(&row_key, &context, &plain, &*self.rng)?;
        Ok(match sealing {
            Sealing::Service(_) => sealed,
            Sealing::Leaf(_) | Sealing::Subject => join_owner(&leaf.id, leaf.slot, &sealed),
        })
    }

    /// Opens a row and gives its value and the leaf of its owner.
    pub(crate) async fn open_row<T: for<'b> minicbor::Decode<'b, ()>>(
        &self,
        key: &RowKey,
        row: &Row,
    ) -> Result<(T, OwnerLeaf), VaultError> {
        let (plain, leaf) = self.open_sealed(key, row).await?;
        let value = minicbor::decode(plain.expose()).map_err(|_| damaged())?;
        Ok((value, leaf))
    }

    async fn open_sealed(
        &self,
        key: &RowKey,
        row: &Row,
    ) -> Result<(Plaintext<Vec<u8>>, OwnerLeaf), VaultError> {
        let (tenant, kind) = place(key)?;
        let sealing = sealing(kind)?;
        let (leaf, sealed) = match sealing {
            Sealing::Service(_) => (OwnerLeaf::NOBODY, row.value.as_ref()),
            Sealing::Leaf(_) | Sealing::Subject => {
                let (id, slot, sealed) = split_owner(&row.value).ok_or_else(damaged)?;
                let (epoch, number) = Context::peek(sealed).ok_or_else(damaged)?;
                (OwnerLeaf { id, slot, number, epoch }, sealed)
            }
        };
        let context = self.row_context(key, tenant, kind, leaf, row.version);
        let row_key = self.row_key(tenant, &sealing, leaf).await?;
        Ok((stream::open(&row_key, &context, sealed)?, leaf))
    }

    /// Opens a row and looks at nothing of it: whether it is what was sealed, and its key is alive.
    pub(crate) async fn prove_row(&self, key: &RowKey, row: &Row) -> Result<(), VaultError> {
        self.open_sealed(key, row).await.map(drop)
    }

    /// Reads and decodes rows, those that were decoded lately without opening them again.
    pub(crate) async fn read_many<T>(
        &self,
        keys: &[RowKey],
    ) -> Result<Vec<Option<Loaded<T>>>, VaultError>
    where
        T: for<'b> minicbor::Decode<'b, ()> + Any + Send + Sync,
    {
        self.check_policies(keys).await?;
        let rows = self.store.get_many(keys).await?;
        let mut loaded = Vec::with_capacity(rows.len());
        for (key, row) in keys.iter().zip(rows) {
            let Some(row) = row else {
                loaded.push(None);
                continue;
            };
            let version = row.version;
            if let Some((value, leaf)) = self.decoded.find(key, version) {
                loaded.push(Some(Loaded { version, value, leaf }));
                continue;
            }
            let (value, leaf) = self.open_row::<T>(key, &row).await?;
            let value = Arc::new(value);
            self.decoded.keep(key.clone(), version, leaf, Arc::clone(&value));
            loaded.push(Some(Loaded { version, value, leaf }));
        }
        Ok(loaded)
    }

    async fn row_key(
        &self,
        tenant: TenantId,
        sealing: &Sealing,
        leaf: OwnerLeaf,
    ) -> Result<Arc<Key>, VaultError> {
        Ok(match sealing {
            Sealing::Service(half) => self.keyring.service(tenant, *half, Service::Rows).await?,
            Sealing::Leaf(half) => {
                self.keyring.leaf(Leaf { tenant, half: *half, slot: leaf.slot }).await?
            }
            Sealing::Subject if leaf == OwnerLeaf::NOBODY => {
                self.keyring.service(tenant, Half::Data, Service::Rows).await?
            }
            Sealing::Subject => Arc::new(
                self.keyring.subject_key(tenant, Half::Data, leaf.slot, leaf.number, None).await?,
            ),
        })
    }

    fn row_context(
        &self,
        key: &RowKey,
        tenant: TenantId,
        kind: RowKind,
        leaf: OwnerLeaf,
        version: u64,
    ) -> Context {
        Context {
            purpose: MessagePurpose::Row,
            epoch: leaf.epoch,
            install: self.keyring.install(),
            tenant,
            subject: leaf.id,
            object: row_object(key),
            collection: 0,
            index: u64::from(kind.number()),
            number: leaf.number,
            version,
        }
    }
}

/// The first half of the SHA-256 of a row key: what a row's message is bound to.
fn row_object(key: &RowKey) -> [u8; 16] {
    let hash = hash::sha256(&[key.as_bytes()]);
    let mut object = [0; 16];
    object.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    object
}

/// The tenant and kind that a row key begins with.
pub(crate) fn place(key: &RowKey) -> Result<(TenantId, RowKind), VaultError> {
    let (tenant, rest) = key.as_bytes().split_first_chunk::<16>().ok_or_else(damaged)?;
    let kind = rest.first().copied().and_then(RowKind::from_number).ok_or_else(damaged)?;
    Ok((TenantId::from_bytes(*tenant), kind))
}

pub(crate) fn damaged() -> VaultError {
    VaultError::Damaged("a row does not have the layout of its kind".into())
}

/// Most decoded rows that are kept.
const DECODED_MAX: usize = 16_384;

/// Decoded copies of rows, by version, so that what rarely changes is opened once.
pub(crate) struct Decoded(Mutex<Recent<RowKey, Kept>>);

impl Default for Decoded {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(DECODED_MAX)))
    }
}

struct Kept {
    version: u64,
    leaf: OwnerLeaf,
    value: Arc<dyn Any + Send + Sync>,
}

impl Decoded {
    pub(crate) fn find<T: Any + Send + Sync>(
        &self,
        key: &RowKey,
        version: u64,
    ) -> Option<(Arc<T>, OwnerLeaf)> {
        let (value, leaf) = {
            let mut kept = self.kept();
            let found = kept.find(key).filter(|found| found.version == version)?;
            (found.value.clone(), found.leaf)
        };
        Some((value.downcast().ok()?, leaf))
    }

    pub(crate) fn keep<T: Any + Send + Sync>(
        &self,
        key: RowKey,
        version: u64,
        leaf: OwnerLeaf,
        value: Arc<T>,
    ) {
        self.kept().keep(key, Kept { version, leaf, value });
    }

    /// Forgets every decoded row of a tenant: something of its was erased.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.kept().retain(|key| !key.as_bytes().starts_with(tenant.as_bytes()));
    }

    /// Forgets everything: the server is locked.
    pub(crate) fn clear(&self) {
        self.kept().retain(|_| false);
    }

    fn kept(&self) -> MutexGuard<'_, Recent<RowKey, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
