//! A server that is killed in the middle of a job, three times, and goes on: every row is there once.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::Caller;
use strongroom_tests::program::Installation;

const ROWS: u64 = 12_000;
const PARTS: u32 = 4;
const KILLS: u64 = 3;
/// How often it is looked how far the job has come, and how long that may take: after a kill another
/// worker waits for the end of a lease.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS_MAX: u32 = 24_000;

/// Waits until a job has dealt with so many rows or has ended, and gives it.
async fn come_to(owner: &Caller, path: &str, rows: u64) -> Value {
    for _ in 0..LOOKS_MAX {
        let job = owner.get(path).await.ok();
        let ended = !["queued", "running"].contains(&job["state"].as_str().unwrap());
        if ended || job["progress"]["done"].as_u64().unwrap() >= rows {
            return job;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("the job does not come so far");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_server_is_killed_three_times_has_every_row_once() {
    let installation = Installation::make();
    let mut server = installation.start();
    let people = installation.settle(&server).await;
    let owner = people.owner(&server);
    let mapping = json!({
        "collection": "people", "external_id": "number", "null": [""],
        "fields": {"name": "name", "note": "note"},
    });
    let body = json!({"mapping": mapping});
    let job = owner.post_once("/imports", body).await;
    assert_eq!(job.status, 202, "{}", job.text());
    let path = format!("/jobs/{}", job.json()["id"].as_str().unwrap());
    let mut bad = 0;
    for part in 0..PARTS {
        let mut rows = String::from("number,name,note\n");
        for number in (0..ROWS).filter(|number| number % u64::from(PARTS) == u64::from(part)) {
            // Some rows have no external id, and some a value that is too long.
            let (id, note) = match number % 400 {
                7 => (String::new(), String::new()),
                9 => (format!("J-{number}"), "x".repeat(17 * 1024)),
                _ => (format!("J-{number}"), format!("number {number}")),
            };
            bad += u64::from(number % 400 == 7 || number % 400 == 9);
            writeln!(rows, "{id},Nora,{note}").unwrap();
        }
        let call = owner.call("PUT", &format!("{path}/parts/{}", part + 1));
        let sent = call.body_of("text/csv", rows.into_bytes()).send().await;
        assert_eq!(sent.status, 200, "{}", sent.text());
    }
    let started = owner.post(&format!("{path}/start"), json!({"parts": PARTS})).await;
    assert_eq!(started.status, 200, "{}", started.text());

    let mut killed_before_the_end = 0;
    for kill in 1..=KILLS {
        let owner = people.owner(&server);
        let job = come_to(&owner, &path, kill * ROWS / (KILLS + 1)).await;
        killed_before_the_end += u64::from(job["state"] == "running");
        server.kill();
        server = installation.start();
    }
    assert!(killed_before_the_end > 0, "the job was always faster than the kill");
    let owner = people.owner(&server);
    let done = come_to(&owner, &path, u64::MAX).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["progress"], json!({"done": ROWS, "total": ROWS}));
    assert_eq!(done["outcomes"]["created"], ROWS - bad, "{done}");
    assert_eq!(done["outcomes"]["exists"], 0, "{done}");
    assert_eq!(done["outcomes"]["rejected"], bad);
    let records = owner.all("/collections/people/records?fields=note", 1000).await;
    let mut ids: Vec<&str> =
        records.iter().map(|record| record["external_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len() as u64, ROWS - bad);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len() as u64, ROWS - bad);
    let rejects = owner.get(&format!("{path}/rejects?limit=1000")).await;
    assert_eq!(rejects.text().lines().count() as u64, bad);
}
