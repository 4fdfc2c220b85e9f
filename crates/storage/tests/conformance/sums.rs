//! Sums over rows are over what stands in the store, whoever changes what at the same time.

use std::sync::Arc;

use strongroom_model::TenantId;
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_storage::{
    Batch, KeyRange, PAGE_MAX, RowKey, Standing, Store, StoreError, Sum, Summing, Total,
};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, tenant};

const WRITERS: u64 = 8;
const ROUNDS: u64 = 60;
/// Rows of each kind over which the writers meet.
const ROWS: u32 = 12;

/// FNV-1a: stands in for a keyed hash.
struct Plain;

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let fold = |hash: u128, byte: &u8| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    };
    let whole = parts.concat();
    let first = whole.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, fold);
    let second = whole.iter().rev().fold(first, fold);
    [first.to_be_bytes(), second.to_be_bytes()].concat().try_into().unwrap()
}

impl Summing for Plain {
    fn part(&self, key: &RowKey, standing: Standing) -> [u8; 32] {
        let mark = standing.mark.unwrap_or_default();
        hash(&[&[1], &standing.version.to_be_bytes(), &mark, key.as_bytes()])
    }

    fn tag(&self, key: &RowKey, version: u64, content: &[u8]) -> [u8; 32] {
        hash(&[&[2], &version.to_be_bytes(), content, key.as_bytes()])
    }
}

async fn sum_in(store: &dyn Store, at: RowKey) -> (u64, Sum) {
    let row = store.get_many(std::slice::from_ref(&at)).await.unwrap().remove(0);
    row.map_or((0, Sum::default()), |row| (row.version, Sum::of_row(&Plain, &at, &row).unwrap()))
}

/// Compares the sums that stand in the store with those over its rows.
async fn check(store: &dyn Store) -> u64 {
    let rows = store.scan(&KeyRange::prefix(&[]), PAGE_MAX).await.unwrap();
    let (mut whole, mut policies) = (Sum::default(), Sum::default());
    let mut of = [Sum::default(), Sum::default()];
    for (key, row) in &rows {
        let standing = Standing::of(key, row.version, &row.value);
        let kind = RowKind::from_number(key.as_bytes()[16]).unwrap();
        if *key != keyspace::store_sum() {
            whole.add(&Plain, key, standing);
        }
        if kind == RowKind::PolicySum {
            policies.add(&Plain, key, standing);
        }
        if kind.is_policy() {
            of[usize::from(key.as_bytes()[0] - 1)].add(&Plain, key, standing);
        }
    }
    whole.policies = policies.total;
    let (number, stands) = sum_in(store, keyspace::store_sum()).await;
    assert_eq!(stands, whole);
    for (tenant, sum) in [1, 2].map(tenant).into_iter().zip(of) {
        assert_eq!(sum_in(store, keyspace::policy_sum(tenant)).await.1, sum);
    }
    number
}

fn keys_of(tenant: TenantId, row: u32) -> [RowKey; 2] {
    let collection = strongroom_model::CollectionNumber(row);
    let record = strongroom_model::RecordId::from_bytes([9; 16]);
    [keyspace::collection(tenant, collection), keyspace::record(tenant, collection, record)]
}

async fn write(store: Arc<dyn Store>, writer: u64) -> u64 {
    let mut committed = 0;
    for round in 0..ROUNDS {
        let chance = hash(&[&writer.to_be_bytes(), &round.to_be_bytes()]);
        let tenant = tenant(1 + chance[0] % 2);
        let [policy, record] = keys_of(tenant, u32::from(chance[1]) % ROWS);
        let keys = [policy, record];
        let found = store.get_many(&keys).await.unwrap();
        let value = || chance.to_vec();
        let mut batch = Batch::new();
        for ((key, row), way) in keys.into_iter().zip(found).zip(&chance[2..]) {
            match row.map(|row| row.version) {
                None => drop(batch.expect_absent(key.clone()).put(key, 1, value())),
                Some(version) if way % 4 == 0 => {
                    batch.expect_version(key.clone(), version).delete(key);
                }
                // Without asking: what stands there is found by the store.
                Some(_) if way % 4 == 1 => drop(batch.delete(key)),
                Some(version) => drop(batch.put(key, version + 1, value())),
            }
        }
        match store.commit(batch).await {
            Ok(_) => committed += 1,
            Err(StoreError::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    committed
}

pub(crate) async fn sums_are_over_the_rows_that_stand_there(fixture: Fixture) {
    let store = fixture.store();
    store.sums().keep(Arc::new(Plain));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(Arc::clone(&store), writer));
    }
    let committed: u64 = writers.join_all().await.into_iter().sum();
    let number = check(&*store).await;
    assert!(committed > ROUNDS && number > 0 && number <= committed);
    drop(store);
    let fixture = fixture.reopened();
    let store = fixture.store();
    store.sums().keep(Arc::new(Plain));
    for writer in 0..WRITERS {
        write(Arc::clone(&store), WRITERS + writer).await;
    }
    assert!(check(&*store).await > number);
    // A sum that somebody else has written is not gone on with.
    let at = keyspace::store_sum();
    let row = store.get_many(std::slice::from_ref(&at)).await.unwrap().remove(0).unwrap();
    let mut forged = row.value.to_vec();
    forged[20] ^= 1;
    let mut batch = Batch::new();
    batch.put(at, row.version + 1, forged);
    store.commit(batch).await.unwrap();
    let [_, record] = keys_of(tenant(1), 77);
    let mut batch = Batch::new();
    batch.put(record, 1, "value");
    assert!(matches!(store.commit(batch).await, Err(StoreError::Damaged(_))));
}

pub(crate) async fn nothing_that_is_summed_is_written_before_the_key_is_there(fixture: Fixture) {
    let store = fixture.store();
    store.sums().keep_later();
    let [policy, _] = keys_of(tenant(1), 1);
    let row = || {
        let mut batch = Batch::new();
        batch.put(policy.clone(), 1, "value");
        batch
    };
    assert!(matches!(store.commit(row()).await, Err(StoreError::Unavailable(_))));
    let mut open = Batch::new();
    open.put(keyspace::batch_row(), 1, "what unlocking writes");
    store.commit(open).await.unwrap();
    store.sums().keep(Arc::new(Plain));
    store.commit(row()).await.unwrap();
    let (number, sum) = sum_in(&*store, keyspace::store_sum()).await;
    assert_eq!((number, sum.rows), (1, 2));
    assert_ne!(sum.total, Total::default());
}

pub(crate) async fn a_row_of_a_policy_that_is_made_again_counts_with_its_value(fixture: Fixture) {
    let store = fixture.store();
    store.sums().keep(Arc::new(Plain));
    let [policy, _] = keys_of(tenant(1), 1);
    let mut totals = Vec::new();
    for value in ["what is allowed: everything", "what is allowed: nothing"] {
        let mut batch = Batch::new();
        batch.put(policy.clone(), 1, value);
        store.commit(batch).await.unwrap();
        totals.push(sum_in(&*store, keyspace::policy_sum(tenant(1))).await.1);
        check(&*store).await;
        let mut batch = Batch::new();
        batch.delete(policy.clone());
        store.commit(batch).await.unwrap();
    }
    assert_eq!((totals[0].rows, totals[1].rows), (1, 1));
    assert_ne!(totals[0].total, totals[1].total);
}
