//! An import whose program is killed in the middle, three times, and goes on: every row is there once.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::program::binary;
use strongroom_tests::{Caller, Clinic, Server};
use tempfile::TempDir;

const ROWS: u64 = 8_000;
const KILLS: u64 = 3;
/// How often it is looked how far the import has come, and how long it may take.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS_MAX: u32 = 60_000;

const MAP: &str = r#"
collection = "visits"
external_id = "number"
subject = "person-{person}"
collected_at = "day"
[fields]
patient = { column = "patient", reference = true }
fee = { column = "fee", as = "decimal" }
"#;

fn import(folder: &Path, caller: &Caller, resume: bool) -> Child {
    let mut command = Command::new(binary());
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(fs::File::create(folder.join("said")).unwrap());
    command.args(["import", "visits.csv", "--map", "map.toml", "--token-file", "token"]);
    command.args(["--server", caller.address()]);
    if resume {
        command.arg("--resume");
    }
    command.spawn().unwrap()
}

/// The rows that the checkpoint says have been dealt with.
fn dealt_with(folder: &Path) -> u64 {
    let checkpoint = fs::read(folder.join("visits.csv.checkpoint")).unwrap_or_default();
    let checkpoint: Value = serde_json::from_slice(&checkpoint).unwrap_or_default();
    checkpoint["rows"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_three_times_and_resumed_has_every_row_once() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let key = clinic.tenant.key(&server, &["owner"]).await;
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let mut rows = String::from("number,person,patient,fee,day\n");
    let mut bad = 0;
    for number in 0..ROWS {
        // Some rows refer to a patient who is not there, some have no fee that is a number.
        let patient = if number % 400 == 7 { "P-none" } else { "P-1" };
        let fee = if number % 500 == 3 { "free" } else { "1.50" };
        bad += u64::from(patient == "P-none" || fee == "free");
        writeln!(rows, "K-{number},{},{patient},{fee},2020-01-31", number % 50).unwrap();
    }
    fs::write(folder.join("visits.csv"), rows).unwrap();
    fs::write(folder.join("map.toml"), MAP).unwrap();
    fs::write(folder.join("token"), key.token()).unwrap();

    let killed = tokio::task::spawn_blocking({
        let (folder, key) = (folder.to_owned(), key.clone());
        move || {
            for kill in 0..KILLS {
                let mut child = import(&folder, &key, kill > 0);
                let far_enough = (kill + 1) * ROWS / (KILLS + 1);
                let mut looks = 0;
                while dealt_with(&folder) < far_enough {
                    thread::sleep(LOOK_EVERY);
                    looks += 1;
                    let said = fs::read_to_string(folder.join("said")).unwrap();
                    assert!(child.try_wait().unwrap().is_none(), "it ended too early: {said}");
                    assert!(looks < LOOKS_MAX, "it does not come so far: {said}");
                }
                child.kill().unwrap();
                child.wait().unwrap();
                assert!(dealt_with(&folder) < ROWS);
            }
            let status = import(&folder, &key, true).wait().unwrap();
            let said = fs::read_to_string(folder.join("said")).unwrap();
            assert_eq!(status.code(), Some(7), "{said}");
            said
        }
    });
    let said = killed.await.unwrap();
    let taken = ROWS - bad;
    assert!(said.contains(&format!("{ROWS} rows: ")), "{said}");
    assert!(said.contains(&format!("{bad} rejected")), "{said}");
    assert!(!folder.join("visits.csv.checkpoint").exists());

    // Each row once, and each reject once.
    let records = key.all("/collections/visits/records?fields=fee", 1000).await;
    let mut ids: Vec<&str> = records
        .iter()
        .filter_map(|record| record["external_id"].as_str())
        .filter(|id| id.starts_with("K-"))
        .collect();
    assert_eq!(ids.len() as u64, taken);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, taken);
    let rejects = fs::read_to_string(folder.join("visits.csv.rejects.ndjson")).unwrap();
    let mut lines: Vec<u64> = rejects
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines.len() as u64, bad);
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len() as u64, bad);
    // The people of the rows were made once each.
    let person = key.post("/subjects:lookup", json!({"external_id": "person-7"})).await.ok();
    let path = format!("/subjects/{}/records", person["id"].as_str().unwrap());
    assert!(key.all(&path, 1000).await.len() as u64 > ROWS / 50 - 50);
    // Another file is not gone on with.
    fs::write(folder.join("visits.csv.checkpoint"), "{}").unwrap();
    let refused = tokio::task::spawn_blocking({
        let (folder, key) = (folder.to_owned(), key.clone());
        move || import(&folder, &key, true).wait().unwrap()
    });
    assert_eq!(refused.await.unwrap().code(), Some(1));
}
