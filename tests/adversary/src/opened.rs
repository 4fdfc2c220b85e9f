//! What the adversary has opened.

use std::collections::{BTreeMap, BTreeSet};

use crate::Id;
use crate::numbers::Cover;
use crate::primitives::{Secret, hmac_sha256};
use crate::rows::{self, first_half};

/// The slot of the key of a tenant's indexes.
const INDEX_SLOT: u64 = 2;

/// The place of a leaf's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// The tenant.
    pub tenant: Id,
    /// 0 the tree of trees, 1 the account half, 2 the data half.
    pub tree: u8,
    /// The slot.
    pub slot: u64,
}

/// Something in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clear {
    /// The key of the row in which it stood; of a caller's reason the line's tenant.
    pub row: Vec<u8>,
    /// The row's version.
    pub version: u64,
    /// The field, of a record.
    pub field: Option<u32>,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// Everything that opens.
#[derive(Default)]
pub struct Opened {
    /// Every key that a slot was ever found to have.
    pub leaves: BTreeMap<Leaf, BTreeSet<Secret>>,
    /// Contents of nodes.
    pub nodes: usize,
    /// Shares of the root secret.
    pub shares: usize,
    /// Contents of rows, fields of records, callers' reasons.
    pub clear: Vec<Clear>,
    /// Lines of the audit log.
    pub lines: usize,
    /// How often a key was tried on a message.
    pub tried: u64,
    /// Tags in the entries of indexes.
    pub(crate) tags: BTreeMap<(Id, u32), BTreeSet<[u8; 16]>>,
    pub(crate) covers: BTreeMap<Leaf, Vec<Cover>>,
}

impl Opened {
    /// Every key that a number under a person's seed is found to have, without a collection.
    pub fn numbers(&self, leaf: Leaf, number: u32) -> BTreeSet<Secret> {
        let covers = self.covers.get(&leaf).into_iter().flatten();
        covers.filter_map(|cover| cover.key(number, &[0; 32])).collect()
    }

    /// How many entries of indexes were opened.
    pub fn entries(&self) -> usize {
        self.tags.values().map(BTreeSet::len).sum()
    }

    /// Whether an entry of an index says that something has this value: its tag, computed with the index
    /// keys that were found, stands in an entry that opened.
    pub fn finds(&self, tenant: Id, value: &[u8]) -> bool {
        let leaf = Leaf { tenant, tree: rows::DATA_TREE, slot: INDEX_SLOT };
        let keys = self.leaves.get(&leaf);
        let of_the_tenant = (tenant, 0)..=(tenant, u32::MAX);
        keys.into_iter().flatten().any(|key| {
            self.tags.range(of_the_tenant.clone()).any(|((_, index), tags)| {
                let tag = hmac_sha256(key, &[b"sr1/index\0", &index.to_be_bytes(), value]);
                tags.contains(&first_half(tag))
            })
        })
    }

    /// Everything in the clear, one after the other.
    pub fn text(&self) -> Vec<u8> {
        self.clear.iter().flat_map(|clear| [&clear.bytes[..], b"\n"].concat()).collect()
    }
}
