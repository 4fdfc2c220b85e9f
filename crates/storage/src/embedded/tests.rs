//! Attacks on the folder and the disk of a store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use strongroom_model::TenantId;

use super::*;
use crate::LinePlace;

struct PlainLine;

impl Line for PlainLine {
    fn tenant(&self) -> TenantId {
        TenantId::from_bytes([1; 16])
    }

    fn seal(&self, place: &LinePlace) -> Bytes {
        let mut line = [1; 16].to_vec();
        line.extend(place.node.to_be_bytes());
        line.extend(place.n.to_be_bytes());
        line.extend([9; 16]);
        line.into()
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    (folder, path)
}

fn batch(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(RowKey::new(name.as_bytes()), 1, vec![7; 100]).line(Box::new(PlainLine));
    batch
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test)
}

fn refusal(outcome: Result<EmbeddedStore, OpenError>) -> String {
    match outcome {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_new_store_is_private_and_opens_and_leaves_nothing_beside_it() {
    let (parent, path) = folder();
    drop(EmbeddedStore::create(&redb::KIND, &path).unwrap());
    drop(EmbeddedStore::open(&redb::KIND, &path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_to_string(path.join("FORMAT")).unwrap(), "strongroom store 1 redb\n");
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn a_store_is_made_in_folders_that_do_not_exist_and_in_an_empty_one() {
    let (parent, path) = folder();
    drop(EmbeddedStore::create(&redb::KIND, &path.join("deep").join("er")).unwrap());
    let empty = parent.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(refusal(EmbeddedStore::open(&redb::KIND, &empty)).contains("run `strongroom init`"));
    drop(EmbeddedStore::create(&redb::KIND, &empty).unwrap());
    assert!(EmbeddedStore::open(&redb::KIND, &empty).is_ok());
}

#[test]
fn what_a_crash_left_of_a_creation_is_no_store_and_is_made_anew() {
    let (parent, path) = folder();
    let side = parent.path().join("store.init");
    fs::create_dir(&side).unwrap();
    fs::write(side.join("FORMAT"), "strong").unwrap();
    fs::write(side.join("store.redb"), "half").unwrap();
    assert!(refusal(EmbeddedStore::open(&redb::KIND, &path)).contains("no store"));
    drop(EmbeddedStore::create(&redb::KIND, &path).unwrap());
    assert!(!side.exists());
}

#[test]
fn a_folder_of_somebody_else_is_neither_opened_nor_overwritten_nor_removed() {
    let (parent, path) = folder();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("letters.txt"), "dear").unwrap();
    assert!(refusal(EmbeddedStore::create(&redb::KIND, &path)).contains("is not empty"));
    assert!(refusal(EmbeddedStore::open(&redb::KIND, &path)).contains("is not a Strongroom store"));
    let file = parent.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(refusal(EmbeddedStore::create(&redb::KIND, &file)).contains("is not empty"));
    assert!(refusal(EmbeddedStore::open(&redb::KIND, &file)).contains("is not a Strongroom store"));
    let side = parent.path().join("other.init");
    fs::create_dir(&side).unwrap();
    fs::write(side.join("letters.txt"), "dear").unwrap();
    assert!(
        refusal(EmbeddedStore::create(&redb::KIND, &parent.path().join("other")))
            .contains("is not empty")
    );
    assert!(side.join("letters.txt").exists());
}

#[test]
fn every_reason_not_to_open_has_its_own_line_that_names_the_path() {
    let (_parent, path) = folder();
    let mut lines = vec![refusal(EmbeddedStore::open(&redb::KIND, &path))];
    drop(EmbeddedStore::create(&redb::KIND, &path).unwrap());
    for format in ["strongroom store 2 redb\n", "strongroom store 1 sled\n", "something else\n"] {
        fs::write(path.join("FORMAT"), format).unwrap();
        lines.push(refusal(EmbeddedStore::open(&redb::KIND, &path)));
    }
    fs::write(path.join("FORMAT"), [0xFF; 40]).unwrap();
    assert_eq!(refusal(EmbeddedStore::open(&redb::KIND, &path)), lines[3]);
    fs::write(path.join("FORMAT"), "strongroom store 1 redb\n").unwrap();
    let open = EmbeddedStore::open(&redb::KIND, &path).unwrap();
    lines.push(refusal(EmbeddedStore::open(&redb::KIND, &path)));
    assert!(refusal(EmbeddedStore::create(&redb::KIND, &path)).contains("is not empty"));
    drop(open);
    fs::rename(path.join("store.redb"), path.join("away")).unwrap();
    lines.push(refusal(EmbeddedStore::open(&redb::KIND, &path)));
    fs::write(path.join("store.redb"), "").unwrap();
    lines.push(refusal(EmbeddedStore::open(&redb::KIND, &path)));
    fs::rename(path.join("away"), path.join("store.redb")).unwrap();
    fs::rename(path.join("journal"), path.join("away")).unwrap();
    lines.push(refusal(EmbeddedStore::open(&redb::KIND, &path)));
    fs::rename(path.join("away"), path.join("journal")).unwrap();
    assert!(EmbeddedStore::open(&redb::KIND, &path).is_ok());
    for (n, line) in lines.iter().enumerate() {
        assert!(line.contains(&path.display().to_string()) && !line.contains('\n'), "{line}");
        assert!(!lines[..n].contains(line), "said twice: {line}");
    }
}

#[test]
fn a_database_of_any_bytes_is_opened_or_refused_but_never_panics() {
    let (_parent, path) = folder();
    let store = EmbeddedStore::create(&redb::KIND, &path).unwrap();
    run(async {
        for n in 0..20 {
            store.commit(batch(&format!("row{n}"))).await.unwrap();
        }
    });
    drop(store);
    let whole = fs::read(path.join("store.redb")).unwrap();
    let attempt = |bytes: &[u8]| {
        fs::write(path.join("store.redb"), bytes).unwrap();
        let store = match EmbeddedStore::open(&redb::KIND, &path) {
            Ok(store) => store,
            Err(error) => return error.to_string(),
        };
        let rows = run(store.get_many(&[RowKey::new(b"row7")]));
        assert!(rows.is_ok() || matches!(rows, Err(StoreError::Damaged(_))));
        "opened".to_owned()
    };
    assert_eq!(attempt(&whole), "opened");
    for place in (0..320).chain((320..whole.len()).step_by(whole.len() / 60)) {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 8);
        attempt(&changed);
    }
    for length in [1, 9, 64, 320, 4_096, 5_000, whole.len() / 2, whole.len() - 1] {
        let line = attempt(&whole[..length]);
        assert!(line == "opened" || line.contains("store.redb"), "{length}: {line}");
    }
    assert_ne!(attempt(&vec![0xA5; 10_000]), "opened");
    assert_ne!(attempt(b"SQLite format 3\0"), "opened");
}

#[test]
fn a_full_disk_changes_nothing_and_uses_no_place_twice() {
    let (_parent, path) = folder();
    let store = EmbeddedStore::create(&redb::KIND, &path).unwrap();
    run(async {
        let before = store.commit(batch("before")).await.unwrap().places()[0];
        store.disk.full.store(true, Memory::SeqCst);
        for n in 0..3 {
            let full = store.commit(batch(&format!("full{n}"))).await.unwrap_err();
            assert!(matches!(full, StoreError::Full | StoreError::Unavailable(_)), "{full:?}");
        }
        store.disk.full.store(false, Memory::SeqCst);
        let after = loop {
            // The first attempt may find the database still closed and opens it again.
            match store.commit(batch("after")).await {
                Ok(committed) => break committed.places()[0],
                Err(error) => assert_eq!(error, StoreError::Full),
            }
        };
        assert_ne!(before.node, after.node);
        assert_eq!(after.n, 0);
        let names = ["before", "full0", "full1", "full2", "after"];
        let keys = names.map(|name| RowKey::new(name.as_bytes()));
        let rows = store.get_many(&keys).await.unwrap();
        let there: Vec<bool> = rows.iter().map(Option::is_some).collect();
        assert_eq!(there, [true, false, false, false, true]);
        let lines = store.read_lines(&LineRange::all(LinePosition::START, 100)).await.unwrap();
        assert_eq!(lines.len(), 2);
    });
    drop(store);
    assert!(EmbeddedStore::open(&redb::KIND, &path).is_ok());
}

#[test]
fn a_batch_without_changes_needs_no_sync() {
    let (_parent, path) = folder();
    let store = EmbeddedStore::create(&redb::KIND, &path).unwrap();
    run(async {
        let syncs = store.describe().syncs;
        for _ in 0..20 {
            let mut batch = Batch::new();
            batch.expect_absent(RowKey::new(b"none"));
            store.commit(batch).await.unwrap();
        }
        assert_eq!(store.describe().syncs, syncs);
        store.commit(batch("row")).await.unwrap();
        let after = store.describe().syncs;
        assert!(after > syncs);
        store.append(vec![Box::new(PlainLine)], vec![]).await.unwrap();
        assert_eq!(store.describe().syncs, after + 1);
    });
}

/// Runs one of the tests below in a process of its own, where it may end that process.
fn in_a_process_of_its_own(test: &str) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("embedded::tests::{test}"), "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap()
}

const ALONE: &str = "STRONGROOM_TEST_ALONE";

#[test]
fn a_failed_sync_ends_the_process_before_anything_is_acknowledged() {
    if std::env::var_os(ALONE).is_none() {
        let ended = in_a_process_of_its_own(
            "a_failed_sync_ends_the_process_before_anything_is_acknowledged",
        );
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(said.contains("committing"), "{said}");
        assert!(!said.contains("acknowledged\n") && !ended.status.success(), "{said}");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(6));
        return;
    }
    let (_parent, path) = folder();
    let store = EmbeddedStore::create(&redb::KIND, &path).unwrap();
    run(async {
        store.disk.sync_fails.store(true, Memory::SeqCst);
        println!("committing");
        let outcome = store.commit(batch("row")).await;
        println!("{outcome:?} acknowledged");
    });
}
