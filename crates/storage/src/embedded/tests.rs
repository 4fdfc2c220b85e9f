//! Attacks on the folder and the disk of a store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use strongroom_model::TenantId;

use super::*;
use crate::LinePlace;

/// Every engine of a folder.
const KINDS: [&Kind; 6] =
    [&redb::KIND, &sled::KIND, &fjall::KIND, &front::REDB, &front::SLED, &front::FJALL];

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
    for kind in KINDS {
        let (parent, path) = folder();
        drop(EmbeddedStore::create(kind, &path).unwrap());
        drop(EmbeddedStore::open(kind, &path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(
            fs::read_to_string(path.join("FORMAT")).unwrap(),
            format!("strongroom store 1 {}\n", kind.name)
        );
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_store_is_made_in_folders_that_do_not_exist_and_in_an_empty_one() {
    for kind in KINDS {
        let (parent, path) = folder();
        drop(EmbeddedStore::create(kind, &path.join("deep").join("er")).unwrap());
        let empty = parent.path().join("empty");
        fs::create_dir(&empty).unwrap();
        assert!(refusal(EmbeddedStore::open(kind, &empty)).contains("run `strongroom init`"));
        drop(EmbeddedStore::create(kind, &empty).unwrap());
        assert!(EmbeddedStore::open(kind, &empty).is_ok());
    }
}

#[test]
fn what_a_crash_left_of_a_creation_is_no_store_and_is_made_anew() {
    for kind in KINDS {
        let (parent, path) = folder();
        let side = parent.path().join("store.init");
        fs::create_dir(&side).unwrap();
        fs::write(side.join("FORMAT"), "strong").unwrap();
        fs::write(side.join(kind.database()), "half").unwrap();
        assert!(refusal(EmbeddedStore::open(kind, &path)).contains("no store"));
        drop(EmbeddedStore::create(kind, &path).unwrap());
        assert!(!side.exists());
    }
}

#[test]
fn a_folder_of_somebody_else_is_neither_opened_nor_overwritten_nor_removed() {
    for kind in KINDS {
        let (parent, path) = folder();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("letters.txt"), "dear").unwrap();
        assert!(refusal(EmbeddedStore::create(kind, &path)).contains("is not empty"));
        assert!(refusal(EmbeddedStore::open(kind, &path)).contains("is not a Strongroom store"));
        let file = parent.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(refusal(EmbeddedStore::create(kind, &file)).contains("is not empty"));
        assert!(refusal(EmbeddedStore::open(kind, &file)).contains("is not a Strongroom store"));
        let side = parent.path().join("other.init");
        fs::create_dir(&side).unwrap();
        fs::write(side.join("letters.txt"), "dear").unwrap();
        assert!(
            refusal(EmbeddedStore::create(kind, &parent.path().join("other")))
                .contains("is not empty")
        );
        assert!(side.join("letters.txt").exists());
    }
}

#[test]
fn every_reason_not_to_open_has_its_own_line_that_names_the_path() {
    for kind in KINDS {
        let (_parent, path) = folder();
        let mut lines = vec![refusal(EmbeddedStore::open(kind, &path))];
        drop(EmbeddedStore::create(kind, &path).unwrap());
        for format in
            ["strongroom store 2 redb\n", "strongroom store 1 rocks\n", "something else\n"]
        {
            fs::write(path.join("FORMAT"), format).unwrap();
            lines.push(refusal(EmbeddedStore::open(kind, &path)));
        }
        fs::write(path.join("FORMAT"), [0xFF; 40]).unwrap();
        assert_eq!(refusal(EmbeddedStore::open(kind, &path)), lines[3]);
        fs::write(path.join("FORMAT"), format!("strongroom store 1 {}\n", kind.name)).unwrap();
        let open = EmbeddedStore::open(kind, &path).unwrap();
        lines.push(refusal(EmbeddedStore::open(kind, &path)));
        assert!(refusal(EmbeddedStore::create(kind, &path)).contains("is not empty"));
        drop(open);
        fs::rename(path.join(kind.database()), path.join("away")).unwrap();
        lines.push(refusal(EmbeddedStore::open(kind, &path)));
        fs::write(path.join(kind.database()), "").unwrap();
        lines.push(refusal(EmbeddedStore::open(kind, &path)));
        fs::remove_file(path.join(kind.database())).unwrap();
        fs::rename(path.join("away"), path.join(kind.database())).unwrap();
        fs::rename(path.join("journal"), path.join("away")).unwrap();
        lines.push(refusal(EmbeddedStore::open(kind, &path)));
        fs::rename(path.join("away"), path.join("journal")).unwrap();
        assert!(EmbeddedStore::open(kind, &path).is_ok());
        for (n, line) in lines.iter().enumerate() {
            assert!(line.contains(&path.display().to_string()) && !line.contains('\n'), "{line}");
            assert!(!lines[..n].contains(line), "said twice: {line}");
        }
    }
}

#[test]
fn a_database_of_any_bytes_is_opened_or_refused_but_never_panics() {
    let (_parent, path) = folder();
    let kind = &redb::KIND;
    let store = EmbeddedStore::create(kind, &path).unwrap();
    run(async {
        for n in 0..20 {
            store.commit(batch(&format!("row{n}"))).await.unwrap();
        }
    });
    drop(store);
    let whole = fs::read(path.join("store.redb")).unwrap();
    let attempt = |bytes: &[u8]| {
        fs::write(path.join("store.redb"), bytes).unwrap();
        let store = match EmbeddedStore::open(kind, &path) {
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
fn a_store_is_refused_under_the_name_of_another_engine_and_told_its_own() {
    for kind in KINDS {
        let (_parent, path) = folder();
        drop(EmbeddedStore::create(kind, &path).unwrap());
        for other in KINDS.into_iter().filter(|other| other.name != kind.name) {
            let line = refusal(EmbeddedStore::open(other, &path));
            let to_do = format!("use `{}:` in its URL", kind.name);
            assert!(line.contains(&to_do), "{} as {}: {line}", kind.name, other.name);
        }
        assert!(EmbeddedStore::open(kind, &path).is_ok(), "{}", kind.name);
    }
}

/// What waits for the database behind a journal is written when the store is closed; there is nowhere to write it.
#[test]
fn a_store_whose_folder_is_gone_is_closed_without_ending_the_process() {
    for kind in KINDS {
        let (_parent, path) = folder();
        let store = EmbeddedStore::create(kind, &path).unwrap();
        run(async { store.commit(batch("row")).await.map(drop).unwrap() });
        fs::remove_dir_all(&path).unwrap();
        drop(store);
        assert!(!path.exists(), "{}", kind.name);
    }
}

#[test]
fn a_full_disk_changes_nothing_and_uses_no_place_twice() {
    for kind in KINDS {
        let (_parent, path) = folder();
        let store = EmbeddedStore::create(kind, &path).unwrap();
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
        assert!(EmbeddedStore::open(kind, &path).is_ok());
    }
}

#[test]
fn a_batch_without_changes_needs_no_sync() {
    // Behind a journal the database syncs when it likes.
    for kind in [&redb::KIND, &sled::KIND, &fjall::KIND] {
        let (_parent, path) = folder();
        let store = EmbeddedStore::create(kind, &path).unwrap();
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
fn a_failed_sync_of_redb_ends_the_process_before_anything_is_acknowledged() {
    a_failed_sync_ends_the_process(&redb::KIND);
}

#[test]
fn a_failed_sync_of_sled_ends_the_process_before_anything_is_acknowledged() {
    a_failed_sync_ends_the_process(&sled::KIND);
}

fn a_failed_sync_ends_the_process(kind: &'static Kind) {
    if std::env::var_os(ALONE).is_none() {
        let ended = in_a_process_of_its_own(&format!(
            "a_failed_sync_of_{}_ends_the_process_before_anything_is_acknowledged",
            kind.name
        ));
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(said.contains("committing"), "{said}");
        assert!(!said.contains("acknowledged\n") && !ended.status.success(), "{said}");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(6));
        return;
    }
    let (_parent, path) = folder();
    let store = EmbeddedStore::create(kind, &path).unwrap();
    run(async {
        store.disk.sync_fails.store(true, Memory::SeqCst);
        println!("committing");
        let outcome = store.commit(batch("row")).await;
        println!("{outcome:?} acknowledged");
    });
}

/// While the disk takes its time, readers see what was before; then all of it at once.
#[test]
fn nobody_sees_a_commit_before_it_is_durable() {
    // fjall syncs its journal by itself, where nothing holds it up.
    for kind in KINDS.into_iter().filter(|kind| kind.name != fjall::KIND.name) {
        let (_parent, path) = folder();
        let store = Arc::new(EmbeddedStore::create(kind, &path).unwrap());
        run(async {
            let mut first = batch("b");
            first.put(RowKey::new(b"d"), 1, vec![4; 9_000]);
            store.commit(first).await.unwrap();
            let before = seen(&store).await;
            let mut second = Batch::new();
            second.put(RowKey::new(b"a"), 1, vec![5; 9_000]).delete(RowKey::new(b"b"));
            second.put(RowKey::new(b"c"), 1, "new").put(RowKey::new(b"d"), 2, "short");
            second.line(Box::new(PlainLine));
            let (held, hold) = std::sync::mpsc::channel();
            let (release, released) = std::sync::mpsc::channel::<()>();
            let disk = Arc::clone(&store.disk);
            let holder = thread::spawn(move || {
                let _waits = disk.sync_waits.write();
                held.send(()).unwrap();
                let _ = released.recv();
            });
            hold.recv().unwrap();
            let syncs = store.disk.syncs();
            let commit = tokio::spawn({
                let store = Arc::clone(&store);
                async move { store.commit(second).await.map(drop) }
            });
            for _ in 0..2_000 {
                if store.disk.syncs() > syncs {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            assert!(store.disk.syncs() > syncs, "no sync began");
            assert!(!commit.is_finished());
            assert_eq!(seen(&store).await, before, "{}", kind.name);
            drop(release);
            holder.join().unwrap();
            commit.await.unwrap().unwrap();
            let after = seen(&store).await;
            let names: Vec<_> =
                after.0.iter().map(|(key, row)| (key.clone(), row.version)).collect();
            let key = |name: &[u8]| RowKey::new(name);
            assert_eq!(names, [(key(b"a"), 1), (key(b"c"), 1), (key(b"d"), 2)]);
            assert_eq!(after.1.len(), 2);
        });
    }
}

/// All that a reader sees, in both directions and one by one.
async fn seen(store: &EmbeddedStore) -> (Vec<(RowKey, Row)>, Vec<Bytes>) {
    let up = store.scan(&KeyRange::prefix(&[]), 100).await.unwrap();
    let mut down = store.scan(&KeyRange::prefix(&[]).descending(), 100).await.unwrap();
    down.reverse();
    assert_eq!(up, down);
    for name in [b"a", b"b", b"c", b"d"] {
        let row = store.engine.get_many(&[RowKey::new(name)]).unwrap().remove(0);
        assert_eq!(
            row.as_ref(),
            up.iter().find(|(key, _)| key.as_bytes() == name).map(|(_, row)| row)
        );
        let version = store.engine.snapshot().unwrap().version(&RowKey::new(name)).unwrap();
        assert_eq!(version, row.map(|row| row.version));
    }
    let lines = store.read_lines(&LineRange::all(LinePosition::START, 100)).await.unwrap();
    (up, lines.into_iter().map(|(_, line)| line).collect())
}

/// Engines that drop the end of a damaged log say nothing of it; the mark beside them does.
#[test]
fn no_changed_or_missing_byte_of_a_log_takes_away_what_was_acknowledged() {
    for kind in [&sled::KIND, &fjall::KIND] {
        let (parent, path) = folder();
        let store = EmbeddedStore::create(kind, &path).unwrap();
        let keys: Vec<_> = (0..20).map(|n| RowKey::new(format!("row{n}"))).collect();
        let batch_of = |n: u8| {
            let mut batch = Batch::new();
            batch.put(keys[usize::from(n)].clone(), 1, vec![n; 300]).line(Box::new(PlainLine));
            batch
        };
        run(async {
            for n in 0..20 {
                store.commit(batch_of(n)).await.unwrap();
            }
        });
        drop(store);
        let (log, whole) = largest_file(&path.join(kind.database()));
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let mut refused = 0;
        let mut attempt = |bytes: &[u8], what: &str| {
            let copy = parent.path().join("copy");
            let _ = fs::remove_dir_all(&copy);
            copy_folder(&path, &copy);
            fs::write(copy.join(log.strip_prefix(&path).unwrap()), bytes).unwrap();
            let store = match EmbeddedStore::open(kind, &copy) {
                Ok(store) => store,
                Err(error) => {
                    assert!(error.to_string().contains(kind.database()), "{what}: {error}");
                    refused += 1;
                    return;
                }
            };
            match run(store.get_many(&keys)) {
                Ok(rows) => {
                    for (n, row) in (0..).zip(rows) {
                        let row = row.unwrap_or_else(|| panic!("{what}: row {n} is silently gone"));
                        assert_eq!(row.value, vec![n; 300], "{what}");
                    }
                }
                Err(error) => {
                    assert!(matches!(error, StoreError::Damaged(_)), "{what}: {error}");
                    refused += 1;
                }
            }
        };
        for place in (0..used).step_by(used / 60) {
            let mut changed = whole.clone();
            changed[place] ^= 1 << (place % 8);
            attempt(&changed, &format!("{}: bit in {place} of {used}", kind.name));
        }
        for length in [0, 1, used / 4, used / 2, used - 1] {
            attempt(&whole[..length], &format!("{}: cut to {length}", kind.name));
        }
        assert!(refused > 20, "{}: only {refused} refused", kind.name);
    }
}

fn largest_file(folder: &Path) -> (PathBuf, Vec<u8>) {
    let mut found = Vec::new();
    collect_files(folder, &mut found);
    let bytes = |path: &PathBuf| fs::read(path).unwrap();
    let used = |bytes: &Vec<u8>| bytes.iter().filter(|byte| **byte != 0).count();
    let largest = found.into_iter().max_by_key(|path| used(&bytes(path))).unwrap();
    let bytes = bytes(&largest);
    (largest, bytes)
}

fn collect_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect_files(&path, found) } else { found.push(path) }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            fs::copy(&path, &copy).map(drop).unwrap();
        }
    }
}

#[test]
fn a_snapshot_of_sled_that_a_crash_left_half_written_does_not_keep_the_store_from_opening() {
    let (_parent, path) = folder();
    let store = EmbeddedStore::create(&sled::KIND, &path).unwrap();
    run(store.commit(batch("row"))).unwrap();
    drop(store);
    let half = path.join("store.sled").join("snap.FFFFFFFFFFFFFFF0.generating");
    fs::write(&half, "half").unwrap();
    let store = EmbeddedStore::open(&sled::KIND, &path).unwrap();
    assert!(run(store.get_many(&[RowKey::new(b"row")])).unwrap()[0].is_some());
    assert!(!half.exists());
}

/// A megabyte of memory stands for a machine that the database has outgrown.
#[test]
fn a_database_of_sled_that_is_too_large_for_the_memory_neither_opens_nor_grows() {
    let (_parent, path) = folder();
    drop(EmbeddedStore::create(&sled::KIND, &path).unwrap());
    let open = |memory| sled::Sled::open(&path, &Arc::default(), sled::memory::Memory::of(memory));
    let bytes = fs::metadata(path.join("store.sled").join("db")).unwrap().len();
    let refused = open(2 * bytes - 1).err().unwrap();
    assert!(matches!(refused, OpenError::TooLarge { .. }), "{refused}");
    assert!(refused.to_string().contains("store.sled") && refused.to_string().contains("memory"));
    let changes = |version| {
        let row = Row { version, value: vec![7; 100].into() };
        let rows = [(RowKey::new(b"row"), Some(row))].into();
        engine::Changes { rows, ..engine::Changes::default() }
    };
    let small = open(2 * bytes).unwrap();
    let full = small.write(&changes(1), &mut || ());
    assert!(matches!(full, Err(engine::Failure::Full)));
    assert!(small.get_many(&[RowKey::new(b"row")]).unwrap()[0].is_none());
    drop(small);
    assert!(open(u64::MAX).unwrap().write(&changes(1), &mut || ()).is_ok());
}

#[test]
fn long_values_make_no_files_of_their_own_and_shrink_and_go() {
    let (_parent, path) = folder();
    let store = EmbeddedStore::create(&sled::KIND, &path).unwrap();
    let key = RowKey::new(b"long");
    run(async {
        for (version, length) in [(1, 2_000_000), (2, 4_089), (3, 1_000_000), (4, 0), (5, 70_000)] {
            let mut batch = Batch::new();
            batch.put(key.clone(), version, vec![7; length]);
            store.commit(batch).await.unwrap();
            let row = store.get_many(std::slice::from_ref(&key)).await.unwrap().remove(0).unwrap();
            assert_eq!((row.version, row.value.len()), (version, length));
        }
        let mut batch = Batch::new();
        batch.delete(key.clone());
        store.commit(batch).await.unwrap();
    });
    assert_eq!(fs::read_dir(path.join("store.sled").join("blobs")).unwrap().count(), 0);
    assert!(run(store.scan(&KeyRange::prefix(&[]), 10)).unwrap().is_empty());
}

/// A folder that this process may read and not write: said with the path, and nothing panics.
#[test]
fn a_store_that_may_only_be_read_is_refused_with_the_path_and_what_to_do() {
    const READER: &str = "STRONGROOM_TEST_READER";
    if let Some(folder) = std::env::var_os(READER) {
        for kind in KINDS {
            let path = Path::new(&folder).join(kind.name);
            println!("opening: {}", refusal(EmbeddedStore::open(kind, &path)));
            let beside = Path::new(&folder).join("new");
            println!("making: {}", refusal(EmbeddedStore::create(kind, &beside)));
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        drop(EmbeddedStore::create(kind, &folder.path().join(kind.name)).unwrap());
    }
    let mut found = Vec::new();
    collect_files(folder.path(), &mut found);
    let readable = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for file in &found {
        readable(file, 0o444);
    }
    for kind in KINDS {
        readable(&folder.path().join(kind.name), 0o555);
    }
    readable(folder.path(), 0o555);
    // A superuser may write everywhere, so that another user looks then.
    let program = folder.path().join("tests");
    let mut reader = if is_superuser() {
        readable(folder.path(), 0o755);
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        readable(&program, 0o555);
        readable(folder.path(), 0o555);
        let mut reader = Command::new(&program);
        std::os::unix::process::CommandExt::uid(&mut reader, 65_534);
        reader
    } else {
        Command::new(std::env::current_exe().unwrap())
    };
    let test =
        "embedded::tests::a_store_that_may_only_be_read_is_refused_with_the_path_and_what_to_do";
    let said = reader
        .args(["--exact", test, "--nocapture"])
        .env(READER, folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let place = folder.path().display().to_string();
    let refused = |line: &&str| line.contains(&place) && line.contains("check its permissions");
    assert_eq!(said.lines().filter(refused).count(), 2 * KINDS.len(), "{said}");
    readable(folder.path(), 0o755);
    for kind in KINDS {
        readable(&folder.path().join(kind.name), 0o755);
    }
}

fn is_superuser() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}
