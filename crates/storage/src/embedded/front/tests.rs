//! Attacks on a journal in front of an engine: changed and missing bytes, and readers and writers while
//! the database is given its groups. The bounds are so small here that this happens all the time.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::embedded::EmbeddedStore;
use crate::{Batch, Expect, LinePosition, LineRange, PAGE_MAX, Store};

const KINDS: [&Kind; 3] = [&REDB, &FJALL, &SLED];
/// Groups of the journals that are attacked; enough for three segments.
const GROUPS: u64 = 60;

fn group(number: u64) -> Changes {
    let row = Row { version: number, value: Bytes::from(vec![7; 200]) };
    let gone = RowKey::new(format!("gone{number}"));
    Changes {
        rows: BTreeMap::from([(RowKey::new(format!("row{number}")), Some(row)), (gone, None)]),
        lines: vec![Bytes::from(format!("line {number}"))],
        ..Changes::default()
    }
}

/// A journal of [`GROUPS`] groups, closed.
fn journal() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let store = parent.path().join("store");
    fs::create_dir(&store).unwrap();
    Log::create(&store).unwrap();
    let mut log = opened(&store, Progress::default()).unwrap().0;
    for number in 1..=GROUPS {
        assert!(log.append(&group(number)).is_ok());
    }
    (parent, store)
}

fn opened(store: &Path, applied: Progress) -> Result<(Log, Vec<u64>), OpenError> {
    let mut groups = Vec::new();
    let log = Log::open(store, &Arc::default(), applied, &mut |changes, durable| {
        let expected = group(durable.group);
        assert_eq!((&changes.rows, &changes.lines), (&expected.rows, &expected.lines));
        assert_eq!(durable.lines, durable.group);
        groups.push(durable.group);
    })?;
    Ok((log, groups))
}

fn segments(store: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.join(log::FOLDER)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to.join(log::FOLDER)).unwrap();
    fs::copy(from.join(log::MARK), to.join(log::MARK)).unwrap();
    for path in segments(from) {
        fs::copy(&path, to.join(log::FOLDER).join(path.file_name().unwrap())).unwrap();
    }
}

/// Opens a journal that was attacked: all groups are there, or the refusal names the journal.
fn is_refused(store: &Path, what: &str) -> bool {
    match opened(store, Progress::default()) {
        Ok((_, groups)) => {
            assert_eq!(
                groups,
                (1..=GROUPS).collect::<Vec<_>>(),
                "{what}: groups are silently gone"
            );
            false
        }
        Err(error) => {
            assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error}");
            assert!(error.to_string().contains(log::FOLDER), "{what}: {error}");
            true
        }
    }
}

#[test]
fn a_journal_gives_the_groups_that_the_database_does_not_have_and_no_others() {
    let (_parent, store) = journal();
    assert!(segments(&store).len() > 2);
    for applied in [0, 1, 30, GROUPS] {
        let (log, groups) = opened(&store, Progress { group: applied, lines: applied }).unwrap();
        assert_eq!(groups, (applied + 1..=GROUPS).collect::<Vec<_>>());
        assert_eq!(log.progress(), Progress { group: GROUPS, lines: GROUPS });
    }
}

#[test]
fn no_changed_bit_of_a_journal_is_without_effect_or_takes_a_group_away() {
    let (parent, store) = journal();
    let attacked = parent.path().join("attacked");
    for path in segments(&store) {
        let whole = fs::read(&path).unwrap();
        for place in (0..whole.len()).step_by(13) {
            copy(&store, &attacked);
            let mut changed = whole.clone();
            changed[place] ^= 1 << (place % 8);
            let victim = attacked.join(log::FOLDER).join(path.file_name().unwrap());
            fs::write(&victim, changed).unwrap();
            assert!(is_refused(&attacked, "bit"), "byte {place} of {}", victim.display());
        }
    }
}

#[test]
fn a_journal_that_was_cut_or_misses_a_segment_or_has_two_swapped_is_refused() {
    let (parent, store) = journal();
    let attacked = parent.path().join("attacked");
    let paths = segments(&store);
    for path in &paths {
        let whole = fs::read(path).unwrap();
        let victim = attacked.join(log::FOLDER).join(path.file_name().unwrap());
        for length in [0, 1, 64, whole.len() / 2, whole.len() - 1] {
            copy(&store, &attacked);
            fs::write(&victim, &whole[..length]).unwrap();
            assert!(is_refused(&attacked, "cut"), "{} cut to {length}", victim.display());
        }
        copy(&store, &attacked);
        fs::remove_file(&victim).unwrap();
        assert!(is_refused(&attacked, "removed"), "{}", victim.display());
    }
    copy(&store, &attacked);
    let [first, second] = [&paths[0], &paths[1]].map(|path| fs::read(path).unwrap());
    let place = |path: &PathBuf| attacked.join(log::FOLDER).join(path.file_name().unwrap());
    fs::write(place(&paths[0]), second).unwrap();
    fs::write(place(&paths[1]), first).unwrap();
    assert!(is_refused(&attacked, "swapped"));
}

#[test]
fn two_groups_of_the_same_length_that_were_swapped_are_refused() {
    let (_parent, store) = journal();
    let path = segments(&store).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    // The first groups have names of the same length.
    let header = usize::try_from(segment::HEADER_BYTES).unwrap();
    let place = frame::Place { segment: 1, offset: segment::HEADER_BYTES };
    let length = frame::parse(&bytes[header..], place).unwrap().length();
    let first = bytes[header..header + length].to_vec();
    bytes.copy_within(header + length..header + 2 * length, header);
    bytes[header + length..header + 2 * length].copy_from_slice(&first);
    fs::write(&path, bytes).unwrap();
    assert!(is_refused(&store, "groups swapped"));
}

#[test]
fn a_journal_of_another_store_and_one_behind_its_database_are_refused() {
    let (_parent, store) = journal();
    for applied in [Progress { group: GROUPS + 1, lines: 0 }, Progress { group: 9, lines: 8 }] {
        assert!(opened(&store, applied).is_err(), "{applied:?}");
    }
    fs::remove_file(segments(&store).remove(0)).unwrap();
    assert!(opened(&store, Progress { group: 3, lines: 3 }).is_err());
    assert!(opened(&store, Progress { group: 50, lines: 50 }).is_ok());
}

#[test]
fn what_a_crash_left_of_the_last_group_is_cut_off_and_groups_follow() {
    let (_parent, store) = journal();
    let last = segments(&store).pop().unwrap();
    let whole = fs::read(&last).unwrap();
    for torn in [vec![0; 3_000], [&b"SRgr"[..], &[1; 500]].concat(), vec![9; 79]] {
        fs::write(&last, [&whole[..], &torn].concat()).unwrap();
        let (mut log, groups) = opened(&store, Progress::default()).unwrap();
        assert_eq!(groups.len(), usize::try_from(GROUPS).unwrap());
        assert!(log.append(&group(GROUPS + 1)).is_ok());
        drop(log);
        assert_eq!(opened(&store, Progress::default()).unwrap().1.last(), Some(&(GROUPS + 1)));
        fs::write(&last, &whole).unwrap();
        fs::remove_file(store.join(log::MARK)).unwrap();
        super::super::mark::Mark::create(&store.join(log::MARK)).unwrap();
    }
}

#[test]
fn segments_go_one_by_one_when_the_database_has_their_groups() {
    let (_parent, store) = journal();
    let mut log = opened(&store, Progress::default()).unwrap().0;
    let count = segments(&store).len();
    assert!(log.outlived(1).is_empty());
    for segment in log.outlived(40) {
        log::remove(&segment).unwrap();
    }
    assert!(segments(&store).len() < count);
    assert!(log.begin_segment().is_ok());
    for segment in log.outlived(GROUPS) {
        log::remove(&segment).unwrap();
    }
    assert_eq!(segments(&store).len(), 1);
    drop(log);
    let applied = Progress { group: GROUPS, lines: GROUPS };
    assert_eq!(opened(&store, applied).unwrap().0.progress(), applied);
}

#[test]
fn a_segment_that_cannot_be_removed_keeps_those_after_it_until_it_can() {
    let (_parent, store) = journal();
    let mut log = opened(&store, Progress::default()).unwrap().0;
    let mut outlived = Outlived { segments: log.outlived(GROUPS).into(), ..Outlived::default() };
    let (count, oldest) = (segments(&store).len(), outlived.segments[0].clone());
    // A folder in its place cannot be removed as a file is.
    let aside = store.join("aside");
    fs::rename(&oldest, &aside).unwrap();
    fs::create_dir(&oldest).unwrap();
    outlived.give_back();
    assert_eq!(segments(&store).len(), count, "there is a gap");
    fs::remove_dir(&oldest).unwrap();
    fs::rename(&aside, &oldest).unwrap();
    outlived.give_back();
    assert_eq!((segments(&store).len(), outlived.segments.len()), (1, 0));
}

fn store(kind: &'static Kind) -> (tempfile::TempDir, PathBuf, Arc<EmbeddedStore>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = EmbeddedStore::create(kind, &path).unwrap();
    (folder, path, Arc::new(store))
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(3).enable_all().build().unwrap().block_on(test)
}

fn pair() -> [RowKey; 2] {
    [RowKey::new("left"), RowKey::new("right")]
}

/// Rows of the same version in the overlay and in the database, for as long as a writer makes new ones:
/// everybody sees both of one version, and each version no earlier than the one before.
#[test]
fn nobody_sees_half_of_a_group_while_the_database_is_given_it() {
    for kind in KINDS {
        let (_folder, _path, store) = store(kind);
        let ended = Arc::new(AtomicBool::new(false));
        run(async {
            let mut readers = tokio::task::JoinSet::new();
            for reader in 0..3 {
                let (store, ended) = (Arc::clone(&store), Arc::clone(&ended));
                readers.spawn(async move {
                    let (mut last, mut seen) = (0, 0);
                    while !ended.load(Ordering::SeqCst) || seen == 0 {
                        let rows: Vec<Row> = if reader == 0 {
                            let rows = store.engine.get_many(&pair()).unwrap();
                            rows.into_iter().flatten().collect()
                        } else {
                            let all = KeyRange::prefix(b"");
                            let all = if reader == 1 { all } else { all.descending() };
                            let page = store.scan(&all, PAGE_MAX).await.unwrap();
                            let pairs = page.into_iter().filter(|(key, _)| pair().contains(key));
                            pairs.map(|(_, row)| row).collect()
                        };
                        if let [left, right] = rows.as_slice() {
                            assert_eq!(left.version, right.version, "half of a group");
                            assert!(left.version >= last, "an older moment");
                            last = left.version;
                            seen += 1;
                        } else {
                            assert!(rows.is_empty() && last == 0, "half of a group");
                        }
                        tokio::task::yield_now().await;
                    }
                });
            }
            for version in 1..=400u64 {
                let mut batch = Batch::new();
                for key in pair() {
                    batch.put(key.clone(), version, vec![1; 100]);
                    if version > 1 {
                        batch.expect_version(key, version - 1);
                    }
                }
                batch.put(RowKey::new(format!("row{version}")), 1, vec![2; 300]);
                if version > 20 {
                    batch.delete(RowKey::new(format!("row{}", version - 20)));
                }
                store.commit(batch).await.unwrap();
                if version % 40 == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            ended.store(true, Ordering::SeqCst);
            readers.join_all().await;
            let fact = |version| vec![Expect::Version(pair()[0].clone(), version)];
            assert!(store.append(vec![line()], fact(400)).await.is_ok());
            assert!(store.append(vec![line()], fact(399)).await.is_err());
            let rows = store.scan(&KeyRange::prefix(b"row"), PAGE_MAX).await.unwrap();
            assert_eq!(rows.len(), 20, "{}", kind.name);
        });
    }
}

/// redb syncs its file under the lock that beginning a reading takes when it makes the file longer: whoever has
/// begun before is not kept waiting.
#[test]
fn a_reader_does_not_wait_while_redb_makes_its_file_longer() {
    let folder = tempfile::tempdir().unwrap();
    (redb::KIND.create)(folder.path()).unwrap();
    let disk = Arc::<Disk>::default();
    let engine: Arc<dyn Engine> = (redb::KIND.open)(folder.path(), &disk).unwrap().into();
    let key = RowKey::new("row1");
    assert!(engine.write(&group(1), &mut || ()).is_ok());
    let frozen = engine.frozen().unwrap().unwrap();
    let mut long = group(2);
    let row = Row { version: 1, value: Bytes::from(vec![5; 4_000]) };
    long.rows.extend((0..2_000).map(|n| (RowKey::new(format!("long{n}")), Some(row.clone()))));
    thread::scope(|scope| {
        let held = disk.sync_waits.write().unwrap();
        let syncs = disk.syncs();
        let writing = scope.spawn(|| engine.write(&long, &mut || ()).is_ok());
        wait_until(|| disk.syncs() > syncs);
        let (sender, began) = std::sync::mpsc::channel();
        let (engine, one) = (&engine, std::slice::from_ref(&key));
        scope.spawn(move || sender.send(engine.next_node()).unwrap());
        // The control: whoever begins now waits for the disk.
        assert!(began.recv_timeout(Duration::from_millis(200)).is_err(), "nothing is held");
        assert!(frozen.get_many(one).unwrap()[0].is_some());
        assert!(engine.get_many(one).unwrap()[0].is_some());
        assert_eq!(frozen.scan(&KeyRange::prefix(b""), PAGE_MAX).unwrap().len(), 1);
        assert!(frozen.version(&RowKey::new("row2")).unwrap().is_none());
        drop(held);
        assert!(writing.join().unwrap());
        assert!(began.recv().unwrap().is_ok());
    });
    assert!(frozen.version(&RowKey::new("row2")).unwrap().is_none(), "a later moment");
}

fn wait_until(is_so: impl Fn() -> bool) {
    let mut tries = 0;
    while !is_so() {
        tries += 1;
        assert!(tries < 5_000, "it takes too long");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A moment outlives whatever the database is given meanwhile: pages of a long list, and facts.
#[test]
fn a_view_shows_its_moment_while_groups_come_and_go_to_the_database() {
    for kind in KINDS {
        let (_folder, _path, store) = store(kind);
        run(async {
            let commit = async |version: u64| {
                let mut batch = Batch::new();
                for key in pair() {
                    batch.put(key, version, vec![1; 700]);
                }
                store.commit(batch).await.unwrap();
            };
            commit(1).await;
            let view = store.engine.snapshot().unwrap();
            for version in 2..=60 {
                commit(version).await;
            }
            // An engine that cannot keep its rows shows those of when they are first looked at.
            let seen = if kind.name == SLED.name { 60 } else { 1 };
            let rows = view.get_many(&pair()).unwrap();
            assert!(rows.iter().flatten().all(|row| row.version == seen), "{}", kind.name);
            drop(view);
            let newest = store.engine.get_many(&pair()).unwrap();
            assert!(newest.iter().flatten().all(|row| row.version == 60), "{}", kind.name);
        });
    }
}

#[test]
fn a_group_waits_the_longer_the_more_waits_and_never_for_long() {
    let much = WAITING_BYTES_FREE + (WAITING_BYTES_MAX - WAITING_BYTES_FREE) / 2;
    assert_eq!(pause_for(usize::MAX, WAITING_BYTES_FREE), Duration::ZERO);
    let pauses = [much, WAITING_BYTES_MAX].map(|waiting| pause_for(64 * 1024, waiting));
    assert!(Duration::ZERO < pauses[0] && pauses[0] < pauses[1], "{pauses:?}");
    assert!(pauses[1] <= Duration::from_millis(70), "{pauses:?}");
    assert_eq!(pause_for(usize::MAX, usize::MAX), PAUSE_MAX);
}

struct PlainLine;

fn line() -> Box<dyn crate::Line> {
    Box::new(PlainLine)
}

impl crate::Line for PlainLine {
    fn tenant(&self) -> strongroom_model::TenantId {
        strongroom_model::TenantId::from_bytes([1; 16])
    }

    fn seal(&self, place: &crate::LinePlace) -> Bytes {
        let mut line = [1; 16].to_vec();
        line.extend(place.node.to_be_bytes());
        line.extend(place.n.to_be_bytes());
        line.extend([9; 16]);
        line.into()
    }
}

#[test]
fn lines_are_read_once_each_while_they_go_from_the_journal_to_the_database() {
    for kind in KINDS {
        let (_folder, path, store) = store(kind);
        run(async {
            let (mut position, mut numbers) = (LinePosition::START, Vec::new());
            for version in 1..=300u64 {
                let mut batch = Batch::new();
                batch.put(RowKey::new("row"), version, vec![1; 50]).line(line());
                store.commit(batch).await.unwrap();
                if version % 7 == 0 {
                    let page = store.read_lines(&LineRange::all(position, 5)).await.unwrap();
                    numbers.extend(page.iter().map(|(_, line)| n_of(line)));
                    position = page.last().map_or(position, |(last, _)| *last);
                }
            }
            let rest = store.read_lines(&LineRange::all(position, PAGE_MAX)).await.unwrap();
            numbers.extend(rest.iter().map(|(_, line)| n_of(line)));
            assert_eq!(numbers, (0..300).collect::<Vec<_>>(), "{}", kind.name);
        });
        drop(store);
        let store = EmbeddedStore::open(kind, &path).unwrap();
        let all = run(store.read_lines(&LineRange::all(LinePosition::START, PAGE_MAX))).unwrap();
        let numbers: Vec<u64> = all.iter().map(|(_, line)| n_of(line)).collect();
        assert_eq!(numbers, (0..300).collect::<Vec<_>>(), "{}", kind.name);
    }
}

fn n_of(line: &[u8]) -> u64 {
    u64::from_be_bytes(line[20..28].try_into().unwrap())
}

#[test]
fn a_removed_value_leaves_the_journal_and_a_closed_store_has_none() {
    const NEEDLE: &[u8] = b"a value that nobody may find";
    let is_there = |path: &Path| {
        segments(path).iter().any(|segment| {
            // A segment may go while it is looked for.
            let bytes = fs::read(segment).unwrap_or_default();
            bytes.windows(NEEDLE.len()).any(|window| window == NEEDLE)
        })
    };
    for kind in KINDS {
        let (_folder, path, store) = store(kind);
        run(async {
            let mut batch = Batch::new();
            batch.put(RowKey::new("row"), 1, NEEDLE.to_vec());
            store.commit(batch).await.unwrap();
            let mut batch = Batch::new();
            batch.delete(RowKey::new("row"));
            store.commit(batch).await.unwrap();
            let mut tries = 0;
            while is_there(&path) {
                tries += 1;
                assert!(tries < 2_000, "{}: the value stays in the journal", kind.name);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        drop(store);
        let left: u64 =
            segments(&path).iter().map(|segment| fs::metadata(segment).unwrap().len()).sum();
        assert_eq!(left, u64::from(segment::HEADER_BYTES), "{}", kind.name);
    }
}

/// The database has no room and then has some again: what was durable in the journal stays, reads go on,
/// writes are refused when too much waits, and all of it arrives.
#[test]
fn a_database_without_room_gets_everything_when_it_has_some_again() {
    for kind in KINDS {
        let (_folder, path, store) = store(kind);
        run(async {
            let mut there = Vec::new();
            for round in 0..4u64 {
                let mut refused = 0;
                for n in 0..60u64 {
                    store.disk.full.store(n % 20 > 9, Ordering::SeqCst);
                    let key = RowKey::new(format!("{round} {n}"));
                    let mut batch = Batch::new();
                    batch.put(key.clone(), 1, vec![3; 500]);
                    match store.commit(batch).await {
                        Ok(_) => there.push(key),
                        Err(StoreError::Full | StoreError::Unavailable(_)) => refused += 1,
                        Err(error) => panic!("{}: {error}", kind.name),
                    }
                }
                assert!(refused > 0, "{}: no write met the full disk", kind.name);
                store.disk.full.store(false, Ordering::SeqCst);
                let mut tries = 0;
                loop {
                    let read = store.get_many(&there).await;
                    if read.is_ok_and(|rows| rows.iter().all(Option::is_some)) {
                        break;
                    }
                    tries += 1;
                    assert!(tries < 2_000, "{}: rows are gone", kind.name);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            assert!(there.len() >= 10, "{}: {} rows", kind.name, there.len());
        });
        drop(store);
        assert!(EmbeddedStore::open(kind, &path).is_ok(), "{}", kind.name);
    }
}
