//! Writers that remember what was acknowledged, and a check of what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use strongroom_storage::{Expect, Store, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{all_lines, key, line, put, tenant};

const WRITERS: u64 = 6;

/// What one writer has seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Changes that were acknowledged.
    pub(crate) commits: u64,
    /// Lines of reads that were acknowledged.
    pub(crate) appends: u64,
    /// Answers that left open what took place.
    pub(crate) open: u64,
}

/// Writers at work.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    tasks: JoinSet<(u64, Vec<String>, Seen)>,
}

impl Writers {
    pub(crate) fn start(store: &Arc<dyn Store>) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let (store, stop, done) = (Arc::clone(store), Arc::clone(&stop), Arc::clone(&done));
            tasks.spawn(async move {
                let (acknowledged, seen) = write(&*store, writer, &stop, &done).await;
                (writer, acknowledged, seen)
            });
        }
        Self { stop, done, tasks }
    }

    /// How many changes were acknowledged so far.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Lets them end and checks that the store has exactly what they were told.
    pub(crate) async fn end(mut self, store: &dyn Store) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        let mut counts = BTreeMap::new();
        for line in all_lines(store).await {
            *counts.entry(line.text).or_insert(0) += 1;
        }
        let mut all = Seen::default();
        while let Some(done) = self.tasks.join_next().await {
            let (writer, acknowledged, seen) = done.unwrap();
            counts.clear();
            for line in all_lines(store).await {
                *counts.entry(line.text).or_insert(0) += 1;
            }
            for name in &acknowledged {
                assert_eq!(counts.get(name), Some(&1), "the line of {name}");
            }
            assert!(counts.values().all(|count| *count == 1), "a line stands twice");
            let pair = [key(&format!("left {writer}")), key(&format!("right {writer}"))];
            let rows = store.get_many(&pair).await.unwrap();
            assert_eq!(rows[0], rows[1], "half of a batch");
            let version = rows[0].as_ref().map_or(0, |row| row.version);
            let lines =
                (1..=version + 1).filter(|n| counts.contains_key(&format!("w{writer}-{n}")));
            assert_eq!(u64::try_from(lines.count()).unwrap(), version, "rows and lines differ");
            assert_eq!(seen.commits, version, "writer {writer} was told something else");
            all.commits += seen.commits;
            all.appends += seen.appends;
            all.open += seen.open;
        }
        all
    }
}

/// Raises a pair of rows step by step, each with a line, and a line of a read after each.
async fn write(
    store: &dyn Store,
    writer: u64,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> (Vec<String>, Seen) {
    let (left, right) = (format!("left {writer}"), format!("right {writer}"));
    let (mut seen, mut acknowledged) = (Seen::default(), Vec::new());
    let mut version = 1;
    while !stop.load(Ordering::SeqCst) {
        let mut batch = put(&left, version, "x");
        batch.put(key(&right), version, "x");
        batch.expect(match version {
            1 => Expect::Absent(key(&left)),
            _ => Expect::Version(key(&left), version - 1),
        });
        let name = format!("w{writer}-{version}");
        batch.line(line(tenant(u8::try_from(writer % 2).unwrap()), &name));
        match store.commit(batch).await {
            Ok(committed) => {
                assert_eq!(committed.places().len(), 1);
                acknowledged.push(name);
                seen.commits += 1;
                done.fetch_add(1, Ordering::SeqCst);
                version += 1;
            }
            Err(StoreError::Unavailable(_)) => {
                // Whether it took place is seen by reading.
                seen.open += 1;
                let Ok(rows) = store.get_many(&[key(&left)]).await else { continue };
                if rows[0].as_ref().is_some_and(|row| row.version == version) {
                    seen.commits += 1;
                    version += 1;
                }
                continue;
            }
            Err(error) => panic!("{error}, though nobody else writes the row"),
        }
        let text = format!("r{writer}-{version}");
        let facts = vec![Expect::Version(key(&left), version - 1)];
        match store.append(vec![line(tenant(1), &text)], facts).await {
            Ok(_) => {
                acknowledged.push(text);
                seen.appends += 1;
            }
            Err(StoreError::Unavailable(_)) => seen.open += 1,
            Err(error) => panic!("{error}, though nobody else writes the row"),
        }
    }
    (acknowledged, seen)
}
