//! A file that is sent to a job of the server: whoever sends it is killed in the middle, the server too,
//! and when it is gone on with every row is there once.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::site::{Site, end};

const ROWS: u64 = 24_000;
/// Every so many rows one has no external id.
const BAD_EVERY: u64 = 1_000;

const MAP: &str = r#"
collection = "clients"
external_id = "number"
null = [""]
[fields]
name = "name"
note = "note"
"#;

/// Rows of half a kibibyte, so that the file has many parts.
fn write_rows(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "number,name,note").unwrap();
    for number in 0..ROWS {
        let id = if number % BAD_EVERY == 7 { String::new() } else { format!("U-{number}") };
        writeln!(file, "{id},Nora,\"Says {number}\n{}\"", "and more, ".repeat(50)).unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_killed_on_both_sides_and_resumed_has_every_row_once() {
    let mut site = Site::make("clients", &[("name", "name"), ("note", "text")]).await;
    let folder = site.folder.path().to_owned();
    fs::write(folder.join("map.toml"), MAP).unwrap();
    write_rows(&folder.join("people.csv"));
    let sent = tokio::task::spawn_blocking(move || {
        let import = ["import", "people.csv", "--map", "map.toml", "--job"];
        let resume = ["import", "people.csv", "--map", "map.toml", "--job", "--resume"];
        let mut child = site.begin(&import);
        let job = site.come_to(&mut child, "/import/parts", 1);
        end(child);
        let mut child = site.begin(&resume);
        assert_eq!(site.come_to(&mut child, "/progress/total", ROWS / 2), job);
        site.kill_server();
        assert!(!child.wait().unwrap().success(), "the server was killed: {}", site.said());
        site.start_server();
        // Another file is not gone on with.
        fs::write(folder.join("other.csv"), b"number,name,note\nX-1,Xenia,other\n").unwrap();
        let mut other = resume.to_vec();
        other.extend(["--checkpoint", "people.csv.job"]);
        other[1] = "other.csv";
        assert_eq!(site.begin(&other).wait().unwrap().code(), Some(1), "{}", site.said());

        let mut to_the_end = resume.to_vec();
        to_the_end.push("--wait");
        let code = site.begin(&to_the_end).wait().unwrap().code();
        assert_eq!(code, Some(7), "some are rejected: {}", site.said());
        let bad = ROWS / BAD_EVERY;
        let all = format!("{ROWS} of {ROWS} rows: {} created, 0 there already", ROWS - bad);
        assert!(site.said().contains(&all), "{}", site.said());
        assert!(!folder.join("people.csv.job").exists());
        (site, job)
    });
    let (site, job) = sent.await.unwrap();
    let owner = site.owner();
    let jobs = owner.all("/jobs", 100).await;
    assert_eq!((jobs.len(), &jobs[0]["id"]), (1, &json!(job)));
    let records = owner.all("/collections/clients/records?fields=name", 1000).await;
    let mut ids: Vec<&str> =
        records.iter().map(|record| record["external_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), records.len() as u64), (records.len(), ROWS - ROWS / BAD_EVERY));
    // Each reject has the line of the file: a row takes two, after the line of names.
    let rejects = owner.get(&format!("/jobs/{job}/rejects?limit=1000")).await.text();
    let mut lines: Vec<u64> = rejects
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].as_u64().unwrap())
        .collect();
    lines.sort_unstable();
    let wanted: Vec<u64> = (0..ROWS / BAD_EVERY).map(|bad| (bad * BAD_EVERY + 7) * 2 + 2).collect();
    assert_eq!(lines, wanted);
}
