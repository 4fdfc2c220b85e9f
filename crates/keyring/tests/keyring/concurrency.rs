//! Slots are taken, keys read, tenants made, while shreds run and the keyring is locked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom_keyring::{Half, KeyError, Keyring, Leaf, Recovery, ShredTarget};
use strongroom_storage::{MemoryStore, Store};

use crate::world::{self, StallingStore, WatchedHolder, World, erase, leaf_stone, stone, tenant};

fn leaf(slot: u64) -> Leaf {
    Leaf { tenant: tenant(1), half: Half::Data, slot }
}

#[tokio::test]
async fn slots_that_were_prepared_are_taken_without_a_commit_and_stay_for_others() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let commits = || world.store.describe().commit_groups;
    keyring.prepare_slots(tenant(1), Half::Data, 500).await.unwrap();
    let prepared = commits();
    let mut taken = BTreeSet::new();
    for _ in 0..500 {
        taken.extend(keyring.take_slots(tenant(1), Half::Data, 1).await.unwrap());
        keyring.prepare_slots(tenant(1), Half::Data, 500 - taken.len()).await.unwrap();
    }
    assert_eq!((taken.len(), commits()), (500, prepared));
    let refused = keyring.prepare_slots(tenant(1), Half::Data, 4_097).await;
    assert!(matches!(refused, Err(KeyError::Refused(_))));
    keyring.prepare_slots(tenant(1), Half::Data, 500).await.unwrap();
    assert_eq!(commits(), prepared + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_taken_by_many_while_shreds_run_are_all_different_and_keep_their_keys() {
    let world = Arc::new(World::in_memory(&[1, 2]));
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let doomed = keyring.take_slots(tenant(1), Half::Data, 30).await.unwrap();
    let steady = keyring.take_slots(tenant(1), Half::Data, 5).await.unwrap();

    let takers = (0..8).map(|_| {
        let keyring = keyring.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            for round in 1..60 {
                for slot in keyring.take_slots(tenant(1), Half::Data, round % 17 + 1).await.unwrap()
                {
                    taken.push((slot, *keyring.leaf(leaf(slot)).await.unwrap().expose()));
                }
            }
            taken
        })
    });
    let takers: Vec<_> = takers.collect();
    let makers = (2..8).map(|number| {
        let keyring = keyring.clone();
        tokio::spawn(async move { keyring.create_tenant(tenant(number)).await.unwrap() })
    });
    let makers: Vec<_> = makers.collect();
    let done = Arc::new(AtomicBool::new(false));
    let readers = steady.iter().map(|slot| {
        let (keyring, done, slot) = (keyring.clone(), Arc::clone(&done), *slot);
        tokio::spawn(async move {
            let known = keyring.subject_key(tenant(1), Half::Data, slot, 16, None).await.unwrap();
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) || reads < 50 {
                let key = keyring.subject_key(tenant(1), Half::Data, slot, 16, None).await;
                assert!(key.unwrap().is_same_as(&known));
                reads += 1;
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let shredders = doomed.chunks(15).map(|slots| {
        let (keyring, world, slots) = (keyring.clone(), Arc::clone(&world), slots.to_vec());
        let steady = steady.clone();
        tokio::spawn(async move {
            for (slot, steady) in slots.into_iter().zip(steady.into_iter().cycle()) {
                // A puncture beside the number that is read, and a leaf.
                let numbers = vec![u32::try_from(slot).unwrap() + 100];
                let target = ShredTarget::Numbers { half: Half::Data, slot: steady, numbers };
                let stones = [leaf_stone(tenant(1), Half::Data, slot), stone(tenant(1), target)];
                let _ = erase(&keyring, world.store.as_ref(), &stones).await;
                assert_eq!(keyring.leaf(leaf(slot)).await.err(), Some(KeyError::Gone));
            }
        })
    });
    for shredder in shredders.collect::<Vec<_>>() {
        shredder.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for task in readers.into_iter().chain(makers) {
        task.await.unwrap();
    }
    let mut all: BTreeSet<u64> = doomed.iter().chain(&steady).copied().collect();
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(taker.await.unwrap());
    }
    for keyring in [keyring, world.reopen().await] {
        for (slot, key) in &taken {
            assert_eq!(keyring.leaf(leaf(*slot)).await.unwrap().expose(), key);
        }
    }
    assert!(taken.len() > 4_000, "{}", taken.len());
    assert!(taken.iter().all(|(slot, _)| all.insert(*slot)), "a slot was given out twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn locking_while_a_shred_runs_lets_it_end_and_leaves_nothing_open() {
    let mut ended_unlocked = 0;
    for round in 0..30 {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let holder = Arc::new(WatchedHolder::new(1, 1, Arc::clone(&store), Arc::default()));
        let world = Arc::new(World::of(store, vec![holder.clone()]));
        let keyring = world.create().await;
        holder.slow.store(true, Ordering::SeqCst);
        keyring.create_tenant(tenant(1)).await.unwrap();
        let slots = keyring.take_slots(tenant(1), Half::Data, 40).await.unwrap();
        let living = keyring.leaf(leaf(slots[0])).await.unwrap();
        let stones: Vec<_> =
            slots[1..].iter().map(|slot| leaf_stone(tenant(1), Half::Data, *slot)).collect();
        world::fence(&keyring, world.store.as_ref(), &stones).await;
        let shred = {
            let (keyring, stones) = (keyring.clone(), stones.clone());
            tokio::spawn(async move { keyring.shred(&stones).await })
        };
        tokio::time::sleep(Duration::from_millis(round)).await;
        keyring.lock();
        assert!(keyring.is_locked());
        assert_eq!(keyring.leaf(leaf(slots[0])).await.err(), Some(KeyError::Locked));
        let unlocked = keyring.unlock(&world::seal_key()).await.unwrap();
        let ended = shred.await.unwrap();
        match &ended {
            Ok(outcome) => {
                assert!(outcome.complete);
                ended_unlocked += 1;
            }
            Err(error) => assert_eq!(error, &KeyError::Locked),
        }
        assert_eq!(unlocked.recovery, Recovery::Nothing, "it was overtaken");
        let outcome = keyring.shred(&stones).await.unwrap();
        world::finish(&keyring, world.store.as_ref(), &stones, &outcome).await;
        assert!(keyring.leaf(leaf(slots[0])).await.unwrap().is_same_as(&living));
        for slot in &slots[1..] {
            assert_eq!(keyring.leaf(leaf(*slot)).await.err(), Some(KeyError::Gone));
        }
    }
    assert!(ended_unlocked > 10, "no shred was under way");
}

#[tokio::test]
async fn what_a_slow_reader_opens_after_a_shred_does_not_come_back_into_memory() {
    for (by_number, reads) in [(true, 0), (true, 1), (true, 2), (false, 0), (false, 1)] {
        let store = Arc::new(StallingStore::new(Arc::new(MemoryStore::new())));
        let world = World::of(store.clone(), world::memory_holders(&[1]));
        drop(world.create().await);
        let keyring = world.reopen().await;
        keyring.create_tenant(tenant(1)).await.unwrap();
        let slot = keyring.take_slots(tenant(1), Half::Data, 1).await.unwrap()[0];
        let read = move |keyring: Keyring| async move {
            if by_number {
                keyring.subject_key(tenant(1), Half::Data, slot, 16, None).await.map(drop)
            } else {
                keyring.leaf(leaf(slot)).await.map(drop)
            }
        };
        // The reader has its rows from before the shred, and goes on with them after it.
        store.stall_after(reads);
        let slow = tokio::spawn(read(keyring.clone()));
        store.reached.notified().await;
        let stones = [leaf_stone(tenant(1), Half::Data, slot)];
        let _ = erase(&keyring, world.store.as_ref(), &stones).await;
        store.release.notify_one();
        let _ = slow.await.unwrap();
        let again = read(keyring.clone()).await;
        assert_eq!(again, Err(KeyError::Gone), "by number: {by_number}, after read {reads}");
    }
}

#[tokio::test]
async fn a_number_that_dies_while_a_reader_looks_for_punctures_has_no_key_for_it() {
    let store = Arc::new(StallingStore::new(Arc::new(MemoryStore::new())));
    let world = World::of(store.clone(), world::memory_holders(&[1]));
    drop(world.create().await);
    let keyring = world.reopen().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let slots = keyring.take_slots(tenant(1), Half::Data, 2).await.unwrap();
    let key = |slot, number| {
        let keyring = keyring.clone();
        async move { keyring.subject_key(tenant(1), Half::Data, slot, number, None).await.map(drop) }
    };
    // The reader has found no punctured seed in the node, and goes on after there is one.
    store.stall_scan();
    let slow = tokio::spawn(key(slots[0], 16));
    store.reached.notified().await;
    let target = ShredTarget::Numbers { half: Half::Data, slot: slots[0], numbers: vec![16] };
    let _ = erase(&keyring, world.store.as_ref(), &[stone(tenant(1), target)]).await;
    store.release.notify_one();
    assert_eq!(slow.await.unwrap(), Err(KeyError::Gone));
    assert_eq!(key(slots[0], 16).await, Err(KeyError::Gone));
    assert_eq!((key(slots[0], 17).await, key(slots[1], 16).await), (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_shred_goes_on_when_its_caller_stops_waiting() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let stones = [leaf_stone(tenant(1), Half::Data, 16)];
    world::fence(&keyring, world.store.as_ref(), &stones).await;
    let waiting = tokio::spawn({
        let (keyring, stones) = (keyring.clone(), stones.clone());
        async move { keyring.shred(&stones).await }
    });
    tokio::task::yield_now().await;
    waiting.abort();
    let _ = waiting.await;
    let outcome = keyring.shred(&stones).await.unwrap();
    assert_eq!((outcome.number_before, outcome.number_after, outcome.complete), (1, 2, true));
}
