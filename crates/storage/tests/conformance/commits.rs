//! Commits: whole or not at all, in one order, versions only upwards.

use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{Batch, Expect, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, all_lines, key, line, put, tenant};

pub(crate) async fn a_batch_takes_place_as_a_whole_or_not_at_all(fixture: Fixture) {
    let store = fixture.store();
    let mut batch = put("a", 1, "one");
    batch.put(key("b"), 1, "two");
    store.commit(batch).await.unwrap();
    let mut batch = put("a", 2, "changed");
    batch.delete(key("b")).put(key("c"), 1, "new").expect_absent(key("b"));
    assert_eq!(store.commit(batch).await.unwrap_err(), StoreError::Conflict);
    let mut batch = put("c", 1, "new");
    batch.put(key("a"), 1, "not newer");
    assert_eq!(store.commit(batch).await.unwrap_err(), StoreError::Conflict);
    drop(store);
    let fixture = fixture.reopened();
    let rows = fixture.store().get_many(&[key("a"), key("b"), key("c")]).await.unwrap();
    assert_eq!(rows[0].as_ref().map(|row| row.version), Some(1));
    assert!(rows[1].is_some() && rows[2].is_none());
}

pub(crate) async fn a_precondition_that_fails_is_a_conflict_and_takes_no_number(fixture: Fixture) {
    let store = fixture.store();
    store.commit(put("a", 3, "x")).await.unwrap();
    let wrong = [
        Expect::Version(key("a"), 2),
        Expect::Version(key("a"), 4),
        Expect::Version(key("none"), 1),
        Expect::Absent(key("a")),
    ];
    for fact in wrong {
        let mut batch = put("b", 1, "x");
        batch.line(line(tenant(1), "not recorded"));
        batch.expect_absent(key("c"));
        batch.expect(fact);
        assert_eq!(store.commit(batch).await.unwrap_err(), StoreError::Conflict);
    }
    let mut batch = put("b", 1, "x");
    batch.expect_version(key("a"), 3).expect_absent(key("c")).line(line(tenant(1), "recorded"));
    assert_eq!(store.commit(batch).await.unwrap().places()[0].n, 0);
    assert_eq!(all_lines(&*store).await.len(), 1);
}

pub(crate) async fn a_version_never_goes_down(fixture: Fixture) {
    let store = fixture.store();
    store.commit(put("a", 5, "five")).await.unwrap();
    for version in [1, 4, 5] {
        let conflict = store.commit(put("a", version, "old")).await.unwrap_err();
        assert_eq!(conflict, StoreError::Conflict);
    }
    let mut batch = put("a", 5, "same");
    batch.expect_version(key("a"), 5);
    assert!(matches!(store.commit(batch).await, Err(StoreError::Refused(_))));
    store.commit(put("a", 9, "nine")).await.unwrap();
    let row = store.get_many(&[key("a")]).await.unwrap()[0].clone().unwrap();
    assert_eq!((row.version, row.value.as_ref()), (9, &b"nine"[..]));
}

pub(crate) async fn a_deleted_row_is_absent_and_may_come_again(fixture: Fixture) {
    let store = fixture.store();
    store.commit(put("a", 5, "x")).await.unwrap();
    let mut batch = Batch::new();
    batch.delete(key("a")).delete(key("never was")).expect_version(key("a"), 5);
    store.commit(batch).await.unwrap();
    assert_eq!(store.get_many(&[key("a")]).await.unwrap(), [None]);
    let mut batch = put("a", 1, "again");
    batch.expect_absent(key("a"));
    store.commit(batch).await.unwrap();
    assert_eq!(store.get_many(&[key("a")]).await.unwrap()[0].as_ref().unwrap().version, 1);
}

pub(crate) async fn a_batch_that_contradicts_itself_is_refused(fixture: Fixture) {
    let store = fixture.store();
    let mut twice = put("a", 1, "x");
    twice.put(key("a"), 2, "y");
    let mut both = put("a", 1, "x");
    both.delete(key("a"));
    let mut again = Batch::new();
    again.delete(key("a")).delete(key("a"));
    for batch in [twice, both, again] {
        assert!(matches!(store.commit(batch).await, Err(StoreError::Refused(_))));
    }
    assert_eq!(store.get_many(&[key("a")]).await.unwrap(), [None]);
}

pub(crate) async fn preconditions_that_were_read_at_different_times_are_a_conflict(
    fixture: Fixture,
) {
    let store = fixture.store();
    store.commit(put("a", 5, "x")).await.unwrap();
    let mut versions = put("a", 6, "y");
    versions.expect_version(key("a"), 5).expect_version(key("a"), 6);
    let mut presence = put("a", 6, "y");
    presence.expect_version(key("a"), 5).expect_absent(key("a"));
    for batch in [versions, presence] {
        assert_eq!(store.commit(batch).await.unwrap_err(), StoreError::Conflict);
    }
    let mut twice = put("a", 6, "y");
    twice.expect_version(key("a"), 5).expect_version(key("a"), 5);
    store.commit(twice).await.unwrap();
}

pub(crate) async fn an_empty_batch_and_one_of_preconditions_only_are_committed(fixture: Fixture) {
    let store = fixture.store();
    assert_eq!(store.commit(Batch::new()).await.unwrap().places(), []);
    let mut batch = Batch::new();
    batch.expect_absent(key("a"));
    store.commit(batch).await.unwrap();
    let mut batch = Batch::new();
    batch.expect_version(key("a"), 1);
    assert_eq!(store.commit(batch).await.unwrap_err(), StoreError::Conflict);
}

pub(crate) async fn no_increment_is_lost_among_many_writers(fixture: Fixture) {
    let store = fixture.store();
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let mut done = 0;
            while done < 20 {
                let row = store.get_many(&[key("count")]).await.unwrap().remove(0);
                let mut batch = Batch::new();
                match &row {
                    Some(row) => batch.expect_version(key("count"), row.version),
                    None => batch.expect_absent(key("count")),
                };
                let version = row.as_ref().map_or(0, |row| row.version) + 1;
                batch.put(key("count"), version, version.to_string());
                batch.line(line(tenant(1), &version.to_string()));
                match store.commit(batch).await {
                    Ok(_) => done += 1,
                    Err(error) => assert_eq!(error, StoreError::Conflict),
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let row = store.get_many(&[key("count")]).await.unwrap().remove(0).unwrap();
    assert_eq!((row.version, row.value.as_ref()), (320, &b"320"[..]));
    let lines = all_lines(&*store).await;
    let texts: Vec<String> = lines.into_iter().map(|line| line.text).collect();
    assert_eq!(texts, (1..=320).map(|n| n.to_string()).collect::<Vec<_>>());
}

pub(crate) async fn of_many_that_expect_the_same_version_one_wins(fixture: Fixture) {
    let store = fixture.store();
    store.commit(put("seat", 1, "free")).await.unwrap();
    for round in 1..50u64 {
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let store = Arc::clone(&store);
            writers.spawn(async move {
                let mut batch = put("seat", round + 1, &format!("taken by {writer}"));
                batch.expect_version(key("seat"), round);
                store.commit(batch).await.is_ok()
            });
        }
        let won = writers.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(won, 1, "in round {round}");
    }
}

pub(crate) async fn more_batches_than_the_queue_holds_all_take_place(fixture: Fixture) {
    let store = fixture.store();
    let mut writers = JoinSet::new();
    for n in 0..3_000 {
        let store = Arc::clone(&store);
        writers.spawn(async move { store.commit(put(&format!("row{n}"), 1, "x")).await.is_ok() });
    }
    assert!(writers.join_all().await.into_iter().all(|done| done));
    let described = store.describe();
    if described.engine != "memory" {
        assert!(described.commit_groups < 1_500, "{described:?}: writers do not share a sync");
        assert!(described.syncs < 3_000, "{described:?}: writers do not share a sync");
    }
}

pub(crate) async fn a_commit_whose_caller_went_away_leaves_the_store_whole(fixture: Fixture) {
    let store = fixture.store();
    for n in 0..200u64 {
        let mut batch = put(&format!("left{n}"), 1, "x");
        batch.put(key(&format!("right{n}")), 1, "x").line(line(tenant(1), "x"));
        let _ = tokio::time::timeout(Duration::from_micros(n * 10), store.commit(batch)).await;
    }
    store.commit(put("last", 1, "x")).await.unwrap();
    for n in 0..200 {
        let both = [key(&format!("left{n}")), key(&format!("right{n}"))];
        let rows = store.get_many(&both).await.unwrap();
        assert_eq!(rows[0], rows[1]);
    }
    all_lines(&*store).await;
}
