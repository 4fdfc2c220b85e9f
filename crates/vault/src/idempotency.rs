//! Doing a repeated request once: the row keeps a hash of the key, a MAC of the body and the id of
//! what was made, never an answer (`access.md`, Repeating a request).

use minicbor::bytes::ByteVec;
use strongroom_crypto::{Key, hash, mac};
use strongroom_model::{RecordId, TenantId, Timestamp};
use strongroom_storage::{Batch, RowKey};

use crate::acting::Acting;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Loaded, Snapshot};
use crate::{TenantCtx, VaultError, keyspace};

/// How long a repeated request is recognised.
const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// A request's idempotency key, and the MAC of its route and body under that key.
#[derive(Clone)]
pub struct Idempotency {
    key_hash: [u8; 32],
    body_mac: [u8; 32],
}

impl std::fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an idempotency key")
    }
}

impl Idempotency {
    /// From the key that the request names, its route and the bytes of its body.
    pub fn new(key: &str, route: &str, body: &[u8]) -> Self {
        let key_hash = hash::sha256(&[b"sr1/idempotency\0", key.as_bytes()]);
        let under = Key::build(|bytes| {
            bytes.copy_from_slice(&hash::sha256(&[b"sr1/idempotency-body\0", key.as_bytes()]));
        });
        let body_mac = mac::hmac_sha256(&under, &[route.as_bytes(), b"\0", body]);
        Self { key_hash, body_mac }
    }

    fn row(&self, ctx: &TenantCtx) -> RowKey {
        let credential = match ctx.credential() {
            crate::Credential::Session(id) => *id.as_bytes(),
            crate::Credential::ApiKey(id) => *id.as_bytes(),
            crate::Credential::Backend(id) => *id.as_bytes(),
        };
        // What was done for one user is not done for another.
        let user = match ctx.acting() {
            Acting::User(user) => Some(user),
            Acting::Nobody | Acting::Unknown => None,
        };
        let user = user.as_ref().map_or(&[][..], |user| user.as_bytes());
        let digest = hash::sha256(&[&credential, user, &self.key_hash]);
        let mut short = [0; 16];
        short.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        keyspace::idempotency(ctx.tenant(), &short)
    }
}

/// What is kept of a request that was carried out.
#[derive(Debug, Clone, minicbor::Encode, minicbor::Decode)]
pub(crate) struct Done {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    body_mac: [u8; 32],
    /// The id of what was made.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    #[n(2)]
    until: Timestamp,
    /// Of a batch: 16 bytes for each item, the id of its record, zeros where it was not carried out.
    #[n(3)]
    items: Option<ByteVec>,
}

impl Done {
    /// The records of a batch's items; nothing for what was no batch.
    fn records(&self) -> Vec<Option<RecordId>> {
        let items = self.items.as_ref().map_or(&[][..], |items| items.as_slice());
        let (ids, _) = items.as_chunks::<16>();
        ids.iter().map(|id| (*id != NOT_DONE).then(|| RecordId::from_bytes(*id))).collect()
    }
}

/// What stands for an item that was not carried out.
const NOT_DONE: [u8; 16] = [0; 16];

/// A place in the store that the request's commit will fill.
pub(crate) struct Slot {
    key: RowKey,
    version: u64,
    body_mac: [u8; 32],
}

/// Whether a batch was carried out before.
pub(crate) enum BeforeBatch {
    /// It was not; what it does goes into this slot, if it named a key.
    Never(Option<Slot>),
    /// It was, with these records; nothing stands for items that were not carried out.
    Done(Vec<Option<RecordId>>),
}

/// Whether the request was carried out before.
pub(crate) enum Before {
    /// It was not; what it makes goes into this slot, if it named a key.
    Never(Option<Slot>),
    /// It made what has this id.
    Made([u8; 16]),
}

impl Snapshot<'_> {
    /// Looks whether the request was carried out before.
    pub(crate) async fn before(
        &mut self,
        ctx: &TenantCtx,
        request: Option<&Idempotency>,
    ) -> Result<Before, VaultError> {
        let Some(request) = request else { return Ok(Before::Never(None)) };
        Ok(match self.done(ctx, request).await? {
            Ok(done) => Before::Made(done.id),
            Err(slot) => Before::Never(Some(slot)),
        })
    }

    /// Looks whether a batch was carried out before.
    pub(crate) async fn before_batch(
        &mut self,
        ctx: &TenantCtx,
        request: Option<&Idempotency>,
    ) -> Result<BeforeBatch, VaultError> {
        let Some(request) = request else { return Ok(BeforeBatch::Never(None)) };
        Ok(match self.done(ctx, request).await? {
            Ok(done) => BeforeBatch::Done(done.records()),
            Err(slot) => BeforeBatch::Never(Some(slot)),
        })
    }

    /// What is kept of the same request, or the place where it will be.
    async fn done(
        &mut self,
        ctx: &TenantCtx,
        request: &Idempotency,
    ) -> Result<Result<Loaded<Done>, Slot>, VaultError> {
        let key = request.row(ctx);
        let found = self.load::<Done>(&key).await?;
        let version = found.as_ref().map_or(0, |found| found.version);
        match found {
            Some(done) if done.until > self.vault.now() => {
                if mac::verify(&done.body_mac, &request.body_mac) {
                    Ok(Ok(done))
                } else {
                    Err(VaultError::IdempotencyReused)
                }
            }
            Some(_) | None => Ok(Err(Slot { key, version, body_mac: request.body_mac })),
        }
    }
}

impl Slot {
    /// Remembers, in the commit that makes it, what the request made.
    pub(crate) async fn fill(
        self,
        vault: &crate::Vault,
        batch: &mut Batch,
        tenant: TenantId,
        leaf: OwnerLeaf,
        id: [u8; 16],
    ) -> Result<(), VaultError> {
        debug_assert!(self.key.as_bytes().starts_with(tenant.as_bytes()));
        let until = vault.now().plus_seconds(KEPT_SECONDS);
        let done = Done { body_mac: self.body_mac, id, until, items: None };
        self.keep(vault, batch, leaf, &done).await
    }

    /// Remembers, in the commit that carries a batch out, which records its items were about.
    pub(crate) async fn fill_batch(
        self,
        vault: &crate::Vault,
        batch: &mut Batch,
        tenant: TenantId,
        records: &[Option<RecordId>],
    ) -> Result<(), VaultError> {
        debug_assert!(self.key.as_bytes().starts_with(tenant.as_bytes()));
        let until = vault.now().plus_seconds(KEPT_SECONDS);
        let ids = records.iter().map(|record| record.map_or(NOT_DONE, |id| *id.as_bytes()));
        let items = Some(ids.flatten().collect::<Vec<u8>>().into());
        let done = Done { body_mac: self.body_mac, id: NOT_DONE, until, items };
        self.keep(vault, batch, OwnerLeaf::NOBODY, &done).await
    }

    async fn keep(
        self,
        vault: &crate::Vault,
        batch: &mut Batch,
        leaf: OwnerLeaf,
        done: &Done,
    ) -> Result<(), VaultError> {
        let value = vault.seal_row(&self.key, leaf, self.version + 1, done).await?;
        batch.put(self.key, self.version + 1, value);
        Ok(())
    }
}
