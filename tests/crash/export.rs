//! An export whose program is killed, whose server is killed, and both, and that goes on: the file is the
//! same as one that nobody disturbed, and there was one job all along.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use strongroom_tests::Caller;

use crate::site::{Site, end};

const PEOPLE: u64 = 4_000;
/// People in one request.
const AT_ONCE: u64 = 500;

async fn fill(owner: &Caller) {
    for first in (0..PEOPLE).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let items: Vec<Value> = (first..first + AT_ONCE)
            .map(|number| {
                // Some of what people write is a formula elsewhere.
                let note = format!("=1+{number}, \"quoted\"\nand more");
                let fields = json!({"name": format!("Nora {number}"), "note": note});
                json!({"external_id": format!("E-{number}"), "fields": fields})
            })
            .collect();
        let path = "/collections/clients/records:import";
        let done = owner.post_once(path, json!({"items": items})).await.ok();
        assert_eq!(done["results"][0]["status"], "created", "{}", done["results"][0]);
    }
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

/// Exports to a file of this name, undisturbed and under kills.
fn export_both(site: &mut Site, whole: &str, broken: &str) {
    let folder = site.folder.path().to_owned();
    site.run(&["export", "clients", "--to", whole, "--page", "100"]);
    let checkpoint = format!("{broken}.checkpoint");
    let begin = ["export", "clients", "--to", broken, "--page", "20"];
    let resume = ["export", "clients", "--to", broken, "--page", "20", "--resume"];

    let mut child = site.begin(&begin);
    site.wait_for(&mut child, &checkpoint, "/summary/records", PEOPLE / 4);
    end(child);
    // What came after the checkpoint is written once more.
    let mut half = read(&folder, &format!("{broken}.part"));
    half.extend_from_slice(b"{\"half\":");
    fs::write(folder.join(format!("{broken}.part")), half).unwrap();

    let mut child = site.begin(&resume);
    site.wait_for(&mut child, &checkpoint, "/summary/records", PEOPLE / 2);
    site.kill_server();
    assert!(!child.wait().unwrap().success(), "the server was killed: {}", site.said());
    site.start_server();

    let mut child = site.begin(&resume);
    site.wait_for(&mut child, &checkpoint, "/summary/records", PEOPLE / 4 * 3);
    site.kill_server();
    end(child);
    site.start_server();

    let said = site.run(&resume);
    assert!(said.contains(&format!("{PEOPLE} records")), "{said}");
    assert!(read(&folder, broken) == read(&folder, whole), "the files differ");
    assert!(!folder.join(checkpoint).exists() && !folder.join(format!("{broken}.part")).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_killed_on_both_sides_and_resumed_is_the_same_file() {
    let mut site = Site::make("clients", &[("name", "name"), ("note", "text")]).await;
    fill(&site.owner()).await;
    let done = tokio::task::spawn_blocking(move || {
        export_both(&mut site, "whole.ndjson", "broken.ndjson");
        export_both(&mut site, "whole.csv", "broken.csv");
        site
    });
    let site = done.await.unwrap();
    let jobs = site.owner().all("/jobs", 100).await;
    assert_eq!(jobs.len(), 4, "{jobs:?}");
    for job in &jobs {
        assert_eq!((&job["kind"], &job["state"]), (&json!("export"), &json!("done")), "{job}");
        assert_eq!(job["progress"], json!({"done": PEOPLE, "total": PEOPLE}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_somebody_has_stopped_is_not_gone_on_with() {
    let site = Site::make("clients", &[("name", "name"), ("note", "text")]).await;
    let owner = site.owner();
    fill(&owner).await;
    let killed = tokio::task::spawn_blocking(move || {
        let mut child = site.begin(&["export", "clients", "--to", "p.ndjson", "--page", "5"]);
        site.wait_for(&mut child, "p.ndjson.checkpoint", "/summary/records", PEOPLE / 10);
        end(child);
        site
    });
    let site = killed.await.unwrap();
    let job = owner.all("/jobs", 100).await[0].clone();
    let path = format!("/jobs/{}/cancel", job["id"].as_str().unwrap());
    assert_eq!(owner.post(&path, json!({})).await.ok()["state"], "cancelled");
    let resumed = tokio::task::spawn_blocking(move || {
        let resume = ["export", "clients", "--to", "p.ndjson", "--resume"];
        let status = site.begin(&resume).wait().unwrap();
        (status.code(), site.said(), site.folder.path().join("p.ndjson").exists())
    });
    let (code, said, exists) = resumed.await.unwrap();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("begin again") && !exists, "{said}");
}
