//! Appends: lines of reads, recorded only if what they rest on is still the newest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_storage::{Batch, Expect, Line, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, PlainLine, all_lines, key, line, put, tenant};

fn fact(version: u64) -> Vec<Expect> {
    vec![Expect::Version(key("right"), version)]
}

pub(crate) async fn lines_of_an_append_are_recorded_if_the_facts_hold(fixture: Fixture) {
    let store = fixture.store();
    store.commit(put("right", 4, "x")).await.unwrap();
    let mut facts = fact(4);
    facts.push(Expect::Absent(key("none")));
    let lines = vec![line(tenant(1), "a"), line(tenant(1), "b")];
    let committed = store.append(lines, facts).await.unwrap();
    assert_eq!(committed.places().iter().map(|place| place.n).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(all_lines(&*store).await.len(), 2);
}

pub(crate) async fn an_append_on_an_old_fact_is_a_conflict_and_records_nothing(fixture: Fixture) {
    let store = fixture.store();
    store.commit(put("right", 4, "x")).await.unwrap();
    let wrong = [
        fact(3),
        fact(5),
        vec![Expect::Absent(key("right"))],
        vec![Expect::Version(key("none"), 1)],
        [fact(4), fact(3)].concat(),
    ];
    for facts in wrong {
        let outcome = store.append(vec![line(tenant(1), "x")], facts).await;
        assert_eq!(outcome.unwrap_err(), StoreError::Conflict);
    }
    let mut batch = Batch::new();
    batch.delete(key("right"));
    store.commit(batch).await.unwrap();
    let outcome = store.append(vec![line(tenant(1), "x")], fact(4)).await;
    assert_eq!(outcome.unwrap_err(), StoreError::Conflict);
    assert_eq!(all_lines(&*store).await, []);
    let recorded = store.append(vec![line(tenant(1), "x")], vec![]).await.unwrap();
    assert_eq!(recorded.places()[0].n, 0);
}

pub(crate) async fn an_append_without_lines_is_refused(fixture: Fixture) {
    let outcome = fixture.store().append(vec![], vec![]).await;
    assert!(matches!(outcome, Err(StoreError::Refused(_))));
}

/// Readers use the right in whichever version they saw; revocations follow one another. A reader
/// that begins after a revocation was acknowledged must not be admitted on an older version, and
/// whoever meets a conflict sees the change when it reads again. An engine that never waits would let two
/// readers hold all threads, or all revocations pass before any reader has its turn, so readers make way
/// after each use, and every few revocations wait for uses.
pub(crate) async fn nothing_is_admitted_on_a_right_after_its_revocation_was_acknowledged(
    fixture: Fixture,
) {
    const REVOCATIONS: u64 = 300;
    let store = fixture.store();
    store.commit(put("right", 1, "x")).await.unwrap();
    let acknowledged = Arc::new(AtomicU64::new(1));
    let uses = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for reader in 0..8 {
        let (store, acknowledged) = (Arc::clone(&store), Arc::clone(&acknowledged));
        let uses = Arc::clone(&uses);
        readers.spawn(async move {
            let (mut admitted, mut conflicts) = (0u64, 0u64);
            // Every second reader keeps using what it saw first, until it is refused.
            let mut version = 1;
            while acknowledged.load(Ordering::SeqCst) < REVOCATIONS {
                let known = acknowledged.load(Ordering::SeqCst);
                if reader % 2 == 0 {
                    version = store.get_many(&[key("right")]).await.unwrap()[0]
                        .as_ref()
                        .map_or(0, |row| row.version);
                    assert!(version >= known, "a read shows less than was acknowledged");
                }
                match store.append(vec![line(tenant(1), "use")], fact(version)).await {
                    Ok(_) => {
                        assert!(
                            version >= known,
                            "{version} was used after {known} was acknowledged"
                        );
                        admitted += 1;
                    }
                    Err(error) => {
                        assert_eq!(error, StoreError::Conflict);
                        let now = store.get_many(&[key("right")]).await.unwrap();
                        let newer = now[0].as_ref().map_or(0, |row| row.version);
                        assert!(newer > version, "a conflict, but nothing to see");
                        version = newer;
                        conflicts += 1;
                    }
                }
                uses.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
            (admitted, conflicts)
        });
    }
    while store.describe().append_groups < 8 {
        tokio::task::yield_now().await;
    }
    for version in 2..=REVOCATIONS {
        let mut batch = put("right", version, "x");
        batch.expect_version(key("right"), version - 1).line(line(tenant(1), "revoke"));
        store.commit(batch).await.unwrap();
        acknowledged.store(version, Ordering::SeqCst);
        let before = uses.load(Ordering::SeqCst);
        while version % 4 == 0 && version < REVOCATIONS && uses.load(Ordering::SeqCst) < before + 8
        {
            tokio::task::yield_now().await;
        }
    }
    let counts = readers.join_all().await;
    let admitted: u64 = counts.iter().map(|(admitted, _)| admitted).sum();
    let conflicts: u64 = counts.iter().map(|(_, conflicts)| conflicts).sum();
    assert!(admitted > 0 && conflicts > 0, "{admitted} admitted, {conflicts} conflicts");
    let recorded = all_lines(&*store).await.iter().filter(|line| line.text == "use").count();
    assert_eq!(u64::try_from(recorded).unwrap(), admitted);
}

pub(crate) async fn an_append_as_long_as_several_frames_is_refused_and_a_long_one_recorded(
    fixture: Fixture,
) {
    let store = fixture.store();
    let lines = |count: usize| -> Vec<Box<dyn Line>> {
        let long = |_| Box::new(PlainLine { tenant: tenant(1), text: vec![b'x'; 1_000_000] });
        (0..count).map(|n| long(n) as Box<dyn Line>).collect()
    };
    store.append(lines(7), vec![]).await.unwrap();
    assert!(matches!(store.append(lines(90), vec![]).await, Err(StoreError::Refused(_))));
    let together = tokio::join!(store.append(lines(7), vec![]), store.append(lines(7), vec![]));
    assert!(together.0.is_ok() && together.1.is_ok());
    assert_eq!(all_lines(&*store).await.len(), 21);
}

pub(crate) async fn appends_that_arrive_together_are_all_recorded(fixture: Fixture) {
    let store = fixture.store();
    let mut readers = JoinSet::new();
    for n in 0..3_000u32 {
        let store = Arc::clone(&store);
        readers.spawn(async move {
            store.append(vec![line(tenant(1), &n.to_string())], vec![]).await.is_ok()
        });
    }
    assert!(readers.join_all().await.into_iter().all(|done| done));
    let mut texts: Vec<u32> =
        all_lines(&*store).await.iter().map(|line| line.text.parse().unwrap()).collect();
    texts.sort_unstable();
    assert_eq!(texts, (0..3_000).collect::<Vec<_>>());
    let described = store.describe();
    if described.engine != "memory" {
        assert!(described.append_groups < 1_500, "{described:?}: readers do not share a sync");
    }
}
