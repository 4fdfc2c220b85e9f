//! A disk that gets full under a whole server, and has room again.
//!
//! It needs a file system of its own in a user namespace, which not every machine allows, so that it is asked for.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::program::{Installation, Running};
use strongroom_tests::{Caller, Reply};
use tempfile::TempDir;

/// Asks for file systems that are really full.
const SMALL_DISK: &str = "STRONGROOM_SMALL_DISK";
/// Tells the child process on which engine it is to run.
const ENGINE: &str = "STRONGROOM_TEST_SUBJECT";
/// The engines whose disk is filled.
const ENGINES: [&str; 6] =
    ["redb", "redb+journal", "fjall", "sled", "fjall+journal", "sled+journal"];
/// Mounts a file system, with more room than an engine keeps free, and goes on in it.
const MOUNTED: &str = r#"mount -t tmpfs -o size=320m none "$0" && exec "$@""#;
const RECORDS: &str = "/collections/people/records";
/// Creations that a full disk has to refuse.
const REFUSALS: usize = 30;
/// No disk here takes as many records.
const CREATIONS_MAX: usize = 200_000;
/// Length of a record's note, so that a disk is soon full.
const NOTE_BYTES: usize = 3_000;
/// Room that is left to the server in the first part: a little more than the largest reserve.
const LEFT_BYTES: u64 = 80 * 1024 * 1024;
/// How often something is tried when there is room again, and the pause in between.
const TRIES: usize = 600;
const PAUSE: Duration = Duration::from_millis(50);

/// The child. Without an engine it is no child and does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_serves_while_its_disk_is_filled() {
    let Some(engine) = std::env::var_os(ENGINE) else { return };
    serve(engine.to_str().unwrap()).await;
}

#[test]
fn a_server_whose_disk_is_full_refuses_changes_and_loses_nothing_and_goes_on_when_there_is_room() {
    if std::env::var_os(SMALL_DISK).is_none() {
        return;
    }
    for engine in ENGINES {
        let folder = TempDir::new().unwrap();
        let ended = Command::new("unshare")
            .args(["-rm", "sh", "-c", MOUNTED])
            .arg(folder.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "full::a_child_serves_while_its_disk_is_filled", "--nocapture"])
            .env(ENGINE, engine)
            .env("TMPDIR", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        let complained = String::from_utf8_lossy(&ended.stderr);
        let what = said.lines().find_map(|line| line.split_once("survived: "));
        let (_, what) = what.unwrap_or_else(|| panic!("{engine}: {said}\n{complained}"));
        println!("{engine}: {what}");
    }
}

/// What is known of one server: which records it has acknowledged.
struct Known {
    owner: Caller,
    /// Ids and notes.
    records: Vec<(String, String)>,
    refused: usize,
}

async fn serve(engine: &str) {
    let installation = Installation::make_on(engine);
    let server = installation.start();
    let people = installation.settle(&server).await;
    let ballast = installation.path("ballast");
    let mut known = Known { owner: people.owner(&server), records: Vec::new(), refused: 0 };
    for _ in 0..20 {
        assert!(known.create().await, "there is room");
    }

    // The server fills its disk: it leaves room for the lines of reads.
    fill(&ballast, Some(LEFT_BYTES));
    known.create_until_refused().await;
    let by_itself = known.records.len();
    for place in 0..20 {
        assert!(known.read(place).await, "commits have left no room for the lines of reads");
    }

    // Somebody else fills it, to the last byte: nothing can be put on record any more.
    fill(&ballast, None);
    known.refused = 0;
    known.create_until_refused().await;
    let mut served = 0;
    for place in 0..20 {
        served += usize::from(known.read(place).await);
    }

    // There is room again.
    fs::remove_file(&ballast).unwrap();
    let mut tries = 0;
    while !known.create().await {
        tries += 1;
        assert!(tries < TRIES, "there is room, and still nothing is taken");
        thread::sleep(PAUSE);
    }
    known.look_at_everything(&installation, &server).await;
    server.stop();

    let server = installation.start();
    known.owner = people.owner(&server);
    known.look_at_everything(&installation, &server).await;
    server.stop();
    let verified = installation.run_at_rest("verify", &[]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    println!(
        "survived: {} records, {by_itself} of them until its disk was full; {served} of 20 reads were served when \
         there was no byte left; {tries} tries until there was room",
        known.records.len()
    );
}

impl Known {
    /// Makes a record; false if the server refuses for want of room.
    async fn create(&mut self) -> bool {
        let note = format!("{:x<NOTE_BYTES$}", self.records.len());
        let body = json!({"fields": {"name": "Ada", "note": note}});
        let reply = self.owner.post_once(RECORDS, body).await;
        if reply.status == 201 {
            let id = reply.json()["id"].as_str().unwrap().to_owned();
            self.records.push((id, note));
            return true;
        }
        refused(&reply);
        self.refused += 1;
        false
    }

    async fn create_until_refused(&mut self) {
        while self.refused < REFUSALS {
            self.create().await;
            assert!(self.records.len() < CREATIONS_MAX, "the disk does not get full");
        }
    }

    /// Reads a record; false if the server refuses because it cannot put that on record.
    async fn read(&self, place: usize) -> bool {
        let (id, note) = &self.records[place];
        let reply = self.owner.get(&format!("{RECORDS}/{id}?reveal=note")).await;
        if reply.status == 200 {
            assert_eq!(reply.json()["fields"]["note"], **note);
            return true;
        }
        refused(&reply);
        false
    }

    /// Everything acknowledged is there, and nothing else.
    async fn look_at_everything(&self, installation: &Installation, server: &Running) {
        let listed: Vec<Value> = self.owner.all(RECORDS, 1_000).await;
        let mut there: Vec<&str> =
            listed.iter().map(|record| record["id"].as_str().unwrap()).collect();
        let mut expected: Vec<&str> = self.records.iter().map(|(id, _)| id.as_str()).collect();
        there.sort_unstable();
        expected.sort_unstable();
        assert_eq!(there, expected);
        for place in [0, self.records.len() / 2, self.records.len() - 1] {
            assert!(self.read(place).await);
        }
        let alive = Path::new("/proc").join(server.id().to_string()).exists();
        assert!(alive, "{}", String::from_utf8_lossy(&installation.said()));
    }
}

/// The answer of a server that has no room: a problem that says when to come again.
#[track_caller]
fn refused(reply: &Reply) {
    reply.refused(503, "unavailable");
    assert!(reply.header("retry-after").is_some());
}

/// Fills the disk, up to its last byte or so that this much is left.
fn fill(ballast: &Path, left: Option<u64>) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(ballast).unwrap();
    for length in [1024 * 1024, 4_096, 1] {
        let bytes = vec![1; length];
        while left.is_none_or(|left| room(ballast) > left) && file.write_all(&bytes).is_ok() {}
    }
}

/// Bytes that are free on the disk of this file.
fn room(path: &Path) -> u64 {
    let said = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(path).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let numbers: Vec<u64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
    numbers[0] * numbers[1]
}
