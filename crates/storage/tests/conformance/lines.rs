//! Lines: chained without gaps per node and tenant, and every one read once.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use strongroom_model::TenantId;
use strongroom_storage::{
    Batch, LINE_BYTES_MAX, Line, LinePlace, LinePosition, LineRange, PAGE_MAX, StoreError,
};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, PlainLine, all_lines, key, line, parse, put, tenant};

pub(crate) async fn a_committed_line_is_read_back_at_its_place(fixture: Fixture) {
    let store = fixture.store();
    let mut batch = put("a", 1, "x");
    batch.line(line(tenant(1), "first")).line(line(tenant(2), "other"));
    batch.line(line(tenant(1), "second"));
    let committed = store.commit(batch).await.unwrap();
    let places = committed.places();
    assert_eq!(places.iter().map(|place| place.n).collect::<Vec<_>>(), [0, 0, 1]);
    let lines = all_lines(&*store).await;
    for (place, line) in places.iter().zip(&lines) {
        assert_eq!((place.node, place.n, place.tag), (line.node, line.n, line.tag));
    }
    assert_eq!(
        lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
        ["first", "other", "second"]
    );
    let appended = store.append(vec![line(tenant(1), "read")], vec![]).await.unwrap();
    let place = appended.places()[0];
    assert_eq!(place.n, 0);
    let last = all_lines(&*store).await.pop().unwrap();
    assert_eq!((place.node, place.tag, "read"), (last.node, last.tag, last.text.as_str()));
}

pub(crate) async fn chains_have_no_gaps_among_many_writers_and_conflicts(fixture: Fixture) {
    let store = fixture.store();
    store.commit(put("fact", 2, "x")).await.unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..16u8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut recorded = 0;
            for n in 0..40u64 {
                let tenant = tenant(task % 3 + 1);
                let text = format!("{task} {n}");
                let version = if n % 4 == 0 { 1 } else { 2 };
                let fact = strongroom_storage::Expect::Version(key("fact"), version);
                let outcome = if task % 2 == 0 {
                    let mut batch = put(&text, 1, "x");
                    batch.expect(fact).line(line(tenant, &text)).line(line(tenant, &text));
                    store.commit(batch).await
                } else {
                    store.append(vec![line(tenant, &text), line(tenant, &text)], vec![fact]).await
                };
                assert_eq!(outcome.is_ok(), version == 2);
                recorded += if outcome.is_ok() { 2 } else { 0 };
            }
            recorded
        });
    }
    let recorded: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(all_lines(&*store).await.len(), recorded);
    drop(store);
    let fixture = fixture.reopened();
    assert_eq!(all_lines(&*fixture.store()).await.len(), recorded);
}

pub(crate) async fn lanes_have_different_nodes_and_new_ones_after_opening_again(
    mut fixture: Fixture,
) {
    let mut nodes = HashSet::new();
    for start in 0..4 {
        let store = fixture.store();
        let mut batch = Batch::new();
        batch.line(line(tenant(1), &format!("commit {start}")));
        let committed = store.commit(batch).await.unwrap().places()[0];
        let read = vec![line(tenant(1), &format!("append {start}"))];
        let appended = store.append(read, vec![]).await.unwrap().places()[0];
        assert_eq!((committed.n, appended.n), (0, 0));
        assert!(nodes.insert(committed.node) && nodes.insert(appended.node));
        drop(store);
        fixture = fixture.reopened();
    }
    assert_eq!(all_lines(&*fixture.store()).await.len(), 8);
}

pub(crate) async fn reading_on_from_a_position_gives_every_line_once(fixture: Fixture) {
    let mut fixture = fixture;
    let mut seen = HashSet::new();
    let mut position = LinePosition::START;
    let mut written = 0;
    for round in 0..12 {
        let store = fixture.store();
        for n in 0..5 {
            let texts = [format!("commit {round} {n}"), format!("append {round} {n}")];
            let mut batch = Batch::new();
            batch.line(line(tenant(1), &texts[0])).line(line(tenant(2), &texts[0]));
            store.commit(batch).await.unwrap();
            let lines = vec![line(tenant(1), &texts[1]), line(tenant(2), &texts[1])];
            store.append(lines, vec![]).await.unwrap();
            written += 4;
        }
        loop {
            let page = store.read_lines(&LineRange::all(position, round + 1)).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            assert!(*last > position);
            position = LinePosition::from_bytes(last.to_bytes());
            for (_, line) in &page {
                let line = parse(line);
                assert!(seen.insert((line.tenant, line.node, line.n)), "twice: {line:?}");
            }
        }
        assert_eq!(seen.len(), written);
        drop(store);
        fixture = fixture.reopened();
    }
}

pub(crate) async fn lines_of_one_tenant_are_read_without_those_of_others(fixture: Fixture) {
    let store = fixture.store();
    for n in 0..30u8 {
        let mut batch = Batch::new();
        batch.line(line(tenant(n % 3), "commit"));
        store.commit(batch).await.unwrap();
        store.append(vec![line(tenant(n % 3), "append")], vec![]).await.unwrap();
    }
    let mut position = LinePosition::START;
    let mut found = Vec::new();
    loop {
        let page = store.read_lines(&LineRange::of(tenant(1), position, 7)).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        position = *last;
        found.extend(page.iter().map(|(_, line)| parse(line)));
    }
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|line| line.tenant == tenant(1)));
    crate::fixture::check_chains(&found);
    assert_eq!(
        store.read_lines(&LineRange::of(tenant(9), LinePosition::START, 7)).await,
        Ok(vec![])
    );
    assert_eq!(store.read_lines(&LineRange::all(LinePosition::START, 0)).await, Ok(vec![]));
    let long = LineRange::all(LinePosition::START, PAGE_MAX + 1);
    assert!(matches!(store.read_lines(&long).await, Err(StoreError::Refused(_))));
}

/// A line that is sealed as these bytes, or not at all.
struct BadLine(Option<fn(&LinePlace) -> Vec<u8>>);

impl Line for BadLine {
    fn tenant(&self) -> TenantId {
        tenant(1)
    }

    fn seal(&self, place: &LinePlace) -> Bytes {
        (self.0.expect("a line that panics"))(place).into()
    }
}

pub(crate) async fn a_line_that_is_not_well_formed_is_refused_and_takes_no_number(
    fixture: Fixture,
) {
    let store = fixture.store();
    let bad: [fn() -> Box<dyn Line>; 5] = [
        || Box::new(BadLine(Some(|_| vec![]))),
        || Box::new(BadLine(Some(|_| vec![7; 100]))),
        || {
            Box::new(BadLine(Some(|place| {
                let place = LinePlace { n: place.n + 1, ..*place };
                PlainLine { tenant: tenant(1), text: vec![] }.seal(&place).to_vec()
            })))
        },
        || Box::new(PlainLine { tenant: tenant(1), text: vec![0; LINE_BYTES_MAX] }),
        || Box::new(BadLine(None)),
    ];
    for bad in bad {
        let mut batch = put("a", 1, "x");
        batch.line(line(tenant(1), "good")).line(bad());
        assert!(matches!(store.commit(batch).await, Err(StoreError::Refused(_))));
        let lines = vec![line(tenant(1), "good"), bad()];
        assert!(matches!(store.append(lines, vec![]).await, Err(StoreError::Refused(_))));
    }
    let mut batch = put("a", 1, "x");
    batch.line(line(tenant(1), "good"));
    assert_eq!(store.commit(batch).await.unwrap().places()[0].n, 0);
    let good = vec![line(tenant(1), "good")];
    assert_eq!(store.append(good, vec![]).await.unwrap().places()[0].n, 0);
    assert_eq!(all_lines(&*store).await.len(), 2);
}
