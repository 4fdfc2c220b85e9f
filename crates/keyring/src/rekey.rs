//! The commit that makes keys unreachable: every path to a target, with new keys up to a new root.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_crypto::Key;
use strongroom_model::TenantId;
use strongroom_storage::keyspace;
use strongroom_storage::{Batch, Row, RowKey};

use crate::edit::{Absent, TreeEdit};
use crate::keyring::Keyring;
use crate::rows::{ClearRow, Halves, TreeHead, Versioned};
use crate::secrets::Changed;
use crate::seed::{chunk_key, delete_cover, open_cover, seed_prefix, write_cover};
use crate::tombstone::{Doomed, TombstoneRow, TombstoneState};
use crate::tree::{Half, Leaf, TreeName};
use crate::{KeyError, Result};

/// What one batch drops; made by [`Keyring::plan`].
#[derive(Clone, Default)]
pub struct ShredPlan {
    /// Pending tombstones.
    pub(crate) tombstones: Vec<(RowKey, TombstoneRow)>,
    /// Retired slots with their rows.
    pub(crate) retired: Vec<(RowKey, Leaf)>,
}

/// A batch that is ready to be committed, and what has to be dropped from memory when it is.
pub(crate) struct Rekeyed {
    pub(crate) batch: Batch,
    pub(crate) changed: Changed,
    pub(crate) nodes: usize,
}

/// What happens to one tree.
#[derive(Default)]
struct TreeWork {
    erased: bool,
    leaves: BTreeMap<u64, LeafWork>,
}

/// What happens to one slot. An erased one needs no punctures.
enum LeafWork {
    Erase,
    Puncture(BTreeSet<u32>),
}

type Work = BTreeMap<(TenantId, Half), TreeWork>;

/// A tree's head and its slot in the root tree.
struct Place {
    head: Versioned<TreeHead>,
    root_slot: u64,
}

impl Keyring {
    /// Builds the rows that drop what a plan names and put the tree under a new root secret. Old
    /// roots and old node keys are never put under anything new.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] if a target never existed; [`KeyError::Damaged`] also if the trees were
    /// changed while they were read.
    pub(crate) async fn rekey(
        &self,
        root: &Key,
        new_root: &Key,
        numbers: (u64, u64),
        plan: &ShredPlan,
    ) -> Result<Rekeyed> {
        let work = work_of(plan);
        let (root_height, places) = self.places(&work).await?;
        let mut batch = Batch::new();
        let mut changed = Changed::default();
        let mut upper = TreeEdit::new(TreeName::ROOT, root_height, root.duplicate());
        let slots: Vec<u64> = places.values().map(|place| place.root_slot).collect();
        upper.load(self, slots, Absent::IsDamage).await?;

        for ((tenant, half), tree) in &work {
            let Some(place) = places.get(&(*tenant, *half)) else { continue };
            if place.head.value.erased {
                continue;
            }
            let name = TreeName::half(*tenant, *half);
            if tree.erased {
                upper.set_slot(place.root_slot, None)?;
                let head = TreeHead { erased: true, ..place.head.value };
                batch.expect_version(name.head_key(), place.head.version);
                batch.put(name.head_key(), place.head.version + 1, head.encode());
                changed.trees.push((*tenant, Some(*half)));
                continue;
            }
            let key = upper.slot_key(place.root_slot)?;
            let edit = TreeEdit::new(name, place.head.value.height, key);
            let key =
                self.rekey_tree(edit, (*tenant, *half), tree, &mut batch, &mut changed).await?;
            upper.set_slot(place.root_slot, Some(&key))?;
        }

        upper.rekey(self, new_root.duplicate())?;
        changed.nodes.extend(upper.write(self, &mut batch)?);
        finish_rows(&mut batch, numbers, plan);
        let nodes = changed.nodes.len();
        Ok(Rekeyed { batch, changed, nodes })
    }

    /// Drops leaves of one tree, re-keys their paths, and gives the tree's new key.
    async fn rekey_tree(
        &self,
        mut edit: TreeEdit,
        (tenant, half): (TenantId, Half),
        work: &TreeWork,
        batch: &mut Batch,
        changed: &mut Changed,
    ) -> Result<Key> {
        edit.load(self, work.leaves.keys().copied(), Absent::IsDamage).await?;
        let leaf = |slot: u64| Leaf { tenant, half, slot };
        let firsts: Vec<_> = work.leaves.keys().map(|slot| chunk_key(leaf(*slot), 0)).collect();
        let punctured = self.many_rows(&firsts).await?;
        for ((slot, work), first) in work.leaves.iter().zip(punctured) {
            let leaf = leaf(*slot);
            let rows = if first.is_some() { self.cover_rows(leaf).await? } else { Vec::new() };
            changed.leaves.push(leaf);
            let key = match edit.slot_key(*slot) {
                Ok(key) => key,
                // Erased before: there is nothing to puncture, and no more to erase.
                Err(KeyError::Gone) => continue,
                Err(error) => return Err(error),
            };
            match work {
                LeafWork::Erase => {
                    delete_cover(batch, leaf, &rows);
                    edit.set_slot(*slot, None)?;
                }
                LeafWork::Puncture(numbers) => {
                    let mut cover = open_cover(self.core.install, leaf, key, &rows)?;
                    for number in numbers {
                        cover.puncture(*number);
                    }
                    let fresh = Key::generate(self.core.rng.as_ref())?;
                    write_cover(self, batch, leaf, &fresh, &cover, &rows)?;
                    edit.set_slot(*slot, Some(&fresh))?;
                }
            }
        }
        let top = Key::generate(self.core.rng.as_ref())?;
        edit.rekey(self, top.duplicate())?;
        changed.nodes.extend(edit.write(self, batch)?);
        Ok(top)
    }

    async fn cover_rows(&self, leaf: Leaf) -> Result<Vec<Row>> {
        let rows = self.all_rows(&seed_prefix(leaf)).await?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// The root tree's height, and where the trees to be changed stand.
    async fn places(&self, work: &Work) -> Result<(u8, BTreeMap<(TenantId, Half), Place>)> {
        let mut keys = vec![TreeName::ROOT.head_key()];
        for (tenant, half) in work.keys() {
            keys.push(TreeName::half(*tenant, *half).head_key());
            keys.push(keyspace::halves(*tenant));
        }
        let rows = self.many_rows(&keys).await?;
        let (root_head, rows) = rows.split_first().ok_or(KeyError::NotCreated)?;
        let root_head = TreeHead::of(root_head.as_ref())?.ok_or(KeyError::NotCreated)?;
        let mut places = BTreeMap::new();
        for (((tenant, half), tree), rows) in work.iter().zip(rows.chunks(2)) {
            let [head, halves] = rows else { continue };
            let head = TreeHead::of(head.as_ref())?.ok_or(KeyError::Unknown)?;
            let halves = Halves::of(halves.as_ref())?.ok_or(KeyError::Unknown)?;
            if tree.leaves.keys().any(|slot| !head.value.covers(*slot)) {
                return Err(KeyError::Unknown);
            }
            let root_slot = halves.value.slot(*half);
            places.insert((*tenant, *half), Place { head, root_slot });
        }
        Ok((root_head.value.height, places))
    }
}

fn work_of(plan: &ShredPlan) -> Work {
    let mut work = Work::new();
    for (key, row) in &plan.tombstones {
        let Some((tenant, _, _, number)) = keyspace::parse_tombstone(key) else { continue };
        match row.doomed {
            Doomed::Tree { half } => work.entry((tenant, half)).or_default().erased = true,
            Doomed::Leaf { half, slot } => erase(&mut work, Leaf { tenant, half, slot }),
            Doomed::Number { half, slot } => {
                let tree = work.entry((tenant, half)).or_default();
                let leaf = tree.leaves.entry(slot).or_insert(LeafWork::Puncture(BTreeSet::new()));
                match leaf {
                    LeafWork::Erase => {}
                    LeafWork::Puncture(numbers) => drop(numbers.insert(number)),
                }
            }
        }
    }
    plan.retired.iter().for_each(|(_, leaf)| erase(&mut work, *leaf));
    work
}

fn erase(work: &mut Work, leaf: Leaf) {
    let tree = work.entry((leaf.tenant, leaf.half)).or_default();
    tree.leaves.insert(leaf.slot, LeafWork::Erase);
}

/// The rows of the plan itself: tombstones go on, retired slots are done with.
fn finish_rows(batch: &mut Batch, (before, after): (u64, u64), plan: &ShredPlan) {
    for (key, row) in &plan.tombstones {
        let row = TombstoneRow { state: TombstoneState::Erasing, before, after, ..*row };
        batch.expect_version(key.clone(), TombstoneState::Pending.version());
        batch.put(key.clone(), TombstoneState::Erasing.version(), row.encode());
    }
    for (key, _) in &plan.retired {
        batch.delete(key.clone());
    }
}
