//! Long random histories of the trees beside a flat table of the keys that there should be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use strongroom_adversary::Opened;
use strongroom_keyring::{
    FileHolder, Grade, Half, KeyError, Keyring, Leaf, SealMethod, ShredTarget,
};
use strongroom_storage::{Batch, StoreUrl};

use crate::adversary::{attacked, name, recorded, shares_of};
use crate::world::{self, TestRng, World, erase, stone, tenant};

/// Numbers whose keys are compared, of every length that the code has.
const NUMBERS: [u32; 6] = [0, 16, 200, 300, 70_000, u32::MAX];

/// What the flat table knows about a slot.
enum Known {
    Leaf([u8; 32]),
    Seed(BTreeMap<u32, [u8; 32]>),
    Gone,
}

#[derive(Default)]
struct Table {
    slots: BTreeMap<Leaf, Known>,
    taken: BTreeSet<Leaf>,
    erased_trees: BTreeSet<(u8, Half)>,
    tenants: u8,
    /// Slots on the retired list: gone with the next batch of their tenant.
    retired: BTreeSet<Leaf>,
    /// Keys that were erased, of slots and of numbers under them.
    gone: BTreeSet<(Leaf, Option<u32>, [u8; 32])>,
}

impl Table {
    fn is_gone(&mut self, leaf: Leaf) {
        match self.slots.insert(leaf, Known::Gone) {
            Some(Known::Leaf(key)) => drop(self.gone.insert((leaf, None, key))),
            Some(Known::Seed(keys)) => {
                self.gone.extend(keys.into_iter().map(|(number, key)| (leaf, Some(number), key)));
            }
            Some(Known::Gone) | None => {}
        }
    }
}

struct History {
    world: World,
    keyring: Keyring,
    table: Table,
    dice: TestRng,
}

impl History {
    async fn new(world: World, seed: u64) -> Self {
        let keyring = world.create().await;
        let mut history =
            Self { world, keyring, table: Table::default(), dice: TestRng::new(seed) };
        history.new_tenant().await;
        history.new_tenant().await;
        history
    }

    async fn new_tenant(&mut self) {
        self.table.tenants += 1;
        let id = tenant(self.table.tenants);
        self.keyring.create_tenant(id).await.unwrap();
        self.keyring.create_tenant(id).await.unwrap();
    }

    fn tree(&self) -> Option<(u8, Half)> {
        let number = u8::try_from(self.dice.below(usize::from(self.table.tenants))).unwrap() + 1;
        let half = if self.dice.below(4) == 0 { Half::Account } else { Half::Data };
        Some((number, half)).filter(|tree| !self.table.erased_trees.contains(tree))
    }

    async fn take(&mut self, most: usize) {
        let Some((number, half)) = self.tree() else { return };
        let count = self.dice.below(most) + 1;
        let slots = self.keyring.take_slots(tenant(number), half, count).await.unwrap();
        assert_eq!(slots.len(), count);
        for slot in slots {
            assert!(slot >= 16);
            let leaf = Leaf { tenant: tenant(number), half, slot };
            assert!(self.table.taken.insert(leaf), "slot {slot} was given out twice");
            let known = if slot % 4 == 0 {
                let mut keys = BTreeMap::new();
                for number in NUMBERS {
                    keys.insert(number, self.subject_key(leaf, number).await.unwrap());
                }
                Known::Seed(keys)
            } else {
                Known::Leaf(*self.keyring.leaf(leaf).await.unwrap().expose())
            };
            self.table.slots.insert(leaf, known);
        }
    }

    async fn subject_key(&self, leaf: Leaf, number: u32) -> Result<[u8; 32], KeyError> {
        let Leaf { tenant, half, slot } = leaf;
        let key = self.keyring.subject_key(tenant, half, slot, number, None).await?;
        Ok(*key.expose())
    }

    /// A random slot that is not gone.
    fn living(&self) -> Option<Leaf> {
        let leaves: Vec<_> = self.table.slots.keys().collect();
        let leaf = **leaves.get(self.dice.below(leaves.len().max(1)))?;
        let is_gone = matches!(self.table.slots[&leaf], Known::Gone);
        (!is_gone && !self.table.retired.contains(&leaf)).then_some(leaf)
    }

    async fn shred(&mut self) {
        let mut targets = BTreeMap::new();
        for _ in 0..=self.dice.below(4) {
            let Some(leaf) = self.living() else { continue };
            let Leaf { half, slot, .. } = leaf;
            let target = match &self.table.slots[&leaf] {
                Known::Seed(keys) if self.dice.below(3) > 0 && !keys.is_empty() => {
                    let numbers: Vec<u32> = keys.keys().copied().collect();
                    let number = numbers[self.dice.below(numbers.len())];
                    ShredTarget::Numbers { half, slot, numbers: vec![number] }
                }
                Known::Seed(_) | Known::Leaf(_) => ShredTarget::Leaf { half, slot },
                Known::Gone => continue,
            };
            targets.insert(leaf, target);
        }
        let stones: Vec<_> =
            targets.iter().map(|(leaf, target)| stone(leaf.tenant, target.clone())).collect();
        let store = self.world.store.as_ref();
        let before = self.keyring.number();
        let outcome = erase(&self.keyring, store, &stones).await;
        if !stones.is_empty() {
            assert!(outcome.number_after > before && outcome.number_before == before);
        }
        for (leaf, target) in targets {
            if let ShredTarget::Numbers { numbers, .. } = &target
                && let Some(Known::Seed(keys)) = self.table.slots.get_mut(&leaf)
            {
                for number in numbers {
                    let key = keys.remove(number).unwrap();
                    self.table.gone.insert((leaf, Some(*number), key));
                }
            } else {
                self.table.is_gone(leaf);
            }
            let retired: Vec<_> = self.table.retired.iter().copied().collect();
            for retired in retired.into_iter().filter(|retired| retired.tenant == leaf.tenant) {
                self.table.retired.remove(&retired);
                self.table.is_gone(retired);
            }
        }
    }

    async fn retire(&mut self) {
        let Some(leaf) = self.living() else { return };
        let mut batch = Batch::new();
        self.keyring.retire(&mut batch, leaf);
        let _ = self.world.store.commit(batch).await.unwrap();
        self.table.retired.insert(leaf);
    }

    async fn erase_tree(&mut self) {
        let Some((number, half)) = self.tree() else { return };
        let stones = [stone(tenant(number), ShredTarget::Tenant { half })];
        let _ = erase(&self.keyring, self.world.store.as_ref(), &stones).await;
        self.table.erased_trees.insert((number, half));
        let of_it = |leaf: &&Leaf| leaf.tenant == tenant(number);
        let dead = |leaf: &&Leaf| leaf.half == half || self.table.retired.contains(leaf);
        let dead: Vec<Leaf> = self.table.slots.keys().filter(of_it).filter(dead).copied().collect();
        for leaf in dead {
            self.table.is_gone(leaf);
        }
        self.table.retired.retain(|leaf| leaf.tenant != tenant(number));
        let taken = self.keyring.take_slots(tenant(number), half, 1).await;
        assert_eq!(taken, Err(KeyError::Gone));
        assert_eq!(self.keyring.create_tenant(tenant(number)).await, Err(KeyError::Gone));
        self.new_tenant().await;
    }

    async fn check(&self, leaf: Leaf) {
        let key = self.keyring.leaf(leaf).await;
        match &self.table.slots[&leaf] {
            Known::Leaf(known) => assert_eq!(key.unwrap().expose(), known, "{leaf:?}"),
            Known::Gone => assert_eq!(key.err(), Some(KeyError::Gone), "{leaf:?}"),
            Known::Seed(keys) => {
                for number in NUMBERS {
                    let Leaf { tenant, half, slot } = leaf;
                    let key = self.subject_key(leaf, number).await;
                    let known = keys.get(&number).copied().ok_or(KeyError::Gone);
                    assert_eq!(key, known, "{leaf:?} {number}");
                    let punctured = self.keyring.is_punctured(tenant, half, slot, number).await;
                    assert_eq!(punctured, Ok(!keys.contains_key(&number)));
                }
            }
        }
    }

    async fn check_some(&self, count: usize) {
        let leaves: Vec<_> = self.table.slots.keys().copied().collect();
        for _ in 0..count.min(leaves.len()) {
            self.check(leaves[self.dice.below(leaves.len())]).await;
        }
    }

    async fn check_all(&self) {
        for leaf in self.table.slots.keys() {
            self.check(*leaf).await;
        }
    }

    async fn step(&mut self, most: usize) {
        match self.dice.below(100) {
            0..45 => self.take(most).await,
            45..80 => self.shred().await,
            80..90 => self.retire().await,
            90..95 => self.world.clock.advance(Duration::from_secs(45)),
            95..98 => self.keyring = self.world.reopen().await,
            98 => {
                self.keyring.lock();
                self.keyring.unlock(&world::seal_key()).await.unwrap();
            }
            _ => {
                if self.dice.below(3) == 0 {
                    self.erase_tree().await;
                }
            }
        }
        self.check_some(3).await;
    }

    async fn run(&mut self, steps: usize, most: usize) {
        for step in 0..steps {
            self.step(most).await;
            if step % 250 == 249 {
                self.check_all().await;
            }
        }
        self.keyring = self.world.reopen().await;
        self.check_all().await;
        assert_eq!(self.keyring.tombstones_pending().await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn the_trees_agree_with_a_flat_table_over_a_long_history() {
    for seed in [7, 8] {
        let mut history = History::new(World::in_memory(&[1]), seed).await;
        history.run(2_000, 24).await;
        let gone = history.table.slots.values().filter(|known| matches!(known, Known::Gone));
        assert!(gone.count() > 500 && history.table.slots.len() > 5_000, "nothing was tried");
    }
}

/// How many of some keys the adversary has.
fn reached(opened: &Opened, keys: &BTreeSet<(Leaf, Option<u32>, [u8; 32])>) -> usize {
    let reaches = |(leaf, number, key): &&(Leaf, Option<u32>, [u8; 32])| match number {
        None => opened.leaves.get(&name(leaf)).is_some_and(|keys| keys.contains(key)),
        Some(number) => opened.numbers(name(leaf), *number).contains(key),
    };
    keys.iter().filter(reaches).count()
}

#[tokio::test]
async fn after_a_long_history_the_adversary_has_the_flat_table_and_nothing_more() {
    let (store, evidence) = recorded();
    let mut history = History::new(World::of(store, world::memory_holders(&[1, 2])), 11).await;
    let mut shares = shares_of(&history.world.holders).await;
    for _ in 0..400 {
        history.step(24).await;
        for share in shares_of(&history.world.holders).await {
            if !shares.contains(&share) {
                shares.push(share);
            }
        }
    }
    // What is retired and not dropped yet lives.
    let living = history.table.slots.iter().flat_map(|(leaf, known)| match known {
        Known::Leaf(key) => vec![(*leaf, None, *key)],
        Known::Seed(keys) => {
            keys.iter().map(|(number, key)| (*leaf, Some(*number), *key)).collect()
        }
        Known::Gone => Vec::new(),
    });
    let (living, gone) = (living.collect(), &history.table.gone);
    let now = attacked(&evidence, &shares_of(&history.world.holders).await);
    assert_eq!(reached(&now, gone), 0);
    assert_eq!(reached(&now, &living), living.len());
    let ever = attacked(&evidence, &shares);
    assert_eq!(reached(&ever, gone), gone.len(), "the adversary does not see");
    assert!(gone.len() > 300 && living.len() > 1_000 && shares.len() > 200, "nothing was tried");
}

#[tokio::test]
async fn trees_of_three_levels_agree_with_a_flat_table() {
    let mut history = History::new(World::in_memory(&[1, 2]), 9).await;
    for _ in 0..12 {
        history.take(2_000).await;
    }
    assert!(history.table.taken.iter().any(|leaf| leaf.slot > 64 * 64), "no tree has three levels");
    history.check_some(500).await;
    history.run(150, 600).await;
}

#[tokio::test]
async fn the_same_holds_on_redb_with_a_holder_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::Redb(folder.path().join("store"));
    let store = strongroom_storage::create(&url).unwrap();
    let rng = TestRng::new(3);
    let path = folder.path().join("share");
    let holder =
        FileHolder::create(&path, world::INSTALL, 1, Grade::Logical, SealMethod::KeyFile, &rng);
    let world = World::of(store, vec![std::sync::Arc::new(holder.unwrap())]);
    let mut history = History::new(world, 10).await;
    history.run(120, 60).await;
}
