//! A fixed piece of work on a store, one step after the other, told on standard output; and what must be
//! there afterwards.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{Batch, Expect, OpenError, Store, StoreError, StoreUrl};

use crate::fixture::{all_lines, key, line, put, tenant};

/// Commits before the store is opened again, and as many after.
const COMMITS: u64 = 6;
/// A row is removed when as many newer ones are there.
const KEPT: u64 = 3;
/// How often a step that finds no room, or no database for now, is tried again.
const TRIES: u32 = 4;
/// Writes of plain sled, and the pause between them; its own thread syncs each half second.
const PLAIN_WRITES: u64 = 40;
const PLAIN_PAUSE: Duration = Duration::from_millis(30);
/// How the child ends if it cannot say something: that is no fault of the store.
const MUTE: i32 = 7;
/// How the child ends if its work takes longer than any fault explains.
pub(crate) const HANGS: i32 = 8;
const HANGS_AFTER: Duration = Duration::from_secs(25);

pub(crate) fn url(engine: &str, folder: &Path) -> StoreUrl {
    StoreUrl::parse(&format!("{engine}:{}", folder.join("store").display())).unwrap()
}

/// Works on a new store, or on the one that is there.
pub(crate) fn work(engine: &str, folder: &Path) {
    std::thread::spawn(|| {
        std::thread::sleep(HANGS_AFTER);
        std::process::exit(HANGS);
    });
    let url = url(engine, folder);
    let first = if url.path().unwrap().exists() {
        strongroom_storage::open(&url)
    } else {
        strongroom_storage::create(&url)
    };
    let Some(store) = told(first) else { return };
    say("ack created.");
    if !steps(store) {
        return;
    }
    if told(strongroom_storage::open(&url)).is_some_and(steps) {
        say("done.");
    }
}

/// Works with sled as it comes, for as long as it takes its own thread to sync twice.
pub(crate) fn plain(folder: &Path) {
    let db = sled::open(folder.join("plain")).unwrap();
    for number in 0..PLAIN_WRITES {
        db.insert(number.to_be_bytes(), vec![7; 300]).unwrap();
        db.flush().unwrap();
        say(&format!("ack {number}."));
        std::thread::sleep(PLAIN_PAUSE);
    }
}

fn told(opened: Result<Arc<dyn Store>, OpenError>) -> Option<Arc<dyn Store>> {
    opened.map_err(|error| say(&format!("refused: {error}."))).ok()
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{what}").and_then(|()| out.flush()).is_err() {
        std::process::exit(MUTE);
    }
}

/// Whether all steps were made.
fn steps(store: Arc<dyn Store>) -> bool {
    let (sender, outcome) = std::sync::mpsc::channel();
    run(async move {
        let done = all_steps(&*store).await;
        sender.send(done).unwrap();
    });
    outcome.recv().unwrap()
}

async fn all_steps(store: &dyn Store) -> bool {
    let mut done = None;
    for _ in 0..TRIES {
        if let Ok(rows) = store.get_many(&[key("left")]).await {
            done = Some(rows[0].as_ref().map_or(0, |row| row.version));
            break;
        }
        say("unread.");
    }
    let Some(done) = done else { return false };
    for version in done + 1..=done + COMMITS {
        if !step(store, version).await {
            say("stuck.");
            return false;
        }
    }
    true
}

/// One commit, one append, and a look at what there is.
async fn step(store: &dyn Store, version: u64) -> bool {
    let commit = async || store.commit(batch(version)).await.map(drop);
    let facts = || vec![Expect::Version(key("left"), version)];
    let text = format!("r{version}");
    let append = async || store.append(vec![line(tenant(1), &text)], facts()).await.map(drop);
    tried(&format!("w{version}"), commit, store, version - 1).await
        && tried(&text, append, store, version).await
}

/// Tries a step until it is acknowledged. After a refusal what was there before is read.
async fn tried(
    name: &str,
    step: impl AsyncFn() -> Result<(), StoreError>,
    store: &dyn Store,
    before: u64,
) -> bool {
    let mut in_doubt = false;
    for _ in 0..TRIES {
        match step().await {
            Ok(()) => {
                say(&format!("ack {name}."));
                return true;
            }
            Err(StoreError::Full) => say(&format!("full {name}.")),
            Err(StoreError::Unavailable(why)) => {
                in_doubt = true;
                say(&format!("unavailable {name}: {why}."));
            }
            Err(StoreError::Damaged(what)) => say(&format!("damaged {name}: {what}.")),
            Err(StoreError::Conflict) if in_doubt => return true,
            Err(error) => panic!("{name}: {error}"),
        }
        if before > 0 && !in_doubt {
            match store.get_many(&[key("left")]).await {
                Ok(rows) => assert_eq!(rows[0].as_ref().map(|row| row.version), Some(before)),
                Err(error) => say(&format!("unread: {error}.")),
            }
        }
    }
    false
}

fn batch(version: u64) -> Batch {
    let mut batch = put("left", version, &version.to_string());
    batch.put(key("right"), version, version.to_string());
    batch.put(key(&format!("row {version}")), 1, value(version));
    if version > KEPT {
        batch.delete(key(&format!("row {}", version - KEPT)));
    }
    if version > 1 {
        batch.expect_version(key("left"), version - 1);
    }
    batch.line(line(tenant(0), &format!("w{version}")));
    batch
}

fn value(version: u64) -> Vec<u8> {
    let length = if version.is_multiple_of(5) { 9_000 } else { 300 };
    vec![u8::try_from(version % 251).unwrap(); length]
}

/// Runs on threads that wake each other without a call that could fail.
fn run(work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).build().unwrap().block_on(work);
}

/// What was said with this word before it, up to the full stop.
pub(crate) fn said<'s>(output: &'s str, word: &str) -> BTreeSet<&'s str> {
    output.split(word).skip(1).filter_map(|text| Some(text.split_once('.')?.0)).collect()
}

/// Opens the store where nothing fails any more and looks for what was acknowledged.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(
    engine: &str,
    folder: &Path,
    acknowledged: &BTreeSet<&str>,
) -> Result<(), String> {
    let url = url(engine, folder);
    let opened = match strongroom_storage::open(&url) {
        Err(OpenError::Missing(_)) if !acknowledged.contains("created") => {
            strongroom_storage::create(&url)
        }
        opened => opened,
    };
    let store = opened.map_err(|error| error.to_string())?;
    let names: BTreeSet<String> = acknowledged
        .iter()
        .filter(|name| **name != "created")
        .map(|name| (*name).to_owned())
        .collect();
    let (sender, outcome) = std::sync::mpsc::channel();
    run(async move { sender.send(look_through(&*store, &names).await).unwrap() });
    outcome.recv().unwrap_or_else(|_| Err("it could not be looked through".to_owned()))
}

async fn look_through(store: &dyn Store, acknowledged: &BTreeSet<String>) -> Result<(), String> {
    let lines = all_lines(store).await;
    let lines: BTreeSet<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    if let Some(lost) = acknowledged.iter().find(|name| !lines.contains(name.as_str())) {
        return Err(format!("{lost} was acknowledged and is lost"));
    }
    let told = |error: StoreError| error.to_string();
    let pair = store.get_many(&[key("left"), key("right")]).await.map_err(told)?;
    if pair[0] != pair[1] {
        return Err("half of a batch is there".to_owned());
    }
    let version = pair[0].as_ref().map_or(0, |row| row.version);
    for n in 1..=version + 1 {
        let row = store.get_many(&[key(&format!("row {n}"))]).await.map_err(told)?.remove(0);
        let expected = (n <= version && n + KEPT > version).then(|| value(n));
        if row.map(|row| row.value.to_vec()) != expected {
            return Err(format!("of {version} commits, row {n} is not as it was written"));
        }
        if lines.contains(format!("w{n}").as_str()) != (n <= version) {
            return Err(format!("of {version} commits, the line of {n} differs"));
        }
    }
    store.commit(batch(version + 1)).await.map(drop).map_err(told)
}
