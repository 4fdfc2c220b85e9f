//! The geometry of the shred trees: which node a slot lies in, and what trees and leaves are called.

use strongroom_crypto::hash;
use strongroom_model::TenantId;
use strongroom_storage::RowKey;
use strongroom_storage::keyspace::{self, Tree};

/// Children of a node.
pub(crate) const FAN_OUT: u64 = 64;
/// Bits of a slot that one level decides: the logarithm of [`FAN_OUT`].
const LEVEL_BITS: u32 = 6;
/// Levels of the highest tree: 2^60 slots.
pub(crate) const HEIGHT_MAX: u8 = 10;
/// The first slot of a half's tree that is handed out; those below are for [`Service`] keys.
pub const FIRST_SLOT: u64 = 16;
/// Domain of a tree's id.
const TREE_LABEL: &[u8] = b"sr1/tree\0";

/// One of a tenant's two trees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Half {
    /// Keys of accounts: users, credentials, sessions, the tenant's own rows.
    Account,
    /// Keys of data: collections, subjects, indexes.
    Data,
}

impl Half {
    /// The tree, as it is named in row keys.
    pub const fn tree(self) -> Tree {
        match self {
            Self::Account => Tree::Account,
            Self::Data => Tree::Data,
        }
    }

    pub(crate) const fn of(tree: Tree) -> Option<Self> {
        match tree {
            Tree::Root => None,
            Tree::Account => Some(Self::Account),
            Tree::Data => Some(Self::Data),
        }
    }
}

/// A place for one key in one of a tenant's trees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Leaf {
    /// Whose tree.
    pub tenant: TenantId,
    /// Which of the two.
    pub half: Half,
    /// The slot; never used twice.
    pub slot: u64,
}

/// What the reserved slots of each half's tree are for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Service {
    /// Rows of the tenant that belong to nobody in particular.
    Rows = 0,
    /// Lines of the audit journal.
    Audit = 1,
    /// Keyed hashes that choose index pages.
    Index = 2,
    /// Cursors of lists.
    Cursors = 3,
    /// Keyed hashes of credentials.
    Credentials = 4,
    /// Commitments to network addresses.
    Addresses = 5,
    /// Digests of idempotency keys.
    Idempotency = 6,
    /// Seeds of signing keys.
    Signing = 7,
}

impl Service {
    /// Its slot.
    pub const fn slot(self) -> u64 {
        self as u64
    }
}

/// A tree: whose, and which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct TreeName {
    pub(crate) tenant: TenantId,
    pub(crate) tree: Tree,
}

impl TreeName {
    /// The tree whose leaves are the keys of all other trees.
    pub(crate) const ROOT: Self = Self { tenant: TenantId::PROVIDER, tree: Tree::Root };

    pub(crate) const fn half(tenant: TenantId, half: Half) -> Self {
        Self { tenant, tree: half.tree() }
    }

    /// `SHA-256("sr1/tree\0" | tenant 16 | tree u8)[..16]`: the object of its nodes' contexts.
    pub(crate) fn id(self) -> [u8; 16] {
        let digest = hash::sha256(&[TREE_LABEL, self.tenant.as_bytes(), &[self.tree.number()]]);
        digest.first_chunk::<16>().copied().unwrap_or_default()
    }

    pub(crate) fn head_key(self) -> RowKey {
        keyspace::tree_head(self.tenant, self.tree)
    }
}

/// Where a node stands. Level 0 holds the leaves' keys; the top of a tree of height h is node 0 of
/// level h − 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Position {
    pub(crate) name: TreeName,
    pub(crate) level: u8,
    pub(crate) index: u64,
}

impl Position {
    pub(crate) fn row_key(self) -> RowKey {
        keyspace::node(self.name.tenant, self.name.tree, self.level, self.index)
    }

    /// The node above, in a tree that is high enough.
    pub(crate) fn parent(self) -> Self {
        Self { level: self.level + 1, index: self.index / FAN_OUT, ..self }
    }

    /// The first slot below it.
    pub(crate) fn first_slot(self) -> u64 {
        let bits = LEVEL_BITS * (u32::from(self.level) + 1);
        self.index.checked_shl(bits).unwrap_or(u64::MAX)
    }

    /// Which child of its parent it is.
    pub(crate) fn place(self) -> u8 {
        low_bits(self.index)
    }
}

/// The place of a slot's key in its node of level 0.
pub(crate) fn place_of(slot: u64) -> u8 {
    low_bits(slot)
}

fn low_bits(number: u64) -> u8 {
    u8::try_from(number % FAN_OUT).unwrap_or(0)
}

/// How many slots a tree of this height has.
pub(crate) fn capacity(height: u8) -> u64 {
    1u64.checked_shl(LEVEL_BITS * u32::from(height)).unwrap_or(u64::MAX)
}

/// The nodes from the top of a tree of this height down to the one that holds the slot's key.
pub(crate) fn path(name: TreeName, slot: u64, height: u8) -> impl Iterator<Item = Position> {
    (0..height.min(HEIGHT_MAX)).rev().map(move |level| Position {
        name,
        level,
        index: slot >> (LEVEL_BITS * (u32::from(level) + 1)),
    })
}

/// The node of level 0 that holds the slot's key.
pub(crate) fn leaf_node(name: TreeName, slot: u64) -> Position {
    Position { name, level: 0, index: slot / FAN_OUT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_from_the_top_to_the_node_of_the_slot() {
        let slot = 5 * 64 * 64 + 7 * 64 + 9;
        let path: Vec<_> =
            path(TreeName::ROOT, slot, 3).map(|node| (node.level, node.index)).collect();
        assert_eq!(path, [(2, 0), (1, 5), (0, 5 * 64 + 7)]);
        assert_eq!(place_of(slot), 9);
        let leaf = leaf_node(TreeName::ROOT, slot);
        assert_eq!((leaf.place(), leaf.parent().place(), leaf.parent().parent().index), (7, 5, 0));
    }

    #[test]
    fn a_tree_has_64_times_the_slots_of_a_tree_one_lower() {
        assert_eq!((capacity(1), capacity(2), capacity(HEIGHT_MAX)), (64, 4096, 1 << 60));
    }

    #[test]
    fn no_two_trees_have_the_same_id() {
        let one = TenantId::from_bytes([1; 16]);
        let ids = [
            TreeName::ROOT,
            TreeName::half(TenantId::PROVIDER, Half::Account),
            TreeName::half(TenantId::PROVIDER, Half::Data),
            TreeName::half(one, Half::Account),
            TreeName::half(one, Half::Data),
        ]
        .map(TreeName::id);
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
    }
}
