//! The keys of numbers below a subject's seed, whole or punctured.

use std::sync::Arc;

use strongroom_crypto::layout::{Reader, Writer};
use strongroom_crypto::prf::{Cover, SEED_BYTES};
use strongroom_crypto::{Context, Key, MessagePurpose, hash, stream};
use strongroom_model::{InstallId, Plaintext, TenantId};
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_storage::{Batch, KeyRange, Row, RowKey};

use crate::keyring::Keyring;
use crate::node::{Node, Places};
use crate::rows::{ClearRow, TreeHead};
use crate::secrets::Secrets;
use crate::tree::{FAN_OUT, Half, Leaf, Position, TreeName, leaf_node, place_of};
use crate::walk::ATTEMPTS;
use crate::{KeyError, Result};

/// Seeds in one row of a punctured seed: with its seal it stays below 4 KiB.
const SEEDS_PER_CHUNK: usize = 100;
const CHUNK_BYTES: usize = SEEDS_PER_CHUNK * SEED_BYTES;

impl Keyring {
    /// The key of a number under the seed of a slot; `collection_slot` is that of the collection whose
    /// record has the number, in the same tree.
    ///
    /// # Errors
    /// [`KeyError::Gone`] if the number was punctured, or the seed or the collection was erased;
    /// otherwise as [`Keyring::leaf`].
    pub async fn subject_key(
        &self,
        tenant: TenantId,
        half: Half,
        slot: u64,
        number: u32,
        collection_slot: Option<u64>,
    ) -> Result<Key> {
        let secrets = self.secrets()?;
        let collection = match collection_slot {
            Some(slot) => Some(self.leaf_key(&secrets, Leaf { tenant, half, slot }).await?),
            None => None,
        };
        let cover = self.cover(&secrets, Leaf { tenant, half, slot }).await?;
        cover.key(number, collection.as_deref()).map_err(|_| KeyError::Gone)
    }

    /// Whether a number under the seed of a slot was punctured: creations skip it.
    ///
    /// # Errors
    /// As [`Keyring::leaf`].
    pub async fn is_punctured(
        &self,
        tenant: TenantId,
        half: Half,
        slot: u64,
        number: u32,
    ) -> Result<bool> {
        let secrets = self.secrets()?;
        let cover = self.cover(&secrets, Leaf { tenant, half, slot }).await?;
        Ok(cover.is_punctured(number))
    }

    /// What is left of the seed of a slot. That nothing of it is punctured is known from its node.
    async fn cover(&self, secrets: &Secrets, leaf: Leaf) -> Result<Arc<Cover>> {
        let position = leaf_node(TreeName::half(leaf.tenant, leaf.half), leaf.slot);
        let place = place_of(leaf.slot);
        for _ in 0..ATTEMPTS {
            let generation = secrets.generation();
            let (node, version) = self.node_of(secrets, leaf).await?;
            let punctured = self.punctured(leaf.half, position, &node, version).await?;
            if punctured.is_some_and(|places| !places.contains(place)) {
                return Ok(Arc::new(Cover::from_seed(node.key(place)?)));
            }
            if let Some(cover) = secrets.seed(leaf, self.core.clock.elapsed()) {
                return Ok(cover);
            }
            let Some(rows) = self.seed_rows(leaf, version).await? else {
                // The node in memory is older than the store's.
                secrets.drop_node(position);
                continue;
            };
            let cover = Arc::new(open_cover(self.core.install, leaf, node.key(place)?, &rows)?);
            let now = self.core.clock.elapsed();
            secrets.keep_seed(leaf, &cover, version, generation, now);
            return Ok(cover);
        }
        Err(KeyError::Conflict)
    }

    /// Which of a node's children are punctured seeds, if the node still has this version after they
    /// were looked for: it gets a new one whenever one of them changes.
    async fn punctured(
        &self,
        half: Half,
        position: Position,
        node: &Node,
        version: u64,
    ) -> Result<Option<Places>> {
        if let Some(places) = node.punctured.get() {
            return Ok(Some(*places));
        }
        let first = Leaf { tenant: position.name.tenant, half, slot: position.first_slot() };
        let end = chunk_key(Leaf { slot: first.slot.saturating_add(FAN_OUT), ..first }, 0);
        let mut places = Places::default();
        let mut range = KeyRange::between(&chunk_key(first, 0), &end);
        while let Some((key, _)) = self.core.store.scan(&range, 1).await?.pop() {
            let slot = keyspace::parse_punctured_seed(&key);
            let slot = slot.ok_or(KeyError::Damaged("a punctured seed's key is not one"))?;
            places = places.with(place_of(slot));
            let next = Leaf { slot: slot.saturating_add(1), ..first };
            range = KeyRange::between(&chunk_key(next, 0), &end);
        }
        let [row] = self.rows([position.row_key()]).await?;
        if row.is_none_or(|row| row.version != version) {
            return Ok(None);
        }
        Ok(Some(*node.punctured.get_or_init(|| places)))
    }

    /// The rows of a punctured seed, none of them if it is whole, if the leaf's node still has this
    /// version: it gets a new one whenever they change.
    async fn seed_rows(&self, leaf: Leaf, version: u64) -> Result<Option<Vec<Row>>> {
        let name = TreeName::half(leaf.tenant, leaf.half);
        let node = leaf_node(name, leaf.slot).row_key();
        let first = chunk_key(leaf, 0);
        let [head, found, chunk] =
            self.rows([name.head_key(), node.clone(), first.clone()]).await?;
        if TreeHead::of(head.as_ref())?.is_none_or(|head| head.value.erased) {
            return Err(KeyError::Gone);
        }
        if found.is_none_or(|row| row.version != version) {
            return Ok(None);
        }
        if chunk.is_none() {
            return Ok(Some(Vec::new()));
        }
        let chunks = self.all_rows(&seed_prefix(leaf)).await?;
        let [after] = self.rows([node]).await?;
        let unchanged = after.is_some_and(|row| row.version == version);
        Ok(unchanged.then(|| chunks.into_iter().map(|(_, row)| row).collect()))
    }
}

/// The cover in these rows, or the whole seed if there are none.
///
/// # Errors
/// [`KeyError::Damaged`] if a row is missing, of another version, or cannot be opened.
pub(crate) fn open_cover(install: InstallId, leaf: Leaf, key: Key, rows: &[Row]) -> Result<Cover> {
    let damaged = KeyError::Damaged("a punctured seed cannot be opened");
    let Some(version) = rows.first().map(|row| row.version) else {
        return Ok(Cover::from_seed(key));
    };
    let mut bytes = Plaintext::new(Vec::with_capacity(rows.len() * CHUNK_BYTES));
    for (chunk, row) in (0u16..).zip(rows) {
        let opened = stream::open(&key, &chunk_context(install, leaf, chunk, version), &row.value)?;
        let mut reader = Reader::new(opened.expose());
        let count = reader.u16().map(usize::from);
        if count != Some(rows.len()) || row.version != version {
            return Err(damaged);
        }
        bytes.expose_mut().extend_from_slice(reader.rest());
    }
    Cover::decode(bytes.expose()).map_err(|_| damaged)
}

/// Writes a cover under the leaf's new key, in place of the rows that there are.
///
/// # Errors
/// [`KeyError::Refused`] if it is too long; [`KeyError::NoRandomness`].
pub(crate) fn write_cover(
    keyring: &Keyring,
    batch: &mut Batch,
    leaf: Leaf,
    key: &Key,
    cover: &Cover,
    rows: &[Row],
) -> Result<()> {
    let encoded = cover.encode();
    // A cover without seeds is one empty chunk.
    let count = encoded.expose().len().div_ceil(CHUNK_BYTES).max(1);
    let too_long = KeyError::Refused("a seed is punctured too often");
    let count = u16::try_from(count).map_err(|_| too_long)?;
    let version = rows.first().map_or(0, |row| row.version) + 1;
    let mut chunks = encoded.expose().chunks(CHUNK_BYTES);
    for chunk in 0..count {
        let part = chunks.next().unwrap_or_default();
        let mut plain = Plaintext::new(Vec::with_capacity(2 + part.len()));
        let mut head = Writer::with_capacity(2);
        head.u16(count);
        plain.expose_mut().extend_from_slice(&head.finish());
        plain.expose_mut().extend_from_slice(part);
        let context = chunk_context(keyring.core.install, leaf, chunk, version);
        let sealed = stream::seal(key, &context, plain.expose(), keyring.core.rng.as_ref())?;
        batch.put(chunk_key(leaf, chunk), version, sealed);
    }
    expect_first(batch, leaf, rows);
    for chunk in usize::from(count)..rows.len() {
        if let Ok(chunk) = u16::try_from(chunk) {
            batch.delete(chunk_key(leaf, chunk));
        }
    }
    Ok(())
}

/// Deletes the rows of a punctured seed whose leaf is erased.
pub(crate) fn delete_cover(batch: &mut Batch, leaf: Leaf, rows: &[Row]) {
    expect_first(batch, leaf, rows);
    for (chunk, _) in (0u16..).zip(rows) {
        batch.delete(chunk_key(leaf, chunk));
    }
}

fn expect_first(batch: &mut Batch, leaf: Leaf, rows: &[Row]) {
    match rows.first() {
        Some(row) => batch.expect_version(chunk_key(leaf, 0), row.version),
        None => batch.expect_absent(chunk_key(leaf, 0)),
    };
}

pub(crate) fn chunk_key(leaf: Leaf, chunk: u16) -> RowKey {
    keyspace::punctured_seed(leaf.tenant, leaf.half.tree(), leaf.slot, chunk)
}

/// What the rows of a punctured seed begin with.
pub(crate) fn seed_prefix(leaf: Leaf) -> Vec<u8> {
    let key = chunk_key(leaf, 0);
    key.as_bytes().split_last_chunk::<2>().map(|(prefix, _)| prefix.to_vec()).unwrap_or_default()
}

fn chunk_context(install: InstallId, leaf: Leaf, chunk: u16, version: u64) -> Context {
    let digest = hash::sha256(&[chunk_key(leaf, chunk).as_bytes()]);
    Context {
        purpose: MessagePurpose::SubjectState,
        epoch: 0,
        install,
        tenant: leaf.tenant,
        subject: [0; 16],
        object: digest.first_chunk::<16>().copied().unwrap_or_default(),
        collection: 0,
        index: u64::from(RowKind::PuncturedSeed.number()),
        number: 0,
        version,
    }
}
