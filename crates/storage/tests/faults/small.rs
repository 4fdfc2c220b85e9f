//! A file system that gets full under a store, and has room again.

use std::fs;
use std::io::Write;
use std::path::Path;

use strongroom_storage::{Batch, Store, StoreError};

use crate::fixture::{key, line, tenant};
use crate::work::url;

/// Mounts a file system with more room than an engine keeps free, and goes on in it.
pub(crate) const MOUNTED: &str = r#"mount -t tmpfs -o size=256m none "$0" && exec "$@""#;
/// No store has as much room in its own files.
const WRITES_MAX: u64 = 20_000;
/// Writes that a full disk has to refuse, one after the other.
const REFUSALS: u32 = 20;
/// How often a write is tried when there is room again.
const TRIES: u32 = 4;

/// Fills the disk, reads, makes room, writes, opens again, and compares.
pub(crate) fn fill(engine: &str, folder: &Path) {
    let url = url(engine, folder);
    let store = strongroom_storage::create(&url).unwrap();
    let ballast = folder.join("ballast");
    let (sender, outcome) = std::sync::mpsc::channel();
    crate::fixture::run(async move {
        let mut written = 0;
        while written < 10 {
            write(&*store, written).await.unwrap();
            written += 1;
        }
        fill_up(&ballast);
        let mut refused = 0;
        while refused < REFUSALS {
            match write(&*store, written).await {
                Ok(()) => written += 1,
                Err(StoreError::Full | StoreError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            assert!(written < WRITES_MAX, "the disk does not get full");
            if refused > 0 {
                look(&*store, written).await;
            }
        }
        fs::remove_file(&ballast).unwrap();
        let mut tries = 1;
        while let Err(error) = write(&*store, written).await {
            assert!(tries < TRIES, "there is room, and still: {error}");
            tries += 1;
        }
        look(&*store, written + 1).await;
        sender.send(written + 1).unwrap();
    });
    let written = outcome.recv().unwrap();
    let store = strongroom_storage::open(&url).unwrap();
    crate::fixture::run(async move { look(&*store, written).await });
    println!("survived: {written} writes, {REFUSALS} refused");
}

async fn write(store: &dyn Store, n: u64) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(key(&format!("row {n}")), 1, vec![7; 4_000]);
    batch.line(line(tenant(1), &format!("w{n}")));
    store.commit(batch).await.map(drop)
}

/// All rows that were written are there, and none that was refused.
async fn look(store: &dyn Store, written: u64) {
    let keys: Vec<_> = (0..=written).map(|n| key(&format!("row {n}"))).collect();
    let rows = store.get_many(&keys).await.unwrap();
    let there = rows.iter().take_while(|row| row.is_some()).count();
    assert_eq!(u64::try_from(there).unwrap(), written);
    assert!(rows.last().unwrap().is_none());
}

fn fill_up(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    for length in [1024 * 1024, 4_096, 1] {
        let bytes = vec![1; length];
        while file.write_all(&bytes).is_ok() {}
    }
}
