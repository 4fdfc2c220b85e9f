//! Random operations: every engine answers as the reference does, word for word.

use proptest::prelude::*;
use strongroom_storage::{
    Batch, Committed, Expect, KeyRange, LinePlaced, LinePosition, LineRange, Row, RowKey, Store,
    StoreError,
};

use crate::fixture::{Fixture, line, run, tenant};

/// One thing that is done to both stores.
#[derive(Clone, Debug)]
enum Operation {
    Commit {
        expects: Vec<Expect>,
        puts: Vec<(RowKey, u64, Vec<u8>)>,
        deletes: Vec<RowKey>,
        lines: Vec<u8>,
    },
    Append {
        facts: Vec<Expect>,
        lines: Vec<u8>,
    },
    Get(Vec<RowKey>),
    Scan {
        range: KeyRange,
        limit: usize,
    },
    Reopen,
}

/// What a store answered.
#[derive(Debug, PartialEq)]
enum Answer {
    Placed(Result<Vec<LinePlaced>, StoreError>),
    Rows(Result<Vec<Option<Row>>, StoreError>),
    Page(Result<Vec<(RowKey, Row)>, StoreError>),
    Nothing,
}

fn keys() -> impl Strategy<Value = RowKey> {
    proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(128), Just(255)], 1..4)
        .prop_map(RowKey::new)
}

fn expectations() -> impl Strategy<Value = Vec<Expect>> {
    let one = prop_oneof![
        (keys(), 1..6u64).prop_map(|(key, version)| Expect::Version(key, version)),
        keys().prop_map(Expect::Absent),
    ];
    proptest::collection::vec(one, 0..3)
}

fn operations() -> impl Strategy<Value = Operation> {
    let puts = proptest::collection::vec(
        (keys(), 0..8u64, proptest::collection::vec(any::<u8>(), 0..20)),
        0..5,
    );
    let tenants = || proptest::collection::vec(1..4u8, 0..3);
    prop_oneof![
        6 => (expectations(), puts, proptest::collection::vec(keys(), 0..2), tenants())
            .prop_map(|(expects, puts, deletes, lines)| Operation::Commit { expects, puts, deletes, lines }),
        3 => (expectations(), tenants()).prop_map(|(facts, lines)| Operation::Append { facts, lines }),
        2 => proptest::collection::vec(keys(), 0..5).prop_map(Operation::Get),
        2 => (keys(), keys(), 0..4u8, 0..9usize).prop_map(|(a, b, form, limit)| {
            let range = match form {
                0 => KeyRange::prefix(a.as_bytes()),
                1 => KeyRange::between(&a, &b),
                2 => KeyRange::after(&a, b.as_bytes()),
                _ => KeyRange::before(&a, b.as_bytes()),
            };
            Operation::Scan { range, limit }
        }),
        1 => Just(Operation::Reopen),
    ]
}

async fn answer(store: &dyn Store, operation: &Operation) -> Answer {
    let placed = |outcome: Result<Committed, StoreError>| {
        Answer::Placed(outcome.map(|committed| committed.places().to_vec()))
    };
    match operation {
        Operation::Commit { expects, puts, deletes, lines } => {
            let mut batch = Batch::new();
            for fact in expects {
                batch.expect(fact.clone());
            }
            for (key, version, value) in puts {
                batch.put(key.clone(), *version, value.clone());
            }
            for key in deletes {
                batch.delete(key.clone());
            }
            for number in lines {
                batch.line(line(tenant(*number), "x"));
            }
            placed(store.commit(batch).await)
        }
        Operation::Append { facts, lines } => {
            let lines = lines.iter().map(|number| line(tenant(*number), "y")).collect();
            placed(store.append(lines, facts.clone()).await)
        }
        Operation::Get(keys) => Answer::Rows(store.get_many(keys).await),
        Operation::Scan { range, limit } => Answer::Page(store.scan(range, *limit).await),
        Operation::Reopen => Answer::Nothing,
    }
}

async fn agree(operations: Vec<Operation>, engine: Fixture) {
    let (mut memory, mut engine) = (Fixture::memory(), engine);
    for operation in &operations {
        if matches!(operation, Operation::Reopen) {
            (memory, engine) = (memory.reopened(), engine.reopened());
        }
        let expected = answer(&*memory.store(), operation).await;
        assert_eq!(answer(&*engine.store(), operation).await, expected, "{operation:?}");
    }
    let everything = KeyRange::prefix(&[]);
    let expected = memory.store().scan(&everything, 10_000).await;
    assert_eq!(engine.store().scan(&everything, 10_000).await, expected);
    let lines = LineRange::all(LinePosition::START, 10_000);
    let bytes = |lines: Result<Vec<(LinePosition, bytes::Bytes)>, StoreError>| {
        lines.unwrap().into_iter().map(|(_, line)| line).collect::<Vec<_>>()
    };
    let expected = bytes(memory.store().read_lines(&lines).await);
    assert_eq!(bytes(engine.store().read_lines(&lines).await), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn redb_answers_as_memory_does(operations in proptest::collection::vec(operations(), 1..60)) {
        run(agree(operations, Fixture::embedded("redb")));
    }

    #[test]
    fn fjall_answers_as_memory_does(operations in proptest::collection::vec(operations(), 1..60)) {
        run(agree(operations, Fixture::embedded("fjall")));
    }

    #[test]
    fn sled_answers_as_memory_does(operations in proptest::collection::vec(operations(), 1..60)) {
        run(agree(operations, Fixture::embedded("sled")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_before_redb_answers_as_memory_does(
        operations in proptest::collection::vec(operations(), 1..60),
    ) {
        run(agree(operations, Fixture::embedded("redb+journal")));
    }

    #[test]
    fn a_journal_before_fjall_answers_as_memory_does(
        operations in proptest::collection::vec(operations(), 1..60),
    ) {
        run(agree(operations, Fixture::embedded("fjall+journal")));
    }

    #[test]
    fn a_journal_before_sled_answers_as_memory_does(
        operations in proptest::collection::vec(operations(), 1..60),
    ) {
        run(agree(operations, Fixture::embedded("sled+journal")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn postgres_answers_as_memory_does(operations in proptest::collection::vec(operations(), 1..60)) {
        run(agree(operations, Fixture::postgres()));
    }
}
