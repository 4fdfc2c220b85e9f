//! Rows: what is read is what was written, in order, of one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use strongroom_storage::{
    Batch, KEY_BYTES_MAX, KEYS_MAX, KeyRange, PAGE_MAX, RowKey, StoreError, VALUE_BYTES_MAX,
};

use crate::fixture::{Fixture, key, put};

pub(crate) async fn rows_come_back_in_the_order_of_the_keys_asked_for(fixture: Fixture) {
    let store = fixture.store();
    let mut batch = Batch::new();
    batch.put(key("b"), 7, "two").put(key("a"), 1, "one").put(key("empty"), 1, "");
    store.commit(batch).await.unwrap();
    let rows = store.get_many(&[key("b"), key("none"), key("a"), key("b"), key("empty")]).await;
    let found: Vec<_> = rows
        .unwrap()
        .into_iter()
        .map(|row| row.map(|row| (row.version, row.value.to_vec())))
        .collect();
    let two = Some((7, b"two".to_vec()));
    assert_eq!(found, [two.clone(), None, Some((1, b"one".to_vec())), two, Some((1, vec![]))]);
    assert_eq!(store.get_many(&[]).await.unwrap(), []);
}

pub(crate) async fn a_scan_goes_by_bytes_and_stays_inside_its_prefix(fixture: Fixture) {
    let store = fixture.store();
    let mut batch = Batch::new();
    let keys: [&[u8]; 7] = [&[1], &[2], &[2, 0], &[2, 0, 0], &[2, 127], &[2, 128], &[2, 255, 255]];
    for bytes in keys.iter().rev().chain(&[&[3][..]]) {
        batch.put(RowKey::new(bytes), 1, "x");
    }
    store.commit(batch).await.unwrap();
    let page = store.scan(&KeyRange::prefix(&[2]), 100).await.unwrap();
    assert_eq!(page.iter().map(|(key, _)| key.as_bytes()).collect::<Vec<_>>(), keys[1..]);
    let all = store.scan(&KeyRange::prefix(&[]), 100).await.unwrap();
    assert_eq!(all.len(), 8);
    let last = store.scan(&KeyRange::prefix(&[2, 255]), 100).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(store.scan(&KeyRange::prefix(&[9]), 100).await.unwrap(), []);
    assert_eq!(store.scan(&KeyRange::prefix(&[2]), 0).await.unwrap(), []);
}

pub(crate) async fn pages_of_a_scan_give_every_row_once_in_both_directions(fixture: Fixture) {
    let store = fixture.store();
    let mut batch = Batch::new();
    let keys: Vec<RowKey> = (0..100).map(|n| key(&format!("row{n:03}"))).collect();
    for key in &keys {
        batch.put(key.clone(), 1, "x");
    }
    batch.put(key("ro"), 1, "x").put(key("rox"), 1, "x");
    store.commit(batch).await.unwrap();
    let mut range = KeyRange::prefix(b"row");
    let mut seen = Vec::new();
    loop {
        let page = store.scan(&range, 7).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        range = KeyRange::after(last, b"row");
        seen.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(seen, keys);
    let mut range = KeyRange::prefix(b"row").descending();
    let mut seen = Vec::new();
    loop {
        let page = store.scan(&range, 9).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        range = KeyRange::before(last, b"row");
        seen.extend(page.into_iter().map(|(key, _)| key));
    }
    seen.reverse();
    assert_eq!(seen, keys);
}

pub(crate) async fn a_scan_between_two_keys_leaves_the_second_out(fixture: Fixture) {
    let store = fixture.store();
    let mut batch = Batch::new();
    for name in ["a", "b", "c", "d"] {
        batch.put(key(name), 1, "x");
    }
    store.commit(batch).await.unwrap();
    let found = store.scan(&KeyRange::between(&key("b"), &key("d")), 10).await.unwrap();
    assert_eq!(found.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [key("b"), key("c")]);
    let backwards = KeyRange::between(&key("d"), &key("b"));
    assert_eq!(store.scan(&backwards, 10).await.unwrap(), []);
    assert_eq!(store.scan(&backwards.descending(), 10).await.unwrap(), []);
}

pub(crate) async fn a_scan_sees_no_half_of_a_commit(fixture: Fixture) {
    let store = fixture.store();
    let done = Arc::new(AtomicBool::new(false));
    let moments = Arc::new(AtomicU64::new(0));
    let writer = tokio::spawn({
        let (store, done, moments) = (Arc::clone(&store), Arc::clone(&done), Arc::clone(&moments));
        async move {
            let mut version = 0u64;
            while version < 200 || moments.load(Ordering::SeqCst) < 50 {
                version += 1;
                let mut batch = Batch::new();
                for n in 0..50 {
                    batch.put(key(&format!("pair{n:02}")), version, version.to_be_bytes().to_vec());
                }
                store.commit(batch).await.unwrap();
            }
            done.store(true, Ordering::SeqCst);
        }
    });
    while !done.load(Ordering::SeqCst) {
        let page = store.scan(&KeyRange::prefix(b"pair"), 100).await.unwrap();
        assert!(page.is_empty() || page.len() == 50);
        assert!(page.windows(2).all(|pair| pair[0].1 == pair[1].1), "two commits in one scan");
        let rows = store.get_many(&[key("pair49"), key("pair00")]).await.unwrap();
        assert_eq!(rows[0], rows[1], "two commits in one read");
        moments.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

pub(crate) async fn values_up_to_the_limit_come_back_and_longer_ones_are_refused(fixture: Fixture) {
    let store = fixture.store();
    let longest: Vec<u8> = (0..=250).cycle().take(VALUE_BYTES_MAX).collect();
    for (name, length) in [("page", 4_096), ("over", 4_097), ("longest", VALUE_BYTES_MAX)] {
        let mut batch = Batch::new();
        batch.put(key(name), 1, longest[..length].to_vec());
        store.commit(batch).await.unwrap();
        let rows = store.get_many(&[key(name)]).await.unwrap();
        assert_eq!(rows[0].as_ref().unwrap().value, longest[..length]);
    }
    let mut batch = Batch::new();
    batch.put(key("longer"), 1, vec![0; VALUE_BYTES_MAX + 1]);
    assert!(matches!(store.commit(batch).await, Err(StoreError::Refused(_))));
    assert_eq!(store.get_many(&[key("longer")]).await.unwrap(), [None]);
}

pub(crate) async fn what_passes_a_bound_is_refused_and_changes_nothing(fixture: Fixture) {
    let store = fixture.store();
    let refused = |result: Result<_, StoreError>| matches!(result, Err(StoreError::Refused(_)));
    let long = RowKey::new(vec![b'k'; KEY_BYTES_MAX + 1]);
    for bad in [long, RowKey::new(vec![])] {
        let mut batch = put("good", 1, "x");
        batch.put(bad, 1, "x");
        assert!(refused(store.commit(batch).await.map(drop)));
    }
    let mut batch = Batch::new();
    batch.put(RowKey::new(vec![b'k'; KEY_BYTES_MAX]), 1, "x");
    assert!(store.commit(batch).await.is_ok());
    let mut batch = put("good", 1, "x");
    batch.put(key("zero"), 0, "x");
    assert!(refused(store.commit(batch).await.map(drop)));
    let mut batch = put("good", 1, "x");
    (0..40).for_each(|n| {
        batch.put(key(&format!("big{n}")), 1, vec![0; VALUE_BYTES_MAX]);
    });
    assert!(refused(store.commit(batch).await.map(drop)));
    assert!(refused(store.get_many(&vec![key("a"); KEYS_MAX + 1]).await.map(drop)));
    assert!(refused(store.scan(&KeyRange::prefix(b"a"), PAGE_MAX + 1).await.map(drop)));
    assert_eq!(store.get_many(&[key("good"), key("big0")]).await.unwrap(), [None, None]);
}
