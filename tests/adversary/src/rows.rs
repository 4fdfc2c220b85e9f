//! Row keys: which kinds there are, how long they are and whose key seals them (`docs/formats/store.md`,
//! `docs/formats/rows.md`).

use crate::Id;
use crate::message::Place;
use crate::primitives::sha256;

pub(crate) const NODE: u8 = 0x10;
pub(crate) const PUNCTURED_SEED: u8 = 0x17;
pub(crate) const COLLECTION: u8 = 0x31;
pub(crate) const INDEX_PAGE: u8 = 0x33;
pub(crate) const INDEX_ENTRY: u8 = 0x34;
pub(crate) const RECORD: u8 = 0x41;

/// The tree of trees, and the two of a tenant.
pub(crate) const ROOT_TREE: u8 = 0;
pub(crate) const ACCOUNT_TREE: u8 = 1;
pub(crate) const DATA_TREE: u8 = 2;

/// A row's key, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    pub(crate) tenant: Id,
    pub(crate) kind: u8,
    pub(crate) parts: &'a [u8],
}

/// Under what a row's value is sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SealedUnder {
    /// A leaf of a tree for all rows of the tenant.
    Tenant { tree: u8 },
    /// The leaf that the row names, as of a user or a job.
    Leaf { tree: u8 },
    /// A number under the seed that the row names.
    Number,
    /// The row is a node, what is left of a seed, an entry of an index, or clear.
    Itself,
}

/// Takes a row's key apart.
pub(crate) fn parse(key: &[u8]) -> Option<Name<'_>> {
    let (tenant, rest) = key.split_first_chunk::<16>()?;
    let (kind, parts) = rest.split_first()?;
    (parts.len() == parts_length(*kind)?).then_some(Name { tenant: *tenant, kind: *kind, parts })
}

/// How many bytes follow the kind in a row's key.
pub(crate) fn parts_length(kind: u8) -> Option<usize> {
    Some(match kind {
        0x01..=0x03 | 0x05 | 0x12..=0x14 | 0x20 | 0x26 | 0x2b..=0x2d | 0x30 | 0x3f => 0,
        0x11 => 1,
        0x31 => 4,
        0x16 | 0x33 => 9,
        0x10 => 10,
        0x17 => 11,
        0x04 | 0x21..=0x25 | 0x27..=0x29 | 0x35 | 0x37 | 0x38 | 0x3c | 0x40 | 0x43 => 16,
        0x2a | 0x41 | 0x42 | 0x44 => 20,
        0x15 => 21,
        0x45 => 26,
        0x34 | 0x46 => 28,
        0x36 | 0x3d | 0x3e => 32,
        _ => return None,
    })
}

pub(crate) fn sealed_under(kind: u8) -> SealedUnder {
    match kind {
        0x21 | 0x22 | 0x24 => SealedUnder::Leaf { tree: ACCOUNT_TREE },
        0x43..=0x45 => SealedUnder::Leaf { tree: DATA_TREE },
        0x35 | 0x40..=0x42 => SealedUnder::Number,
        0x20..=0x2d => SealedUnder::Tenant { tree: ACCOUNT_TREE },
        0x30..=0x33 | 0x36..=0x3f | 0x46 => SealedUnder::Tenant { tree: DATA_TREE },
        _ => SealedUnder::Itself,
    }
}

/// Whether the keyring alone writes rows of this kind, and no backup has them.
pub(crate) fn is_key_state(kind: u8) -> bool {
    kind & 0xf0 == 0x10
}

/// The key of a node's row.
pub(crate) fn node(tenant: Id, tree: u8, level: u8, index: u64) -> Vec<u8> {
    [&tenant[..], &[NODE, tree, level], &index.to_be_bytes()].concat()
}

/// The beginning of the keys of the rows of what is left of a seed.
pub(crate) fn punctured_seed(tenant: Id, tree: u8, slot: u64) -> Vec<u8> {
    [&tenant[..], &[PUNCTURED_SEED, tree], &slot.to_be_bytes()].concat()
}

/// The place of a node's content.
pub(crate) fn node_place(
    install: Id,
    tenant: Id,
    tree: u8,
    level: u8,
    index: u64,
    version: u64,
) -> Place {
    let object = first_half(sha256(&[b"sr1/tree\0", &tenant, &[tree]]));
    let (purpose, collection) = (crate::message::NODE, u32::from(level));
    Place { purpose, install, tenant, object, collection, index, version, ..Place::default() }
}

/// The place of a value that is sealed for its row.
pub(crate) fn row_place(install: Id, key: &[u8], purpose: u8, version: u64) -> Option<Place> {
    let Name { tenant, kind, .. } = parse(key)?;
    let object = first_half(sha256(&[key]));
    Some(Place {
        purpose,
        install,
        tenant,
        object,
        index: kind.into(),
        version,
        ..Place::default()
    })
}

/// The first 16 bytes of a hash.
pub(crate) fn first_half(hash: [u8; 32]) -> Id {
    hash.first_chunk().copied().unwrap_or_default()
}

/// A number of 8 bytes from where it stands.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// A number of 4 bytes from where it stands.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// An id from where it stands.
pub(crate) fn id_at(bytes: &[u8], at: usize) -> Option<Id> {
    bytes.get(at..)?.first_chunk().copied()
}
