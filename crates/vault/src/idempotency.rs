//! Doing a repeated request once: the row keeps a hash of the key, a MAC of the body and the id of
//! what was made, never an answer (`access.md`, Repeating a request).

use strongroom_crypto::{Key, hash, mac};
use strongroom_model::{TenantId, Timestamp};
use strongroom_storage::{Batch, RowKey};

use crate::acting::Acting;
use crate::rows::OwnerLeaf;
use crate::snapshot::Snapshot;
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
}

/// A place in the store that the request's commit will fill.
pub(crate) struct Slot {
    key: RowKey,
    version: u64,
    body_mac: [u8; 32],
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
        let key = request.row(ctx);
        let found = self.load::<Done>(&key).await?;
        let version = found.as_ref().map_or(0, |found| found.version);
        match found {
            Some(done) if done.until > self.vault.now() => {
                if mac::verify(&done.body_mac, &request.body_mac) {
                    Ok(Before::Made(done.id))
                } else {
                    Err(VaultError::IdempotencyReused)
                }
            }
            Some(_) | None => {
                Ok(Before::Never(Some(Slot { key, version, body_mac: request.body_mac })))
            }
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
        let done =
            Done { body_mac: self.body_mac, id, until: vault.now().plus_seconds(KEPT_SECONDS) };
        let value = vault.seal_row(&self.key, leaf, self.version + 1, &done).await?;
        batch.put(self.key, self.version + 1, value);
        Ok(())
    }
}
