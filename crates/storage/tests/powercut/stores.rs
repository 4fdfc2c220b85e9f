//! A store: written to by several at once, closed and opened in between, and looked through after a
//! cut.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use strongroom_storage::{Batch, Expect, OpenError, Store, StoreUrl};
use tokio::task::JoinSet;

use crate::Survived;
use crate::fixture::{all_lines, key, line, put, run, tenant};

const WRITERS: u64 = 4;
/// Commits of one writer before the store is opened again, and as many after.
const COMMITS: u64 = 12;
/// A row is removed when as many newer ones are there.
const KEPT: u64 = 3;

fn url(engine: &str, folder: &Path) -> StoreUrl {
    StoreUrl::parse(&format!("{engine}:{}", folder.join("store").display())).unwrap()
}

/// Makes a store and writes to it.
pub(crate) fn write(engine: &str, folder: &Path) {
    let url = url(engine, folder);
    let store = strongroom_storage::create(&url).unwrap();
    println!("ack created.");
    write_from(store, 1);
    write_from(strongroom_storage::open(&url).unwrap(), COMMITS + 1);
}

fn write_from(store: Arc<dyn Store>, first: u64) {
    run(async move {
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                for version in first..first + COMMITS {
                    write_once(&*store, writer, version).await;
                }
            });
        }
        tasks.join_all().await;
    });
}

async fn write_once(store: &dyn Store, writer: u64, version: u64) {
    let left = format!("left {writer}");
    let mut batch = put(&left, version, &version.to_string());
    batch.put(key(&format!("right {writer}")), version, version.to_string());
    let length = if version.is_multiple_of(5) { 9_000 } else { 300 };
    batch.put(key(&format!("row {writer} {version}")), 1, vec![b'x'; length]);
    if version > KEPT {
        batch.delete(key(&format!("row {writer} {}", version - KEPT)));
    }
    if version > 1 {
        batch.expect_version(key(&left), version - 1);
    }
    batch.line(line(tenant(u8::try_from(writer % 2).unwrap()), &format!("w{writer}-{version}")));
    store.commit(batch).await.unwrap();
    println!("ack w{writer}-{version}.");
    let facts = vec![Expect::Version(key(&left), version)];
    let text = format!("r{writer}-{version}");
    store.append(vec![line(tenant(1), &text)], facts).await.unwrap();
    println!("ack {text}.");
}

/// Opens what a cut has left, counts what is lost, and writes once more.
pub(crate) fn check(engine: &str, folder: &Path, acknowledged: &BTreeSet<&str>) -> Survived {
    let url = url(engine, folder);
    let opened = match strongroom_storage::open(&url) {
        // No store yet: then making it works.
        Err(OpenError::Missing(_)) if !acknowledged.contains("created") => {
            strongroom_storage::create(&url)
        }
        opened => opened,
    };
    match opened {
        Ok(store) => look_through(store, acknowledged),
        Err(error) => Survived {
            acknowledged: acknowledged.len(),
            lost: acknowledged.len(),
            wrong: Some(error.to_string()),
        },
    }
}

fn look_through(store: Arc<dyn Store>, acknowledged: &BTreeSet<&str>) -> Survived {
    let outcome =
        Arc::new(Mutex::new(Survived { acknowledged: acknowledged.len(), ..Survived::default() }));
    let names: BTreeSet<String> = acknowledged
        .iter()
        .filter(|name| **name != "created")
        .map(|name| (*name).to_owned())
        .collect();
    let found = Arc::clone(&outcome);
    run(async move {
        let lines = all_lines(&*store).await;
        let lines: BTreeSet<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let lost = names.iter().filter(|name| !lines.contains(name.as_str())).count();
        found.lock().unwrap().lost = lost;
        for writer in 0..WRITERS {
            if let Err(what) = look_at(&*store, writer, &lines, &names).await {
                found.lock().unwrap().wrong = Some(format!("writer {writer}: {what}"));
            }
        }
        let mut last = Batch::new();
        last.put(key("after the cut"), 1, "x").line(line(tenant(1), "after the cut"));
        store.commit(last).await.unwrap();
    });
    Arc::into_inner(outcome).unwrap().into_inner().unwrap()
}

/// Rows and lines of one writer: all of its commits up to one, and nothing of a later one.
async fn look_at(
    store: &dyn Store,
    writer: u64,
    lines: &BTreeSet<&str>,
    acknowledged: &BTreeSet<String>,
) -> Result<(), String> {
    let pair = [key(&format!("left {writer}")), key(&format!("right {writer}"))];
    let rows = store.get_many(&pair).await.map_err(|error| error.to_string())?;
    if rows[0] != rows[1] {
        return Err("half of a batch".to_owned());
    }
    let version = rows[0].as_ref().map_or(0, |row| row.version);
    for n in 1..=2 * COMMITS {
        let row = key(&format!("row {writer} {n}"));
        let row = store.get_many(&[row]).await.map_err(|error| error.to_string())?.remove(0);
        let expected = n <= version && n + KEPT > version;
        if row.is_some() != expected {
            return Err(format!("of {version} commits, row {n} is there: {}", row.is_some()));
        }
        if lines.contains(format!("w{writer}-{n}").as_str()) != (n <= version) {
            return Err(format!("of {version} commits, the line of {n} differs"));
        }
        if n > version && acknowledged.contains(&format!("w{writer}-{n}")) {
            return Err(format!("commit {n} was acknowledged, {version} is there"));
        }
    }
    Ok(())
}
