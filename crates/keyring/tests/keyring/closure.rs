//! A small adversary: with every version of every row that was ever written, the present content of
//! the holders and the seal key, it opens whatever opens, starting from the root.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use strongroom_crypto::prf::Cover;
use strongroom_crypto::{Context, Key, MessagePurpose, hash, root, stream};
use strongroom_keyring::{Half, Holder, Leaf, ShredTarget, Tombstone};
use strongroom_model::TenantId;
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_storage::{Batch, MemoryStore, RowKey, Store};

use crate::world::{self, History, INSTALL, Recorder, World, erase, leaf_stone, stone, tenant};

const NUMBERS: [u32; 4] = [16, 17, 300, 70_000];

/// `number → class → sealed shares with their holders`.
type Shares = BTreeMap<u64, BTreeMap<u8, Vec<([u8; 16], Vec<u8>)>>>;

async fn shares_of(holders: &[Arc<dyn Holder>]) -> Shares {
    let mut shares = Shares::new();
    for holder in holders {
        for held in holder.list().await.unwrap().shares {
            let sealed = holder.read(held.number).await.unwrap();
            let class = shares.entry(held.number).or_default().entry(holder.class()).or_default();
            class.push((holder.id().0, sealed));
        }
    }
    shares
}

/// What the adversary has opened.
#[derive(Default)]
struct Opened {
    /// Every key that a node of level 0 of a half's tree ever had for a slot.
    leaves: BTreeMap<Leaf, HashSet<[u8; 32]>>,
    /// Keys of numbers, from every seed and every cover that opens.
    numbers: BTreeMap<(Leaf, u32), HashSet<[u8; 32]>>,
    nodes: usize,
}

struct Adversary<'a> {
    history: &'a History,
    opened: Opened,
    /// Nodes whose content was seen, by version and key, so that nothing is walked twice.
    seen: BTreeSet<(RowKey, u64, [u8; 32])>,
}

impl<'a> Adversary<'a> {
    fn attack(history: &'a History, shares: &Shares) -> Opened {
        let mut adversary = Self { history, opened: Opened::default(), seen: BTreeSet::new() };
        // A share may have been used for other numbers than the one that it is kept under.
        let highest = shares.keys().max().copied().unwrap();
        for (number, classes) in shares {
            let mut opened: Vec<(u8, Key)> = Vec::new();
            for (class, sealed) in classes {
                let (holder, sealed) = &sealed[0];
                opened.push((*class, open_share(*holder, *class, *number, sealed)));
            }
            let parts: Vec<_> = opened.iter().map(|(class, share)| (*class, share)).collect();
            for number in 1..=highest {
                let root = root::derive(INSTALL, number, &parts).unwrap();
                adversary.try_as_top(TenantId::PROVIDER, 0, root.expose());
            }
        }
        adversary.opened
    }

    /// Tries a key on every node that was ever the top of a tree.
    fn try_as_top(&mut self, tenant: TenantId, tree: u8, key: &[u8; 32]) {
        for level in 0..4 {
            self.try_node(tenant, tree, level, 0, key);
        }
    }

    fn try_node(&mut self, tenant: TenantId, tree: u8, level: u8, index: u64, key: &[u8; 32]) {
        let name = keyspace::Tree::from_number(tree).unwrap();
        let row_key = keyspace::node(tenant, name, level, index);
        let Some(versions) = self.history.get(&row_key) else { return };
        for (version, sealed) in versions {
            let context = node_context(tenant, tree, level, index, *version);
            let secret = Key::from_slice(key).unwrap();
            let Ok(node) = stream::open(&secret, &context, sealed) else { continue };
            if !self.seen.insert((row_key.clone(), *version, *key)) {
                continue;
            }
            self.opened.nodes += 1;
            for (place, child) in (0u64..).zip(node.expose().chunks(32)) {
                let (child, below) = (child.try_into().unwrap(), index * 64 + place);
                match (level, tree) {
                    (0, 0) => self.try_all_trees(&child),
                    (0, _) => self.leaf(tenant, tree, below, &child),
                    (1.., _) => self.try_node(tenant, tree, level - 1, below, &child),
                }
            }
        }
    }

    /// A key of the root tree may open any half of any tenant.
    fn try_all_trees(&mut self, key: &[u8; 32]) {
        let heads = self.history.keys().filter_map(|key| match keyspace::parse(key) {
            Some((tenant, RowKind::TreeHead, [tree @ 1..=2])) => Some((tenant, *tree)),
            _ => None,
        });
        for (tenant, tree) in heads.collect::<Vec<_>>() {
            self.try_as_top(tenant, tree, key);
        }
    }

    fn leaf(&mut self, tenant: TenantId, tree: u8, slot: u64, key: &[u8; 32]) {
        let half = if tree == 1 { Half::Account } else { Half::Data };
        let leaf = Leaf { tenant, half, slot };
        if !self.opened.leaves.entry(leaf).or_default().insert(*key) {
            return;
        }
        let secret = || Key::from_slice(key).unwrap();
        self.numbers(leaf, &Cover::from_seed(secret()));
        for chunk in 0..8 {
            let row_key = keyspace::punctured_seed(tenant, half.tree(), slot, chunk);
            let Some(versions) = self.history.get(&row_key) else { break };
            for (version, sealed) in versions {
                let context = Context {
                    purpose: MessagePurpose::SubjectState,
                    object: hash::sha256(&[row_key.as_bytes()])[..16].try_into().unwrap(),
                    index: u64::from(RowKind::PuncturedSeed.number()),
                    tenant,
                    version: *version,
                    ..EMPTY
                };
                let Ok(state) = stream::open(&secret(), &context, sealed) else { continue };
                // A chunk is a whole number of seeds, so that each can be read alone.
                self.numbers(leaf, &Cover::decode(&state.expose()[2..]).unwrap());
            }
        }
    }

    fn numbers(&mut self, leaf: Leaf, cover: &Cover) {
        for number in NUMBERS {
            if let Ok(key) = cover.key(number, None) {
                self.opened.numbers.entry((leaf, number)).or_default().insert(*key.expose());
            }
        }
    }
}

const EMPTY: Context = Context {
    purpose: MessagePurpose::Node,
    epoch: 0,
    install: INSTALL,
    tenant: TenantId::PROVIDER,
    subject: [0; 16],
    object: [0; 16],
    collection: 0,
    index: 0,
    number: 0,
    version: 0,
};

fn node_context(tenant: TenantId, tree: u8, level: u8, index: u64, version: u64) -> Context {
    let id = hash::sha256(&[b"sr1/tree\0", tenant.as_bytes(), &[tree]]);
    let object = id[..16].try_into().unwrap();
    Context { tenant, object, collection: u32::from(level), index, version, ..EMPTY }
}

fn open_share(holder: [u8; 16], class: u8, number: u64, sealed: &[u8]) -> Key {
    let context = Context {
        purpose: MessagePurpose::Slot,
        object: holder,
        index: u64::from(class),
        version: number,
        ..EMPTY
    };
    let share = stream::open(&world::seal_key(), &context, sealed).unwrap();
    Key::from_slice(share.expose()).unwrap()
}

/// The keys that a scene has handed out: of leaves, and of numbers under them.
#[derive(Default)]
struct HandedOut {
    leaves: BTreeMap<Leaf, [u8; 32]>,
    numbers: BTreeMap<(Leaf, u32), [u8; 32]>,
}

impl HandedOut {
    fn reachable_leaves(&self, opened: &Opened) -> BTreeSet<Leaf> {
        let reaches = |(leaf, key): &(&Leaf, &[u8; 32])| {
            opened.leaves.get(leaf).is_some_and(|keys| keys.contains(*key))
        };
        self.leaves.iter().filter(reaches).map(|(leaf, _)| *leaf).collect()
    }

    fn reachable_numbers(&self, opened: &Opened) -> BTreeSet<(Leaf, u32)> {
        let reaches = |(number, key): &(&(Leaf, u32), &[u8; 32])| {
            opened.numbers.get(number).is_some_and(|keys| keys.contains(*key))
        };
        self.numbers.iter().filter(reaches).map(|(number, _)| *number).collect()
    }
}

/// Three tenants, a tree of two levels, erasures of every kind; gives what is erased.
async fn scene(world: &World) -> (HandedOut, BTreeSet<Leaf>, BTreeSet<(Leaf, u32)>, Shares) {
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

fn recorded(classes: &[u8]) -> (World, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::new(Arc::new(MemoryStore::new())));
    let store: Arc<dyn Store> = recorder.clone();
    (World::of(store, world::memory_holders(classes)), recorder)
}

#[tokio::test]
async fn nothing_erased_is_reachable_from_the_present_root_and_everything_else_is() {
    for classes in [&[1][..], &[1, 1, 2]] {
        let (world, recorder) = recorded(classes);
        let (out, gone_leaves, gone_numbers, _) = scene(&world).await;
        let history = recorder.history().await;
        let opened = Adversary::attack(&history, &shares_of(&world.holders).await);
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
    let (world, recorder) = recorded(&[1, 2]);
    let (out, .., before) = scene(&world).await;
    let history = recorder.history().await;
    let opened = Adversary::attack(&history, &before);
    assert_eq!(out.reachable_leaves(&opened).len(), out.leaves.len());
    assert_eq!(out.reachable_numbers(&opened).len(), out.numbers.len());
}

#[tokio::test]
async fn without_the_share_of_one_class_nothing_is_reachable() {
    let (world, recorder) = recorded(&[1, 2]);
    let (out, ..) = scene(&world).await;
    let history = recorder.history().await;
    let mut shares = shares_of(&world.holders).await;
    for classes in shares.values_mut() {
        classes.remove(&2);
    }
    let opened = Adversary::attack(&history, &shares);
    assert_eq!((opened.nodes, out.reachable_leaves(&opened).len()), (0, 0));
}

#[tokio::test]
async fn no_key_ever_stands_in_a_row_in_the_clear() {
    let (world, recorder) = recorded(&[1]);
    let (out, ..) = scene(&world).await;
    let keys: HashSet<[u8; 32]> =
        out.leaves.values().chain(out.numbers.values()).copied().collect();
    let mut windows = 0;
    for value in recorder.history().await.values().flat_map(BTreeMap::values) {
        for window in value.windows(32) {
            windows += 1;
            assert!(!keys.contains(window));
        }
    }
    assert!(windows > 10_000 && keys.len() > 400);
}
