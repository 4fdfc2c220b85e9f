//! The adversary against the keyring: with everything that was ever written, the present content of the
//! holders and the seal key, it opens whatever opens, starting from the root.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use strongroom_adversary::{Evidence, Opened, Share};
use strongroom_keyring::{Half, Leaf, ShredTarget, Tombstone};
use strongroom_storage::Batch;

use crate::adversary::{attacked, name, recorded, shares_of};
use crate::world::{self, World, erase, leaf_stone, stone, tenant};

const NUMBERS: [u32; 4] = [16, 17, 300, 70_000];

/// The keys that a scene has handed out: of leaves, and of numbers under them.
#[derive(Default)]
struct HandedOut {
    leaves: BTreeMap<Leaf, [u8; 32]>,
    numbers: BTreeMap<(Leaf, u32), [u8; 32]>,
}

impl HandedOut {
    fn reachable_leaves(&self, opened: &Opened) -> BTreeSet<Leaf> {
        let reaches = |(leaf, key): &(&Leaf, &[u8; 32])| {
            opened.leaves.get(&name(leaf)).is_some_and(|keys| keys.contains(*key))
        };
        self.leaves.iter().filter(reaches).map(|(leaf, _)| *leaf).collect()
    }

    fn reachable_numbers(&self, opened: &Opened) -> BTreeSet<(Leaf, u32)> {
        let reaches = |((leaf, number), key): &(&(Leaf, u32), &[u8; 32])| {
            opened.numbers(name(leaf), *number).contains(*key)
        };
        self.numbers.iter().filter(reaches).map(|(number, _)| *number).collect()
    }
}

/// Three tenants, a tree of two levels, erasures of every kind; gives what is erased.
async fn scene(world: &World) -> (HandedOut, BTreeSet<Leaf>, BTreeSet<(Leaf, u32)>, Vec<Share>) {
    let keyring = world.create().await;
    let store = world.store.as_ref();
    let mut out = HandedOut::default();
    for number in 1..=3 {
        keyring.create_tenant(tenant(number)).await.unwrap();
        for half in [Half::Account, Half::Data] {
            for slot in keyring.take_slots(tenant(number), half, 70).await.unwrap() {
                let leaf = Leaf { tenant: tenant(number), half, slot };
                out.leaves.insert(leaf, *keyring.leaf(leaf).await.unwrap().expose());
                for number in NUMBERS {
                    let key = keyring.subject_key(leaf.tenant, half, slot, number, None).await;
                    out.numbers.insert((leaf, number), *key.unwrap().expose());
                }
            }
        }
    }
    let before = shares_of(&world.holders).await;

    let mut gone_leaves = BTreeSet::new();
    let mut gone_numbers = BTreeSet::new();
    let data = |number: u8, slot: u64| Leaf { tenant: tenant(number), half: Half::Data, slot };
    let mut kill = |leaf: Leaf| {
        gone_leaves.insert(leaf);
        gone_numbers.extend(NUMBERS.map(|number| (leaf, number)));
    };

    // A leaf by itself, then one beside it: the second must not be found through the first's past.
    for slot in [16, 17] {
        let _ = erase(&keyring, store, &[leaf_stone(tenant(1), Half::Data, slot)]).await;
        kill(data(1, slot));
    }
    // A tree that has grown since, and a retired slot with a target of the same tenant.
    let mut batch = Batch::new();
    keyring.retire(&mut batch, data(1, 20));
    let _ = store.commit(batch).await.unwrap();
    let _ = keyring.take_slots(tenant(1), Half::Data, 128).await.unwrap();
    let _ = erase(&keyring, store, &[leaf_stone(tenant(1), Half::Data, 70)]).await;
    kill(data(1, 20));
    kill(data(1, 70));
    // A tenant's half, and a leaf of another tenant in the same batch.
    let both: [Tombstone; 2] = [
        stone(tenant(2), ShredTarget::Tenant { half: Half::Data }),
        leaf_stone(tenant(3), Half::Account, 30),
    ];
    let _ = erase(&keyring, store, &both).await;
    out.leaves
        .keys()
        .filter(|leaf| leaf.tenant == tenant(2) && leaf.half == Half::Data)
        .for_each(|leaf| kill(*leaf));
    kill(Leaf { tenant: tenant(3), half: Half::Account, slot: 30 });
    // Punctures: once, again, and then the whole seed.
    for numbers in [vec![16], vec![300, 70_000]] {
        let target =
            |slot| ShredTarget::Numbers { half: Half::Data, slot, numbers: numbers.clone() };
        let stones = [stone(tenant(3), target(40)), stone(tenant(3), target(41))];
        let _ = erase(&keyring, store, &stones).await;
    }
    let _ = erase(&keyring, store, &[leaf_stone(tenant(3), Half::Data, 41)]).await;
    kill(data(3, 41));
    gone_numbers.extend([16, 300, 70_000].map(|number| (data(3, 40), number)));
    // The leaf of a punctured seed has another key; the old one, the whole seed, is gone too.
    gone_leaves.insert(data(3, 40));
    (out, gone_leaves, gone_numbers, before)
}

fn recorded_world(classes: &[u8]) -> (World, Arc<Mutex<Evidence>>) {
    let (store, evidence) = recorded();
    (World::of(store, world::memory_holders(classes)), evidence)
}

#[tokio::test]
async fn nothing_erased_is_reachable_from_the_present_root_and_everything_else_is() {
    for classes in [&[1][..], &[1, 1, 2]] {
        let (world, evidence) = recorded_world(classes);
        let (out, gone_leaves, gone_numbers, _) = scene(&world).await;
        let opened = attacked(&evidence, &shares_of(&world.holders).await);
        assert!(opened.nodes > 12, "the adversary does not walk");

        let found = out.reachable_leaves(&opened);
        let living: BTreeSet<_> =
            out.leaves.keys().copied().filter(|leaf| !gone_leaves.contains(leaf)).collect();
        assert_eq!(found, living);
        let found = out.reachable_numbers(&opened);
        let living: BTreeSet<_> =
            out.numbers.keys().copied().filter(|number| !gone_numbers.contains(number)).collect();
        assert_eq!(found, living);
    }
}

#[tokio::test]
async fn everything_erased_is_reachable_if_the_old_shares_were_kept() {
    let (world, evidence) = recorded_world(&[1, 2]);
    let (out, .., before) = scene(&world).await;
    let opened = attacked(&evidence, &before);
    assert_eq!(out.reachable_leaves(&opened).len(), out.leaves.len());
    assert_eq!(out.reachable_numbers(&opened).len(), out.numbers.len());
}

#[tokio::test]
async fn without_the_share_of_one_class_nothing_is_reachable() {
    let (world, evidence) = recorded_world(&[1, 2]);
    let (out, ..) = scene(&world).await;
    let mut shares = shares_of(&world.holders).await;
    shares.retain(|share| share.class != 2);
    let opened = attacked(&evidence, &shares);
    assert_eq!((opened.nodes, out.reachable_leaves(&opened).len()), (0, 0));
}

#[tokio::test]
async fn no_key_ever_stands_in_a_row_in_the_clear() {
    let (world, evidence) = recorded_world(&[1]);
    let (out, ..) = scene(&world).await;
    let keys: BTreeSet<[u8; 32]> =
        out.leaves.values().chain(out.numbers.values()).copied().collect();
    let evidence = evidence.lock().unwrap();
    let mut windows = 0;
    for window in evidence.values().flat_map(|value| value.array_windows::<32>()) {
        windows += 1;
        assert!(!keys.contains(window));
    }
    assert!(windows > 10_000 && keys.len() > 400);
}
