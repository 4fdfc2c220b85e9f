//! sled as its own documents say to use it, for comparison.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::panic::catch_unwind;
use std::path::Path;

use crate::Survived;

const WRITES: u64 = 120;
/// After as many writes it is closed and opened again.
const WRITES_OPEN: u64 = 40;

/// Writes pairs, each flushed before it is acknowledged. The empty database is made durable first, so that
/// what is lost is lost by `flush`.
pub(crate) fn write(folder: &Path) {
    let mut db = sled::open(folder.join("plain")).unwrap();
    db.flush().unwrap();
    for entry in fs::read_dir(folder.join("plain")).unwrap() {
        File::open(entry.unwrap().path()).unwrap().sync_all().unwrap();
    }
    for made in [folder.join("plain"), folder.to_owned()] {
        File::open(made).unwrap().sync_all().unwrap();
    }
    for number in 0..WRITES {
        let mut batch = sled::Batch::default();
        for side in ["left", "right"] {
            batch.insert(format!("{side} {number}").as_bytes(), vec![b'x'; 300]);
        }
        db.apply_batch(batch).unwrap();
        db.flush().unwrap();
        println!("ack {number}.");
        if number % WRITES_OPEN == WRITES_OPEN - 1 {
            drop(db);
            db = opened_again(folder);
        }
    }
}

/// The threads of a database that was just closed hold its lock for a moment.
fn opened_again(folder: &Path) -> sled::Db {
    for _ in 0..1_000 {
        if let Ok(db) = sled::open(folder.join("plain")) {
            return db;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("plain sled does not open again");
}

/// Counts what is missing of what was acknowledged.
pub(crate) fn check(folder: &Path, acknowledged: &BTreeSet<&str>) -> Survived {
    let path = folder.join("plain");
    let missing = catch_unwind(|| {
        let db = sled::open(&path)?;
        let mut missing = 0;
        for number in acknowledged {
            let left = db.get(format!("left {number}"))?;
            let right = db.get(format!("right {number}"))?;
            missing += usize::from(left.is_none() || right.is_none());
        }
        Ok(missing)
    });
    let acknowledged = acknowledged.len();
    match missing {
        Ok(Ok(lost)) => Survived { acknowledged, lost, wrong: None },
        Ok(Err::<_, sled::Error>(error)) => {
            Survived { acknowledged, lost: acknowledged, wrong: Some(error.to_string()) }
        }
        Err(_) => {
            Survived { acknowledged, lost: acknowledged, wrong: Some("it panicked".to_owned()) }
        }
    }
}
