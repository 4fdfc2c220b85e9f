//! Processes that are killed while they write: what they acknowledged is there, and no chain has a
//! gap.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "the child tells its parent what was acknowledged")]

#[path = "../../../tests/src/cluster.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with others, who use all of it")]
mod cluster;
#[path = "conformance/fixture.rs"]
#[expect(dead_code, reason = "shared with the conformance suite, which uses all of it")]
mod fixture;

use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fixture::{all_lines, key, line, put, run, tenant};
use strongroom_storage::{Batch, Expect, Store, StoreUrl};

/// Names the store to the child process, as a URL.
const STORE: &str = "STRONGROOM_TEST_STORE";
const KILLS: u64 = 30;
const WRITERS: u64 = 6;
/// All children together write more than this, also where others keep the machine busy.
const WRITES_MIN: usize = 50;

/// The child: writes pairs of rows with lines, and reads' lines, until it is killed, and says on
/// standard output what was acknowledged. Without its store it is no child and does nothing.
#[test]
fn a_child_writes_until_it_is_killed() {
    let Some(url) = std::env::var_os(STORE) else { return };
    let store = open(url.to_str().unwrap());
    run(async move {
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let store = Arc::clone(&store);
            tasks.spawn(async move { write_for_ever(&*store, writer).await });
        }
        tasks.join_all().await;
    });
}

async fn write_for_ever(store: &dyn Store, writer: u64) {
    let left = format!("left {writer}");
    let mut version =
        store.get_many(&[key(&left)]).await.unwrap()[0].as_ref().map_or(0, |row| row.version);
    loop {
        version += 1;
        let mut batch = put(&left, version, &version.to_string());
        batch.put(key(&format!("right {writer}")), version, version.to_string());
        batch.put(key(&format!("row {writer} {version}")), 1, vec![b'x'; 500]);
        if version > 1 {
            batch.expect_version(key(&left), version - 1);
        }
        batch
            .line(line(tenant(u8::try_from(writer % 2).unwrap()), &format!("w{writer}-{version}")));
        let committed = store.commit(batch).await.unwrap();
        assert_eq!(committed.places().len(), 1);
        println!("ack w{writer}-{version}.");
        let facts = vec![Expect::Version(key(&left), version)];
        let text = format!("r{writer}-{version}");
        store.append(vec![line(tenant(1), &text)], facts).await.unwrap();
        println!("ack {text}.");
    }
}

fn open(url: &str) -> Arc<dyn Store> {
    strongroom_storage::open(&StoreUrl::parse(url).unwrap()).unwrap()
}

#[test]
fn redb_loses_no_acknowledged_write_to_a_kill() {
    no_acknowledged_write_is_lost_to_a_kill("redb");
}

#[test]
fn fjall_loses_no_acknowledged_write_to_a_kill() {
    no_acknowledged_write_is_lost_to_a_kill("fjall");
}

#[test]
fn sled_loses_no_acknowledged_write_to_a_kill() {
    no_acknowledged_write_is_lost_to_a_kill("sled");
}

#[test]
fn a_journal_before_redb_loses_no_acknowledged_write_to_a_kill() {
    no_acknowledged_write_is_lost_to_a_kill("redb+journal");
}

#[test]
fn a_journal_before_fjall_loses_no_acknowledged_write_to_a_kill() {
    no_acknowledged_write_is_lost_to_a_kill("fjall+journal");
}

#[test]
fn a_journal_before_sled_loses_no_acknowledged_write_to_a_kill() {
    no_acknowledged_write_is_lost_to_a_kill("sled+journal");
}

fn no_acknowledged_write_is_lost_to_a_kill(engine: &str) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{engine}:{}", folder.path().join("store").display());
    drop(strongroom_storage::create(&StoreUrl::parse(&url).unwrap()).unwrap());
    let mut acknowledged = BTreeSet::new();
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_writes_until_it_is_killed", "--nocapture"])
            .env(STORE, &url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            output.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(kill);
        thread::sleep(Duration::from_micros(5_000 + (random >> 33) % 150_000));
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        for text in reader.join().unwrap().split("ack ").skip(1) {
            if let Some((name, _)) = text.split_once('.') {
                acknowledged.insert(name.to_owned());
            }
        }
        run(check(&url, &acknowledged));
    }
    assert!(acknowledged.len() > WRITES_MIN, "only {} writes", acknowledged.len());
}

async fn check(url: &str, acknowledged: &BTreeSet<String>) {
    let store = open(url);
    let lines: BTreeSet<String> =
        all_lines(&*store).await.into_iter().map(|line| line.text).collect();
    for name in acknowledged {
        assert!(lines.contains(name), "the line of {name} is lost");
    }
    for writer in 0..WRITERS {
        let pair = [key(&format!("left {writer}")), key(&format!("right {writer}"))];
        let rows = store.get_many(&pair).await.unwrap();
        assert_eq!(rows[0], rows[1], "half of a batch");
        let version = rows[0].as_ref().map_or(0, |row| row.version);
        let keys: Vec<_> =
            (1..=version + 1).map(|version| key(&format!("row {writer} {version}"))).collect();
        let rows = store.get_many(&keys).await.unwrap();
        let there = rows.iter().filter(|row| row.is_some()).count();
        assert_eq!(u64::try_from(there).unwrap(), version, "a row of a batch is lost or too many");
        assert!(!acknowledged.contains(&format!("w{writer}-{}", version + 1)));
        let recorded = (1..=version + 1).filter(|n| lines.contains(&format!("w{writer}-{n}")));
        assert_eq!(u64::try_from(recorded.count()).unwrap(), version, "rows and lines differ");
    }
    store.commit(Batch::new()).await.unwrap();
}
