//! Changing a tree: some of its nodes, opened, changed together and written with preconditions.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use strongroom_crypto::Key;
use strongroom_storage::{Batch, RowKey};

use crate::keyring::Keyring;
use crate::node::{Node, Place};
use crate::tree::{HEIGHT_MAX, Position, TreeName, leaf_node, path, place_of};
use crate::{KeyError, Result};

/// Some nodes of one tree, always with all nodes above them.
pub(crate) struct TreeEdit {
    name: TreeName,
    height: u8,
    top_key: Key,
    /// Ascending by level, then index.
    nodes: BTreeMap<(u8, u64), Edited>,
}

struct Edited {
    node: Node,
    /// Under which it will be sealed.
    key: Key,
    /// Of its row; none if it is new.
    version: Option<u64>,
    changed: bool,
}

/// What to do about a node that has no row.
#[derive(Clone, Copy)]
pub(crate) enum Absent {
    /// It must be there.
    IsDamage,
    /// It is made, full of random keys, if it holds no slot below this one: those were never taken.
    IsMade { from_slot: u64 },
}

impl TreeEdit {
    /// A tree of this height whose top is sealed under `top_key`.
    pub(crate) fn new(name: TreeName, height: u8, top_key: Key) -> Self {
        Self { name, height, top_key, nodes: BTreeMap::new() }
    }

    pub(crate) fn name(&self) -> TreeName {
        self.name
    }

    pub(crate) fn height(&self) -> u8 {
        self.height
    }

    /// Opens the tree's top and all nodes on the way to some slots, of one snapshot.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] if a node is missing or cannot be opened, also because the tree has
    /// changed since its head was read.
    pub(crate) async fn load(
        &mut self,
        keyring: &Keyring,
        slots: impl IntoIterator<Item = u64>,
        absent: Absent,
    ) -> Result<()> {
        let mut wanted = BTreeSet::from([(Reverse(self.height.saturating_sub(1)), 0)]);
        for slot in slots {
            let nodes = path(self.name, slot, self.height);
            wanted.extend(nodes.map(|position| (Reverse(position.level), position.index)));
        }
        wanted.retain(|(Reverse(level), index)| !self.nodes.contains_key(&(*level, *index)));
        let positions: Vec<Position> = wanted
            .into_iter()
            .map(|(Reverse(level), index)| Position { name: self.name, level, index })
            .collect();
        let keys: Vec<RowKey> = positions.iter().map(|position| position.row_key()).collect();
        let rows = keyring.many_rows(&keys).await?;
        for (position, row) in positions.into_iter().zip(rows) {
            let key = self.key_for(position)?;
            let edited = match (row, absent) {
                (Some(row), _) => {
                    let version = row.version;
                    let place = Place { install: keyring.core.install, position, version };
                    let node = Node::open(&key, &place, &row.value)?;
                    Edited { node, key, version: Some(version), changed: false }
                }
                (None, Absent::IsMade { from_slot }) if position.first_slot() >= from_slot => {
                    let node = Node::generate(keyring.core.rng.as_ref())?;
                    Edited { node, key, version: None, changed: true }
                }
                (None, Absent::IsMade { .. } | Absent::IsDamage) => {
                    return Err(KeyError::Damaged("a node is missing"));
                }
            };
            self.nodes.insert((position.level, position.index), edited);
        }
        Ok(())
    }

    /// Puts a new top above the present one, which must be loaded: it is sealed anew under the new
    /// top's first key, and the new top under the tree's key, with its height in its context.
    pub(crate) fn grow(&mut self, keyring: &Keyring) -> Result<()> {
        if self.height >= HEIGHT_MAX {
            return Err(KeyError::Refused("the tree is full"));
        }
        let node = Node::generate(keyring.core.rng.as_ref())?;
        let top = (self.height.saturating_sub(1), 0);
        let old = self.nodes.get_mut(&top).ok_or(NOT_LOADED)?;
        old.key = node.key(0)?;
        old.changed = true;
        let key = self.top_key.duplicate();
        let new = Edited { node, key, version: None, changed: true };
        self.nodes.insert((self.height, 0), new);
        self.height += 1;
        Ok(())
    }

    /// The key of a slot on a loaded path.
    ///
    /// # Errors
    /// [`KeyError::Gone`] if it was erased.
    pub(crate) fn slot_key(&self, slot: u64) -> Result<Key> {
        let leaf = leaf_node(self.name, slot);
        let edited = self.nodes.get(&(leaf.level, leaf.index)).ok_or(NOT_LOADED)?;
        edited.node.key(place_of(slot))
    }

    /// Gives a slot on a loaded path another key, or none ever again.
    pub(crate) fn set_slot(&mut self, slot: u64, key: Option<&Key>) -> Result<()> {
        let leaf = leaf_node(self.name, slot);
        let edited = self.nodes.get_mut(&(leaf.level, leaf.index)).ok_or(NOT_LOADED)?;
        edited.node.set(place_of(slot), key);
        edited.changed = true;
        Ok(())
    }

    /// Gives every loaded node a new random key, and the top this one. What is not loaded keeps the
    /// key that it has.
    pub(crate) fn rekey(&mut self, keyring: &Keyring, top_key: Key) -> Result<()> {
        let top = self.height.saturating_sub(1);
        let loaded: Vec<(u8, u64)> = self.nodes.keys().copied().collect();
        for (level, index) in loaded {
            let key = if level == top {
                top_key.duplicate()
            } else {
                let key = Key::generate(keyring.core.rng.as_ref())?;
                let position = Position { name: self.name, level, index };
                let parent = position.parent();
                let above = self.nodes.get_mut(&(parent.level, parent.index)).ok_or(NOT_LOADED)?;
                above.node.set(position.place(), Some(&key));
                key
            };
            let edited = self.nodes.get_mut(&(level, index)).ok_or(NOT_LOADED)?;
            edited.key = key;
            edited.changed = true;
        }
        self.top_key = top_key;
        Ok(())
    }

    /// Writes what has changed, if it is still as it was read; gives the places.
    pub(crate) fn write(&self, keyring: &Keyring, batch: &mut Batch) -> Result<Vec<Position>> {
        let mut written = Vec::new();
        for ((level, index), edited) in self.nodes.iter().filter(|(_, edited)| edited.changed) {
            let position = Position { name: self.name, level: *level, index: *index };
            let version = edited.version.unwrap_or(0) + 1;
            let place = Place { install: keyring.core.install, position, version };
            let sealed = edited.node.seal(&edited.key, &place, keyring.core.rng.as_ref())?;
            match edited.version {
                Some(version) => batch.expect_version(position.row_key(), version),
                None => batch.expect_absent(position.row_key()),
            };
            batch.put(position.row_key(), version, sealed);
            written.push(position);
        }
        Ok(written)
    }

    fn key_for(&self, position: Position) -> Result<Key> {
        if position.level + 1 == self.height {
            return Ok(self.top_key.duplicate());
        }
        let parent = position.parent();
        let above = self.nodes.get(&(parent.level, parent.index)).ok_or(NOT_LOADED)?;
        above.node.key(position.place())
    }
}

/// A defect of this crate: paths are loaded whole.
const NOT_LOADED: KeyError = KeyError::Damaged("a node was not loaded");
