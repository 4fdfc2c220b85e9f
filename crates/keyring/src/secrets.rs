//! What is in memory while the server is unlocked; dropping it wipes it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_crypto::Key;
use strongroom_crypto::prf::Cover;
use strongroom_model::TenantId;

use crate::cache::Cache;
use crate::node::Node;
use crate::tree::{Half, Leaf, Position};

/// Most nodes that stay open in memory: 8 MiB of keys.
const NODES_MAX: usize = 4_096;
/// Most seeds that stay open in memory.
const SEEDS_MAX: usize = 4_096;

/// The seal key, the root secret, and what was opened with it lately.
pub(crate) struct Secrets {
    pub(crate) seal: Key,
    /// By number: the one in force and, while a batch is being committed, the one to come.
    roots: Mutex<BTreeMap<u64, Arc<Key>>>,
    nodes: Mutex<Cache<Position, Arc<Node>>>,
    seeds: Mutex<Cache<Leaf, Arc<Cover>>>,
    rests: Mutex<Rests>,
    generation: AtomicU64,
}

/// Slots that are taken from the store and not yet handed out.
type Rests = HashMap<(TenantId, Half), VecDeque<Range<u64>>>;

/// What had not been invalidated when somebody began to read; see [`Secrets::generation`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Secrets {
    pub(crate) fn new(seal: Key, number: u64, root: Key) -> Self {
        Self {
            seal,
            roots: Mutex::new(BTreeMap::from([(number, Arc::new(root))])),
            nodes: Mutex::new(Cache::new(NODES_MAX)),
            seeds: Mutex::new(Cache::new(SEEDS_MAX)),
            rests: Mutex::default(),
            generation: AtomicU64::new(0),
        }
    }

    pub(crate) fn root(&self, number: u64) -> Option<Arc<Key>> {
        lock(&self.roots).get(&number).cloned()
    }

    pub(crate) fn add_root(&self, number: u64, root: Arc<Key>) {
        lock(&self.roots).insert(number, root);
    }

    /// Drops every root secret but that of this number.
    pub(crate) fn keep_root(&self, number: u64) {
        lock(&self.roots).retain(|kept, _| *kept == number);
    }

    /// To be taken before the store is read, and handed in with what was read: what a shred has
    /// invalidated in between is then not kept.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::SeqCst))
    }

    pub(crate) fn node(&self, position: Position, now: Duration) -> Option<(Arc<Node>, u64)> {
        lock(&self.nodes).find(&position, now)
    }

    pub(crate) fn keep_node(
        &self,
        position: Position,
        node: &Arc<Node>,
        version: u64,
        read: Generation,
        now: Duration,
    ) {
        let mut nodes = lock(&self.nodes);
        if self.generation() == read {
            nodes.insert(position, Arc::clone(node), version, now);
        }
    }

    pub(crate) fn drop_node(&self, position: Position) {
        lock(&self.nodes).remove(&position);
    }

    pub(crate) fn seed(&self, leaf: Leaf, now: Duration) -> Option<Arc<Cover>> {
        lock(&self.seeds).find(&leaf, now).map(|(cover, _)| cover)
    }

    pub(crate) fn keep_seed(
        &self,
        leaf: Leaf,
        cover: &Arc<Cover>,
        version: u64,
        read: Generation,
        now: Duration,
    ) {
        let mut seeds = lock(&self.seeds);
        if self.generation() == read {
            seeds.insert(leaf, Arc::clone(cover), version, now);
        }
    }

    /// Drops what a shred has changed, also from under those who are reading it.
    pub(crate) fn invalidate(&self, changed: &Changed) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        let mut nodes = lock(&self.nodes);
        changed.nodes.iter().for_each(|position| nodes.remove(position));
        nodes.retain(|position| {
            !changed.trees.contains(&(position.name.tenant, Half::of(position.name.tree)))
        });
        drop(nodes);
        let mut seeds = lock(&self.seeds);
        changed.leaves.iter().for_each(|leaf| seeds.remove(leaf));
        seeds.retain(|leaf| !changed.trees.contains(&(leaf.tenant, Some(leaf.half))));
        drop(seeds);
        let mut rests = lock(&self.rests);
        rests.retain(|(tenant, half), _| !changed.trees.contains(&(*tenant, Some(*half))));
    }

    /// Drops opened keys that have been in memory for too long.
    pub(crate) fn expire(&self, now: Duration) {
        lock(&self.nodes).expire(now);
        lock(&self.seeds).expire(now);
    }

    /// Some slots that are taken from the store and not yet handed out, if there are as many.
    pub(crate) fn take_rest(&self, tenant: TenantId, half: Half, count: usize) -> Option<Vec<u64>> {
        let mut rests = lock(&self.rests);
        let rest = rests.get_mut(&(tenant, half)).filter(|rest| left(rest) >= count)?;
        let mut slots = Vec::with_capacity(count);
        while slots.len() < count {
            let Some(range) = rest.front_mut() else { break };
            match range.next() {
                Some(slot) => slots.push(slot),
                None => drop(rest.pop_front()),
            }
        }
        Some(slots)
    }

    /// Whether so many slots are taken from the store and not yet handed out.
    pub(crate) fn has_rest(&self, tenant: TenantId, half: Half, count: usize) -> bool {
        lock(&self.rests).get(&(tenant, half)).is_some_and(|rest| left(rest) >= count)
    }

    /// Slots that were just taken from the store.
    pub(crate) fn add_rest(&self, tenant: TenantId, half: Half, slots: Range<u64>) {
        lock(&self.rests).entry((tenant, half)).or_default().push_back(slots);
    }
}

/// How many slots some ranges have.
fn left(rest: &VecDeque<Range<u64>>) -> usize {
    let left: u64 = rest.iter().map(|range| range.end - range.start).sum();
    usize::try_from(left).unwrap_or(usize::MAX)
}

/// What a shred has changed.
#[derive(Default)]
pub(crate) struct Changed {
    pub(crate) nodes: Vec<Position>,
    pub(crate) leaves: Vec<Leaf>,
    /// Trees that are gone.
    pub(crate) trees: Vec<(TenantId, Option<Half>)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
