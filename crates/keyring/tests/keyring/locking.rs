//! Creating, opening, unlocking, locking: what is refused, and that refusing changes nothing.

use std::sync::Arc;
use std::time::Duration;

use strongroom_crypto::Key;
use strongroom_keyring::{
    Half, Holder, HolderId, KeyError, Keyring, Leaf, MemoryHolder, Recovery, Service, ShredTarget,
    TAKE_MAX, TARGETS_MAX,
};
use strongroom_model::{InstallId, TenantId};
use strongroom_storage::{Batch, KeyRange, MemoryStore, Row, RowKey, Store};

use crate::world::{self, INSTALL, World, erase, fence, leaf_stone, memory_holders, stone, tenant};

async fn all(store: &dyn Store) -> Vec<(RowKey, Row)> {
    store.scan(&KeyRange::prefix(&[]), 10_000).await.unwrap()
}

#[tokio::test]
async fn a_wrong_seal_key_is_refused_and_changes_nothing() {
    let world = World::in_memory(&[1, 2]);
    drop(world.create().await);
    let (rows, kept) = (all(world.store.as_ref()).await, world.holders[0].list().await);
    let keyring = world.open().await;
    let wrong = Key::from_slice(&[7; 32]).unwrap();
    assert_eq!(keyring.unlock(&wrong).await, Err(KeyError::WrongSealKey));
    assert!(keyring.is_locked());
    assert_eq!(all(world.store.as_ref()).await, rows);
    assert_eq!(world.holders[0].list().await, kept);
    assert_eq!(keyring.unlock(&world::seal_key()).await.unwrap().recovery, Recovery::Nothing);
}

#[tokio::test]
async fn a_locked_keyring_gives_nothing_out() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let service = || keyring.service(tenant(1), Half::Data, Service::Rows);
    let before = service().await.unwrap();
    keyring.lock();
    let locked = Some(KeyError::Locked);
    assert_eq!(service().await.err(), locked);
    assert_eq!(keyring.subject_key(tenant(1), Half::Data, 16, 16, None).await.err(), locked);
    assert_eq!(keyring.is_punctured(tenant(1), Half::Data, 16, 16).await.err(), locked);
    assert_eq!(keyring.take_slots(tenant(1), Half::Data, 1).await.err(), locked);
    assert_eq!(keyring.create_tenant(tenant(2)).await.err(), locked);
    assert_eq!(keyring.shred(&[]).await.err(), locked);
    keyring.unlock(&world::seal_key()).await.unwrap();
    assert!(service().await.unwrap().is_same_as(&before));
}

#[tokio::test]
async fn every_service_of_every_half_has_a_key_of_its_own() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let services = [
        Service::Rows,
        Service::Audit,
        Service::Index,
        Service::Cursors,
        Service::Credentials,
        Service::Addresses,
        Service::Idempotency,
        Service::Signing,
    ];
    let mut keys = std::collections::BTreeSet::new();
    for owner in [TenantId::PROVIDER, tenant(1)] {
        for half in [Half::Account, Half::Data] {
            for service in services {
                keys.insert(*keyring.service(owner, half, service).await.unwrap().expose());
            }
        }
    }
    assert_eq!(keys.len(), 2 * 2 * services.len());
}

#[tokio::test]
async fn a_collection_is_erased_by_its_own_leaf() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let slots = keyring.take_slots(tenant(1), Half::Data, 3).await.unwrap();
    let key = |collection| keyring.subject_key(tenant(1), Half::Data, slots[0], 16, collection);
    let one = key(Some(slots[1])).await.unwrap();
    let two = key(Some(slots[2])).await.unwrap();
    let none = key(None).await.unwrap();
    assert!(!one.is_same_as(&two) && !one.is_same_as(&none) && !two.is_same_as(&none));
    let _ =
        erase(&keyring, world.store.as_ref(), &[leaf_stone(tenant(1), Half::Data, slots[1])]).await;
    assert_eq!(key(Some(slots[1])).await.err(), Some(KeyError::Gone));
    assert!(key(Some(slots[2])).await.unwrap().is_same_as(&two));
    assert!(key(None).await.unwrap().is_same_as(&none));
}

#[tokio::test]
async fn what_never_existed_is_unknown_and_not_gone() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let leaf = |number, slot| Leaf { tenant: tenant(number), half: Half::Data, slot };
    let unknown = Some(KeyError::Unknown);
    assert_eq!(keyring.leaf(leaf(2, 0)).await.err(), unknown);
    assert_eq!(keyring.leaf(leaf(1, 64)).await.err(), unknown);
    assert_eq!(keyring.leaf(leaf(1, u64::MAX)).await.err(), unknown);
    assert_eq!(keyring.take_slots(tenant(2), Half::Data, 1).await.err(), unknown);
    let target = leaf_stone(tenant(1), Half::Data, 1_000);
    fence(&keyring, world.store.as_ref(), std::slice::from_ref(&target)).await;
    assert_eq!(keyring.shred(&[target]).await.err(), unknown);
    assert_eq!(keyring.service(tenant(1), Half::Data, Service::Rows).await.err(), None);
}

#[tokio::test]
async fn a_shred_without_a_fence_or_beyond_its_bounds_is_refused() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let before = keyring.number();
    let target = leaf_stone(tenant(1), Half::Data, 16);
    assert!(matches!(keyring.shred(&[target]).await, Err(KeyError::Refused(_))));
    let numbers = (0..=u32::try_from(TARGETS_MAX).unwrap()).collect();
    let target = stone(tenant(1), ShredTarget::Numbers { half: Half::Data, slot: 16, numbers });
    assert!(matches!(keyring.shred(&[target]).await, Err(KeyError::Refused(_))));
    let many = keyring.take_slots(tenant(1), Half::Data, TAKE_MAX + 1).await;
    assert!(matches!(many, Err(KeyError::Refused(_))));
    assert_eq!(keyring.number(), before);
}

#[tokio::test]
async fn a_shred_of_all_targets_that_are_allowed_takes_a_few_batches() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let slots = keyring.take_slots(tenant(1), Half::Data, TAKE_MAX).await.unwrap();
    let stones: Vec<_> =
        slots.iter().map(|slot| leaf_stone(tenant(1), Half::Data, *slot)).collect();
    let outcome = erase(&keyring, world.store.as_ref(), &stones).await;
    assert_eq!((outcome.number_before, outcome.number_after), (1, 3));
    for slot in slots.into_iter().step_by(97) {
        let leaf = Leaf { tenant: tenant(1), half: Half::Data, slot };
        assert_eq!(keyring.leaf(leaf).await.err(), Some(KeyError::Gone));
    }
}

#[tokio::test]
async fn a_seed_that_is_punctured_a_thousand_times_is_kept_in_several_rows() {
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let slot = keyring.take_slots(tenant(1), Half::Data, 1).await.unwrap()[0];
    let key = |number| keyring.subject_key(tenant(1), Half::Data, slot, number, None);
    let before = key(71).await.unwrap();
    let numbers = |numbers: Vec<u32>| {
        [stone(tenant(1), ShredTarget::Numbers { half: Half::Data, slot, numbers })]
    };
    let chunks = || async {
        let range =
            KeyRange::prefix_of(tenant(1), strongroom_storage::keyspace::RowKind::PuncturedSeed);
        world.store.scan(&range, 1_000).await.unwrap()
    };
    let _ =
        erase(&keyring, world.store.as_ref(), &numbers((0..1000).map(|n| n * 7).collect())).await;
    let many = chunks().await;
    assert!(many.len() > 5, "{}", many.len());
    assert!(many.iter().all(|(key, row)| key.as_bytes().len() + 8 + row.value.len() < 4096));
    assert!(key(71).await.unwrap().is_same_as(&before));
    assert_eq!(key(70).await.err(), Some(KeyError::Gone));
    // Ranges merge: fewer rows, and those that are left over are deleted.
    let rest: Vec<u32> = (0..4_000).filter(|number| number % 7 != 0 && *number != 71).collect();
    let _ = erase(&keyring, world.store.as_ref(), &numbers(rest)).await;
    assert!(chunks().await.len() < many.len());
    let fresh = world.reopen().await;
    let again = fresh.subject_key(tenant(1), Half::Data, slot, 71, None).await.unwrap();
    assert!(again.is_same_as(&before));
    assert_eq!(fresh.is_punctured(tenant(1), Half::Data, slot, 72).await, Ok(true));
    let _ = erase(&fresh, world.store.as_ref(), &[leaf_stone(tenant(1), Half::Data, slot)]).await;
    assert_eq!(chunks().await, []);
}

#[tokio::test]
async fn key_state_is_created_once() {
    let world = World::in_memory(&[1]);
    let create = |store: Arc<dyn Store>, holders: Vec<Arc<dyn Holder>>| {
        let (clock, rng) = (world.clock.clone(), world.rng.clone());
        async move { Keyring::create(store, holders, &world::seal_key(), INSTALL, clock, rng).await }
    };
    drop(world.create().await);
    let again = create(world.store.clone(), memory_holders(&[1])).await;
    assert_eq!(again, Err(KeyError::AlreadyCreated));
    let used = create(Arc::new(MemoryStore::new()), world.holders.clone()).await;
    assert_eq!(used, Err(KeyError::AlreadyCreated));
    let none = create(Arc::new(MemoryStore::new()), Vec::new()).await;
    assert!(matches!(none, Err(KeyError::Refused(_))));
    drop(world.reopen().await);
}

#[tokio::test]
async fn a_store_without_keys_and_holders_of_others_are_refused() {
    let world = World::in_memory(&[1]);
    let open = |store: Arc<dyn Store>, holders: Vec<Arc<dyn Holder>>| {
        let (clock, rng) = (world.clock.clone(), world.rng.clone());
        async move { Keyring::open(store, holders, clock, rng).await.map(drop) }
    };
    let empty = open(Arc::new(MemoryStore::new()), world.holders.clone()).await;
    assert_eq!(empty, Err(KeyError::NotCreated));
    drop(world.create().await);
    let other = InstallId::from_bytes([9; 16]);
    for (id, install, class) in [(1, other, 1), (2, INSTALL, 1), (1, INSTALL, 2)] {
        let holder = MemoryHolder::new(HolderId([id; 16]), install, class);
        let refused = open(world.store.clone(), vec![Arc::new(holder)]).await;
        assert!(matches!(refused, Err(KeyError::Mismatch(_))), "{refused:?}");
    }
    assert_eq!(open(world.store.clone(), Vec::new()).await, Ok(()));
    let keyring =
        Keyring::open(world.store.clone(), Vec::new(), world.clock.clone(), world.rng.clone());
    let unlocked = keyring.await.unwrap().unlock(&world::seal_key()).await;
    assert_eq!(unlocked, Err(KeyError::HoldersUnavailable));
}

#[tokio::test]
async fn a_store_and_holders_of_different_times_do_not_unlock() {
    // Two worlds that were one until a shred: their stores are exchanged.
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let old = MemoryStore::new();
    let mut batch = Batch::new();
    for (key, row) in all(world.store.as_ref()).await {
        batch.put(key, row.version, row.value);
    }
    let _ = old.commit(batch).await.unwrap();
    let _ = erase(&keyring, world.store.as_ref(), &[leaf_stone(tenant(1), Half::Data, 16)]).await;
    let kept = world.holders[0].list().await.unwrap();
    let restored = World { store: Arc::new(old), ..world };
    let keyring = restored.open().await;
    let refused = keyring.unlock(&world::seal_key()).await;
    assert!(matches!(refused, Err(KeyError::Mismatch(_))), "{refused:?}");
    assert_eq!(restored.holders[0].list().await.unwrap(), kept);
}

#[tokio::test]
async fn an_opened_key_does_not_stay_in_memory_for_more_than_a_minute() {
    // A row that is damaged behind the keyring's back is noticed as soon as memory forgets.
    let world = World::in_memory(&[1]);
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let leaf = Leaf { tenant: tenant(1), half: Half::Data, slot: 20 };
    keyring.leaf(leaf).await.unwrap();
    keyring.subject_key(tenant(1), Half::Data, 20, 16, None).await.unwrap();
    let key = strongroom_storage::keyspace::node(tenant(1), Half::Data.tree(), 0, 0);
    let row = world.store.get_many(std::slice::from_ref(&key)).await.unwrap().remove(0).unwrap();
    let mut value = row.value.to_vec();
    value[100] ^= 1;
    let mut batch = Batch::new();
    batch.put(key, row.version + 1, value);
    let _ = world.store.commit(batch).await.unwrap();

    world.clock.advance(Duration::from_mins(1));
    assert!(keyring.leaf(leaf).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(keyring.leaf(leaf).await, Err(KeyError::Damaged(_))));
    let seed = keyring.subject_key(tenant(1), Half::Data, 20, 16, None).await;
    assert!(matches!(seed, Err(KeyError::Damaged(_))));
}
