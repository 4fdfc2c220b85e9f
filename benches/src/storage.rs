//! The store alone: durable commits in a second of each engine, with and without a journal in front of it,
//! against the same engine bare.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use strongroom_storage::{Batch, RowKey, Store, StoreUrl};
use tokio::task::JoinSet;

use crate::Failure;
use crate::load::{count, mixed};
use crate::raw;
use crate::report::median;
use crate::time::Start;

/// Every engine that keeps its store in a folder.
const ENGINES: [&str; 3] = ["redb", "fjall", "sled"];
/// Callers that commit at the same time, each its next batch when the last is durable.
pub(crate) const WRITERS: [usize; 4] = [1, 8, 32, 64];
/// The sizes of the values of one row.
const SINGLE: &[usize] = &[400];
/// The sizes of the values of the rows that come with a record: head of its person, record, place in the
/// manifest, page and entry of an index.
pub(crate) const CREATION: &[usize] = &[150, 900, 120, 60, 80];

/// Measures every engine, store and bare engine by turns, and gives a table.
///
/// # Errors
/// Those of the engines.
pub(crate) fn measure(folder: &Path, turn: Duration, rounds: usize) -> Result<String, Failure> {
    let mut lines = Vec::new();
    for (what, sizes) in [("one row", SINGLE), ("five rows", CREATION)] {
        for engine in ENGINES {
            for writers in WRITERS {
                let (mut stores, mut fronts, mut bares) = (Vec::new(), Vec::new(), Vec::new());
                for _ in 0..rounds {
                    stores.push(of_store(engine, folder, writers, sizes, turn)?);
                    let front = format!("{engine}+journal");
                    fronts.push(of_store(&front, folder, writers, sizes, turn)?);
                    bares.push(of_bare_engine(engine, folder, writers, sizes, turn)?);
                }
                let ratio = |one: &[f64], other: &[f64]| {
                    median(one.iter().zip(other).map(|(one, other)| one / other).collect())
                };
                lines.push(format!(
                    "| {what} | {engine} | {writers} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} |",
                    ratio(&stores, &bares),
                    ratio(&fronts, &stores),
                    median(stores),
                    median(fronts),
                    median(bares)
                ));
            }
        }
    }
    Ok(format!(
        "| a commit has | engine | writers | ratio to the bare engine | of the journal to the store | commits/s | with a journal | of the bare engine |\n\
         |---|---|---|---|---|---|---|---|\n{}\n\nTurns of {:.1} s, {rounds} rounds, medians. The time of a store has its \
         closing in it, when the database gets what it does not have yet. The bare engine has one writer, \
         which puts as many batches into each durable commit as the store has writers.",
        lines.join("\n"),
        turn.as_secs_f64()
    ))
}

/// Commits in a second of a new store.
fn of_store(
    engine: &str,
    folder: &Path,
    writers: usize,
    sizes: &'static [usize],
    turn: Duration,
) -> Result<f64, Failure> {
    let path = folder.join("store");
    let store =
        strongroom_storage::create(&StoreUrl::parse(&format!("{engine}:{}", path.display()))?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let begun = Start::now();
    let end = begun.plus(turn);
    let numbers = Arc::new(AtomicU64::new(0));
    let done = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(commit_until(store.clone(), numbers.clone(), sizes, end));
        }
        tasks.join_all().await.into_iter().sum::<Result<usize, _>>()
    })?;
    drop(store);
    let rate = count(done) / begun.elapsed().as_secs_f64();
    fs::remove_dir_all(&path)?;
    Ok(rate)
}

async fn commit_until(
    store: Arc<dyn Store>,
    numbers: Arc<AtomicU64>,
    sizes: &'static [usize],
    end: Start,
) -> Result<usize, strongroom_storage::StoreError> {
    let mut done = 0;
    while !end.has_come() {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let mut batch = Batch::new();
        for (key, value) in rows_of(number, sizes) {
            batch.expect_absent(key.clone()).put(key, 1, value);
        }
        store.commit(batch).await?;
        done += 1;
    }
    Ok(done)
}

/// Key and value of each row of a batch.
pub(crate) fn rows_of(number: u64, sizes: &[usize]) -> impl Iterator<Item = (RowKey, Vec<u8>)> {
    (1..).zip(sizes).map(move |(kind, size)| (key_of(kind, number), vec![kind; *size]))
}

/// The key of the row of a kind in a batch: by chance, as ids are.
pub(crate) fn key_of(kind: u8, number: u64) -> RowKey {
    let halves = [mixed(number), mixed(number ^ 0xA5A5_A5A5)].map(u64::to_be_bytes);
    RowKey::new([&[kind][..], halves.as_flattened()].concat())
}

/// Batches in a second of a new database that nobody stands before, some batches in each commit.
fn of_bare_engine(
    engine: &str,
    folder: &Path,
    batches: usize,
    sizes: &[usize],
    turn: Duration,
) -> Result<f64, Failure> {
    let path = folder.join("bare");
    let mut commit = bare(engine, &path)?;
    let begun = Start::now();
    let end = begun.plus(turn);
    let mut number = 0;
    while !end.has_come() {
        let mut rows = Vec::new();
        for _ in 0..batches {
            for (key, value) in rows_of(number, sizes) {
                let stored = [&1u64.to_be_bytes()[..], &value].concat();
                rows.push((key.as_bytes().to_vec(), stored));
            }
            number += 1;
        }
        commit(rows)?;
    }
    let rate = count(usize::try_from(number)?) / begun.elapsed().as_secs_f64();
    drop(commit);
    if path.is_dir() {
        fs::remove_dir_all(&path)?;
    } else {
        fs::remove_file(&path)?;
    }
    Ok(rate)
}

/// Makes rows durable in one commit.
type Commit = Box<dyn FnMut(Vec<(Vec<u8>, Vec<u8>)>) -> Result<(), Failure>>;

fn bare(engine: &str, path: &Path) -> Result<Commit, Failure> {
    Ok(match engine {
        "redb" => {
            let database = raw::create(path)?;
            Box::new(move |rows| {
                let rows = rows.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
                raw::commit(&database, rows)
            })
        }
        "fjall" => {
            let database = fjall::Database::builder(path).open()?;
            let table = database.keyspace("rows", fjall::KeyspaceCreateOptions::default)?;
            Box::new(move |rows| {
                let mut batch = database.batch().durability(Some(fjall::PersistMode::SyncAll));
                for (key, value) in rows {
                    batch.insert(&table, key, value);
                }
                Ok(batch.commit()?)
            })
        }
        "sled" => {
            let database = sled::open(path)?;
            let file = OpenOptions::new().write(true).open(path.join("db"))?;
            Box::new(move |rows| {
                let mut batch = sled::Batch::default();
                for (key, value) in rows {
                    batch.insert(key, value);
                }
                database.apply_batch(batch)?;
                database.flush()?;
                Ok(file.sync_data()?)
            })
        }
        other => return Err(format!("no engine `{other}`").into()),
    })
}
