//! A failure at every call of a shred, to the store or to a holder, before or after it took place.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use strongroom_adversary::{Evidence, Opened, Share};
use strongroom_keyring::{Half, Holder, KeyError, Keyring, Leaf, Recovery, ShredTarget, Tombstone};
use strongroom_storage::{Batch, Store};

use crate::adversary::{attacked, name, recorded, shares_of};
use crate::world::{
    self, Fault, FaultyStore, WatchedHolder, World, fence, finish, leaf_stone, numbers, stone,
    tenant,
};

/// A world in which calls can fail, and the doors behind the faults.
struct Scene {
    world: World,
    store: Arc<dyn Store>,
    holders: Vec<Arc<WatchedHolder>>,
    fault: Arc<Fault>,
    keyring: Keyring,
    living: BTreeMap<Leaf, [u8; 32]>,
    doomed: BTreeMap<Leaf, [u8; 32]>,
    /// Everything that was ever written, and the shares before the shred.
    evidence: Arc<Mutex<Evidence>>,
    before: Vec<Share>,
    taken: Vec<u64>,
    stones: Vec<Tombstone>,
}

const DOOMED: [u64; 4] = [16, 17, 40, 90];

impl Scene {
    /// A tree of two levels, targets of every kind, fenced, and a retired slot.
    async fn new(classes: &[u8]) -> Self {
        let fault = Arc::new(Fault::default());
        let (store, evidence) = recorded();
        let holders: Vec<Arc<WatchedHolder>> = (1u8..)
            .zip(classes)
            .map(|(id, class)| {
                let (store, fault) = (Arc::clone(&store), Arc::clone(&fault));
                Arc::new(WatchedHolder::new(id, *class, store, fault))
            })
            .collect();
        let faulty = FaultyStore { inner: Arc::clone(&store), fault: Arc::clone(&fault) };
        let doors = holders.iter().map(|holder| Arc::clone(holder) as Arc<dyn Holder>).collect();
        let world = World::of(Arc::new(faulty), doors);
        let keyring = world.create().await;
        let mut living = BTreeMap::new();
        let mut taken = Vec::new();
        for number in 1..=2 {
            keyring.create_tenant(tenant(number)).await.unwrap();
            let slots = keyring.take_slots(tenant(number), Half::Data, 90).await.unwrap();
            for slot in &slots {
                let leaf = Leaf { tenant: tenant(number), half: Half::Data, slot: *slot };
                living.insert(leaf, *keyring.leaf(leaf).await.unwrap().expose());
            }
            taken = slots;
        }
        let mut doomed = living.clone();
        doomed.retain(|leaf, _| leaf.tenant == tenant(1) && DOOMED.contains(&leaf.slot));
        living.retain(|leaf, _| !doomed.contains_key(leaf));
        let account = Leaf { tenant: tenant(2), half: Half::Account, slot: 0 };
        doomed.insert(account, *keyring.leaf(account).await.unwrap().expose());
        let before = shares_of(&world.holders).await;
        let punctured = ShredTarget::Numbers { half: Half::Data, slot: 40, numbers: vec![16, 99] };
        let stones = vec![
            leaf_stone(tenant(1), Half::Data, 16),
            leaf_stone(tenant(1), Half::Data, 90),
            stone(tenant(1), punctured),
            stone(tenant(2), ShredTarget::Tenant { half: Half::Account }),
        ];
        fence(&keyring, store.as_ref(), &stones).await;
        let mut batch = Batch::new();
        let retired = Leaf { tenant: tenant(1), half: Half::Data, slot: 17 };
        keyring.retire(&mut batch, retired);
        let _ = store.commit(batch).await.unwrap();
        Self {
            world,
            store,
            holders,
            fault,
            keyring,
            living,
            doomed,
            evidence,
            before,
            taken,
            stones,
        }
    }

    async fn check_living(&self, keyring: &Keyring) {
        for (leaf, known) in &self.living {
            assert_eq!(keyring.leaf(*leaf).await.unwrap().expose(), known, "{leaf:?}");
        }
    }

    async fn check_erased(&self, keyring: &Keyring) {
        for slot in [16, 17, 90] {
            let leaf = Leaf { tenant: tenant(1), half: Half::Data, slot };
            assert_eq!(keyring.leaf(leaf).await.err(), Some(KeyError::Gone), "{slot}");
        }
        let key = |number| keyring.subject_key(tenant(1), Half::Data, 40, number, None);
        assert_eq!(key(16).await.err(), Some(KeyError::Gone));
        assert_eq!(key(99).await.err(), Some(KeyError::Gone));
        assert!(key(17).await.is_ok());
        let leaf = Leaf { tenant: tenant(2), half: Half::Account, slot: 0 };
        assert_eq!(keyring.leaf(leaf).await.err(), Some(KeyError::Gone));
    }

    /// What must hold whatever has happened: the protocol was kept, every holder keeps the share in
    /// force and nothing else, and no number was used for two roots.
    async fn check_holders(&self) {
        let (in_force, newest, state) = numbers(self.store.as_ref()).await;
        assert!(newest >= in_force && state >= 2, "a batch is still open");
        for holder in &self.holders {
            assert_eq!(holder.violations.lock().unwrap().as_slice(), &[] as &[String]);
            let kept: Vec<_> =
                holder.list().await.unwrap().shares.iter().map(|held| held.number).collect();
            assert_eq!(kept, [in_force]);
        }
    }

    /// With everything that was ever written, also what was never committed, the present holders lead to
    /// all that lives and to nothing erased; the earlier ones led to both.
    async fn check_adversary(&self) {
        let reached = |opened: &Opened, leaves: &BTreeMap<Leaf, [u8; 32]>| {
            let reaches = |(leaf, key): &(&Leaf, &[u8; 32])| {
                opened.leaves.get(&name(leaf)).is_some_and(|keys| keys.contains(*key))
            };
            leaves.iter().filter(reaches).count()
        };
        let now = attacked(&self.evidence, &shares_of(&self.world.holders).await);
        assert_eq!(reached(&now, &self.living), self.living.len(), "something that lives is lost");
        assert_eq!(reached(&now, &self.doomed), 0, "something erased can be read");
        let then = attacked(&self.evidence, &self.before);
        assert_eq!(reached(&then, &self.doomed), self.doomed.len(), "the adversary does not see");
    }

    /// Resumes as a caller does after a crash.
    async fn resume(&self, keyring: &Keyring) {
        let before = numbers(self.store.as_ref()).await.0;
        let mut pending = keyring.tombstones_pending().await.unwrap();
        assert_eq!(pending.len(), self.stones.len());
        pending.sort_by_key(|stone| (stone.tenant, stone.id));
        let mut fenced = self.stones.clone();
        fenced.sort_by_key(|stone| (stone.tenant, stone.id));
        assert_eq!(pending, fenced);
        let outcome = keyring.shred(&pending).await.unwrap();
        assert!(outcome.complete && outcome.number_after >= before);
        assert!(outcome.number_before < outcome.number_after, "{outcome:?}");
        finish(keyring, self.store.as_ref(), &pending, &outcome).await;
        assert_eq!(keyring.tombstones_pending().await, Ok(Vec::new()));
        self.check_erased(keyring).await;
        self.check_living(keyring).await;
    }

    async fn a_second_shred_completes(&self, keyring: &Keyring) {
        let (_, newest, _) = numbers(self.store.as_ref()).await;
        let stones = [leaf_stone(tenant(2), Half::Data, 50)];
        let outcome = world::erase(keyring, self.store.as_ref(), &stones).await;
        assert_eq!(outcome.number_after, newest + 1, "a number was used again or left out");
        let leaf = Leaf { tenant: tenant(2), half: Half::Data, slot: 50 };
        assert_eq!(keyring.leaf(leaf).await.err(), Some(KeyError::Gone));
    }
}

/// Runs a shred with a fault at one call after the other until none is left; gives their count and
/// how recovery ended.
async fn everywhere(classes: &[u8], applied: bool, lasting: bool) -> (usize, [usize; 3]) {
    let mut recoveries = [0; 3];
    for at in 0.. {
        let mut scene = Scene::new(classes).await;
        scene.fault.arm(at, applied, lasting);
        let shredded = scene.keyring.shred(&scene.stones).await;
        let failed = scene.fault.disarm();
        if !failed {
            assert!(shredded.unwrap().complete);
            println!("{at} calls, a failure at each; the adversary came after each");
            return (at, recoveries);
        }
        if lasting {
            // The process has ended.
            scene.keyring = scene.world.open().await;
            let unlocked = scene.keyring.unlock(&world::seal_key()).await.unwrap();
            recoveries[match unlocked.recovery {
                Recovery::Nothing => 0,
                Recovery::Aborted(_) => 1,
                Recovery::Completed(_) => 2,
            }] += 1;
            scene.check_holders().await;
        }
        let keyring = &scene.keyring;
        scene.check_living(keyring).await;
        scene.resume(keyring).await;
        scene.a_second_shred_completes(keyring).await;
        scene.living.remove(&Leaf { tenant: tenant(2), half: Half::Data, slot: 50 });
        scene.check_holders().await;

        let keyring = scene.world.reopen().await;
        scene.check_living(&keyring).await;
        scene.check_erased(&keyring).await;
        scene.check_adversary().await;
        let slots = keyring.take_slots(tenant(2), Half::Data, 70).await.unwrap();
        assert!(slots.iter().all(|slot| !scene.taken.contains(slot)), "a slot was given out twice");
    }
    (0, recoveries)
}

#[tokio::test]
async fn a_crash_before_any_call_of_a_shred_loses_nothing_and_the_shred_can_be_resumed() {
    let (calls, recoveries) = everywhere(&[1], false, true).await;
    assert!(calls > 20 && recoveries.iter().all(|count| *count > 0), "{calls} {recoveries:?}");
}

#[tokio::test]
async fn a_crash_after_any_call_of_a_shred_loses_nothing_and_the_shred_can_be_resumed() {
    let (calls, recoveries) = everywhere(&[1], true, true).await;
    assert!(calls > 20 && recoveries.iter().all(|count| *count > 0), "{calls} {recoveries:?}");
}

#[tokio::test]
async fn two_classes_with_two_holders_survive_a_crash_at_any_call() {
    for applied in [false, true] {
        let (calls, _) = everywhere(&[1, 1, 2, 2], applied, true).await;
        assert!(calls > 40, "{calls}");
    }
}

#[tokio::test]
async fn a_call_that_fails_once_does_not_confuse_the_running_keyring() {
    for classes in [&[1][..], &[1, 1, 2]] {
        for applied in [false, true] {
            everywhere(classes, applied, false).await;
        }
    }
}

#[tokio::test]
async fn slots_are_not_given_out_twice_after_a_crash_at_any_call_of_taking_them() {
    for applied in [false, true] {
        for at in 0.. {
            let scene = Scene::new(&[1]).await;
            scene.fault.arm(at, applied, true);
            let first = scene.keyring.create_tenant(tenant(3)).await;
            let some = scene.keyring.take_slots(tenant(2), Half::Data, 5_000).await;
            assert!(some.is_err(), "too many");
            let some = scene.keyring.take_slots(tenant(2), Half::Data, 200).await;
            let failed = scene.fault.disarm();
            let keyring = scene.world.reopen().await;
            keyring.create_tenant(tenant(3)).await.unwrap();
            assert!(keyring.take_slots(tenant(3), Half::Account, 100).await.is_ok());
            let more = keyring.take_slots(tenant(2), Half::Data, 4_096).await.unwrap();
            let known: Vec<u64> = some.iter().flatten().chain(&scene.taken).copied().collect();
            assert!(more.iter().all(|slot| !known.contains(slot)), "a slot was given out twice");
            scene.check_living(&keyring).await;
            if !failed {
                assert!(first.is_ok() && some.is_ok() && at > 4);
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_holder_that_is_away_makes_the_erasure_partial_until_it_has_forgotten() {
    let scene = Scene::new(&[1, 1]).await;
    scene.holders[1].away.store(true, Ordering::SeqCst);
    let outcome = scene.keyring.shred(&scene.stones).await.unwrap();
    assert!(!outcome.complete);
    let report = outcome.holders[0];
    assert_eq!((report.replicas, report.forgotten, report.behind), (2, 1, 1));
    let mut batch = Batch::new();
    let refused = scene.keyring.finish(&mut batch, &scene.stones, &outcome);
    assert!(matches!(refused, Err(KeyError::Refused(_))) && batch.is_empty());

    // It comes back: it takes the share that it missed and forgets the old one, without a new batch.
    scene.holders[1].away.store(false, Ordering::SeqCst);
    let number = outcome.number_after;
    let outcome = scene.keyring.shred(&scene.stones).await.unwrap();
    assert!(outcome.complete && outcome.number_after == number && outcome.number_before == 1);
    assert_eq!(outcome.nodes_rekeyed, 0);
    finish(&scene.keyring, scene.store.as_ref(), &scene.stones, &outcome).await;
    scene.check_holders().await;
    scene.check_erased(&scene.keyring).await;
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_silent_for_ten_seconds_is_behind() {
    let scene = Scene::new(&[1, 1]).await;
    scene.holders[0].silent.store(true, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    let outcome = scene.keyring.shred(&scene.stones).await.unwrap();
    assert!(!outcome.complete && outcome.holders[0].behind == 1);
    assert!(began.elapsed() >= std::time::Duration::from_secs(10));
}

#[tokio::test]
async fn one_whole_class_is_enough_for_a_complete_erasure() {
    let scene = Scene::new(&[1, 2, 2]).await;
    scene.holders[2].away.store(true, Ordering::SeqCst);
    let outcome = scene.keyring.shred(&scene.stones).await.unwrap();
    assert!(outcome.complete);
    assert_eq!(outcome.holders.iter().map(|report| report.behind).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_class_without_a_holder_stops_the_shred_and_nothing_is_lost() {
    let scene = Scene::new(&[1, 2]).await;
    scene.holders[1].away.store(true, Ordering::SeqCst);
    let refused = scene.keyring.shred(&scene.stones).await;
    assert_eq!(refused, Err(KeyError::HoldersUnavailable));
    scene.check_living(&scene.keyring).await;
    scene.holders[1].away.store(false, Ordering::SeqCst);
    scene.resume(&scene.keyring).await;
    scene.check_holders().await;
}

#[tokio::test]
async fn a_batch_that_stops_after_any_step_is_ended_by_the_next_unlocking() {
    for steps in 1..=4 {
        let scene = Scene::new(&[1, 1]).await;
        let plan = scene.keyring.plan(&scene.stones).await.unwrap().remove(0);
        let keyring = &scene.keyring;
        let open = keyring.open_batch().await.unwrap();
        let number = open.number_after();
        // Values that are dropped are batches that nobody goes on with.
        if steps >= 2 {
            let installed = keyring.install_shares(open).await.unwrap();
            if steps >= 3 {
                let committed = keyring.commit_nodes(installed, &plan).await.unwrap();
                if steps >= 4 {
                    assert!(keyring.forget_old(&committed).await[0].has_forgotten());
                }
            }
        } else {
            drop(open);
        }
        let keyring = scene.world.open().await;
        let unlocked = keyring.unlock(&world::seal_key()).await.unwrap();
        let expected =
            if steps < 3 { Recovery::Aborted(number) } else { Recovery::Completed(number) };
        assert_eq!(unlocked.recovery, expected);
        scene.check_holders().await;
        scene.check_living(&keyring).await;
        scene.resume(&keyring).await;
    }
}

#[tokio::test]
async fn a_coordinator_that_was_overtaken_commits_and_forgets_nothing() {
    for steps in 1..=2 {
        let scene = Scene::new(&[1, 1]).await;
        let slow = &scene.keyring;
        let plan = slow.plan(&scene.stones).await.unwrap().remove(0);
        let open = slow.open_batch().await.unwrap();
        let fast = || async {
            let fast = scene.world.open().await;
            assert!(matches!(
                fast.unlock(&world::seal_key()).await.unwrap().recovery,
                Recovery::Aborted(_)
            ));
            fast
        };
        let (fast, installed) = if steps == 1 {
            // It is overtaken before it installs; its share comes too late and counts for nothing.
            (fast().await, slow.install_shares(open).await)
        } else {
            let installed = slow.install_shares(open).await;
            (fast().await, installed)
        };
        let refused = slow.commit_nodes(installed.unwrap(), &plan).await;
        assert_eq!(refused.err(), Some(KeyError::Overtaken));
        scene.check_living(&fast).await;
        scene.resume(&fast).await;
        scene.check_holders().await;
    }
}

#[tokio::test]
async fn a_coordinator_that_was_overtaken_while_forgetting_leaves_later_shares_alone() {
    let mut scene = Scene::new(&[1, 1]).await;
    let slow = scene.keyring.clone();
    let plan = slow.plan(&scene.stones).await.unwrap().remove(0);
    let installed = slow.install_shares(slow.open_batch().await.unwrap()).await.unwrap();
    let committed = slow.commit_nodes(installed, &plan).await.unwrap();

    let fast = scene.world.open().await;
    let number = committed.numbers().1;
    let unlocked = fast.unlock(&world::seal_key()).await.unwrap();
    assert_eq!(unlocked.recovery, Recovery::Completed(number));
    scene.a_second_shred_completes(&fast).await;

    assert_eq!(slow.forget_old(&committed).await[0].behind, 2);
    assert_eq!(slow.close_batch(committed).await, Err(KeyError::Overtaken));
    scene.check_holders().await;
    scene.living.remove(&Leaf { tenant: tenant(2), half: Half::Data, slot: 50 });
    let fresh = scene.world.reopen().await;
    scene.check_living(&fresh).await;
    // The slow one has the root of another time in memory; it finds its way to the new one.
    scene.check_living(&slow).await;
}
