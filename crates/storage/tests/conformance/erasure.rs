//! The races that erasure rests on.

use std::sync::Arc;

use strongroom_storage::{Batch, Expect, KeyRange, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, all_lines, key, line, put, tenant};

const SUBJECTS_AT_ONCE: usize = 100;
const ROUNDS: usize = 20;
const CREATORS: usize = 4;

/// For thousands of subjects, tasks create rows that only *read* the subject's head, while one
/// writes `erased` into it. Creations and the erasure record a line each, and their numbers show
/// the order of the commits: no acknowledged creation may come after the erasure, and what the
/// erasure's scan missed must not exist.
pub(crate) async fn no_creation_slips_past_an_erasure(fixture: Fixture) {
    let store = fixture.store();
    let mut created = 0;
    let mut refused = 0;
    for round in 0..ROUNDS {
        let mut heads = Batch::new();
        for subject in 0..SUBJECTS_AT_ONCE {
            heads.put(key(&format!("head {round} {subject}")), 1, "living");
        }
        store.commit(heads).await.unwrap();
        let mut tasks = JoinSet::new();
        for subject in 0..SUBJECTS_AT_ONCE {
            let head = format!("head {round} {subject}");
            for creator in 0..CREATORS {
                let (store, head) = (Arc::clone(&store), head.clone());
                tasks.spawn(async move {
                    if (subject + creator) % 3 == 0 {
                        tokio::task::yield_now().await;
                    }
                    let row = store.get_many(&[key(&head)]).await.unwrap().remove(0).unwrap();
                    if row.value == "erased" {
                        return (head, false, None);
                    }
                    let mut batch = Batch::new();
                    batch.expect_version(key(&head), row.version);
                    let record = key(&format!("record of {head} {creator}"));
                    batch.expect_absent(record.clone()).put(record, 1, "x");
                    batch.line(line(tenant(1), "create"));
                    match store.commit(batch).await {
                        Ok(done) => (head, false, Some(done.places()[0].n)),
                        Err(error) => {
                            assert_eq!(error, StoreError::Conflict);
                            (head, false, None)
                        }
                    }
                });
            }
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                if subject % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                let mut batch = put(&head, 2, "erased");
                batch.expect_version(key(&head), 1).line(line(tenant(1), "erase"));
                let n = store.commit(batch).await.unwrap().places()[0].n;
                let prefix = format!("record of {head} ");
                let seen = store.scan(&KeyRange::prefix(prefix.as_bytes()), 100).await.unwrap();
                (format!("{head} {}", seen.len()), true, Some(n))
            });
        }
        let outcomes = tasks.join_all().await;
        for (text, is_erasure, n) in &outcomes {
            let creations = |head: &str| {
                outcomes
                    .iter()
                    .filter(|(other, erasure, n)| other == head && !erasure && n.is_some())
                    .map(|(_, _, n)| n.unwrap())
                    .collect::<Vec<_>>()
            };
            if *is_erasure {
                let (head, seen) = text.rsplit_once(' ').unwrap();
                let before = creations(head);
                assert!(before.iter().all(|creation| *creation < n.unwrap()), "one slipped past");
                assert_eq!(seen.parse(), Ok(before.len()), "the erasure did not see all");
                let prefix = format!("record of {head} ");
                let now = store.scan(&KeyRange::prefix(prefix.as_bytes()), 100).await.unwrap();
                assert_eq!(now.len(), before.len(), "a row came after the erasure");
                created += before.len();
                refused += CREATORS - before.len();
            }
        }
    }
    assert!(created > 0 && refused > 0, "{created} created, {refused} refused: no race");
    let lines = all_lines(&*store).await;
    assert_eq!(lines.len(), created + SUBJECTS_AT_ONCE * ROUNDS);
}

/// Reads of a subject rest on its head. Once the erasure is acknowledged no read that begins later
/// is recorded on the living head.
pub(crate) async fn no_read_is_recorded_after_an_erasure_that_it_did_not_see(fixture: Fixture) {
    let store = fixture.store();
    let mut tasks = JoinSet::new();
    for subject in 0..200 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let head = key(&format!("head {subject}"));
            store.commit(put(&format!("head {subject}"), 1, "living")).await.unwrap();
            let read = |version| {
                store.append(
                    vec![line(tenant(1), "read")],
                    vec![Expect::Version(head.clone(), version)],
                )
            };
            let mut erase = put(&format!("head {subject}"), 2, "erased");
            erase.expect_version(head.clone(), 1);
            let (erased, first, second) = tokio::join!(store.commit(erase), read(1), read(1));
            assert!(erased.is_ok());
            let refused = [first, second].into_iter().filter(Result::is_err).count();
            assert_eq!(read(1).await.unwrap_err(), StoreError::Conflict);
            assert!(read(2).await.is_ok());
            (subject, refused)
        });
    }
    tasks.join_all().await;
    all_lines(&*store).await;
}
