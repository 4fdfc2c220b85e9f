//! Files of records: the server is killed while one is sent, and while one takes another's place. The old one
//! reads, the new one is whole or absent, and nothing of it stays after the next start.

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::stream::unfold;
use strongroom_tests::{Caller, plain_http};
use tokio::time::Instant;

use crate::site::Site;

/// How long a step may take.
const STEP_MAX: Duration = Duration::from_mins(5);
/// Bytes of a piece that is sent.
const PIECE: usize = 64 * 1024;
/// Kills of each sort.
const KILLS: u32 = 6;

/// The blobs in the folder of files: how many are unfinished, and how many whole.
fn blobs(site: &Site) -> (usize, usize) {
    fn count(folder: &Path) -> usize {
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        let count = |entry: fs::DirEntry| {
            if entry.path().is_dir() { count(&entry.path()) } else { 1 }
        };
        entries.map(Result::unwrap).map(count).sum()
    }
    let files = site.installation.path("store").join("files");
    let unfinished = count(&files.join("unfinished"));
    (unfinished, count(&files) - unfinished)
}

/// Waits until there are so many blobs.
async fn come_to(site: &Site, wanted: (usize, usize)) {
    let until = Instant::now() + STEP_MAX;
    while blobs(site) != wanted {
        assert!(Instant::now() < until, "{:?} blobs, not {wanted:?}", blobs(site));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A file of which every piece is the same.
fn bytes(seed: u8, pieces: usize) -> Vec<u8> {
    vec![seed; pieces * PIECE]
}

/// Begins to send so many pieces and then no more, but does not end.
fn begin(owner: &Caller, path: &str, seed: u8, pieces: usize) -> tokio::task::JoinHandle<()> {
    let body = unfold(0, move |sent| async move {
        if sent == pieces {
            std::future::pending::<()>().await;
        }
        Some((Ok::<_, std::io::Error>(bytes(seed, 1)), sent + 1))
    });
    let request = plain_http()
        .put(format!("{}{}{path}", owner.address(), owner.home()))
        .bearer_auth(owner.token())
        .header("If-Match", "*")
        .body(reqwest::Body::wrap_stream(body));
    tokio::spawn(async move {
        let _ = request.send().await;
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_while_a_file_is_sent_keeps_the_old_one_and_nothing_of_the_new() {
    let mut site = Site::make("clients", &[("name", "name"), ("photo", "file")]).await;
    let owner = site.owner();
    let made = owner
        .post("/collections/clients/records", serde_json::json!({"fields": {"name": "Nora"}}))
        .await;
    let record = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/collections/clients/records/{record}/files/photo");
    let put = async |owner: &Caller, body: Vec<u8>| {
        owner.call("PUT", &path).header("If-Match", "*").body_of("image/jpeg", body).send().await
    };

    // The first one is never whole.
    for round in 0..KILLS {
        let sending = begin(&site.owner(), &path, 1, usize::try_from(round).unwrap() * 8);
        come_to(&site, (1, 0)).await;
        site.kill_server();
        sending.abort();
        site.start_server();
        come_to(&site, (0, 0)).await;
        site.owner().get(&path).await.refused(404, "not_found");
    }

    // One that takes the place of another.
    assert_eq!(put(&site.owner(), bytes(7, 20)).await.status, 201);
    for round in 0..KILLS {
        let sending = begin(&site.owner(), &path, 2, usize::try_from(round).unwrap() * 8);
        come_to(&site, (1, 1)).await;
        site.kill_server();
        sending.abort();
        site.start_server();
        come_to(&site, (0, 1)).await;
        assert!(site.owner().get(&path).await.bytes == bytes(7, 20), "the old one reads");
    }

    // Somewhere in the end of one that is sent whole: one of the two is there, and not both.
    let mut there = 7;
    for round in 0..4 * u8::try_from(KILLS).unwrap() {
        let (owner, to) = (site.owner(), path.clone());
        let seed = 100 + round;
        let sending = tokio::spawn(async move {
            let call = owner.call("PUT", &to).header("If-Match", "*");
            call.body_of("image/jpeg", bytes(seed, 20)).try_send().await.map(|sent| sent.status)
        });
        tokio::time::sleep(Duration::from_micros(u64::from(round) * 1_500)).await;
        site.kill_server();
        let acknowledged = sending.await.unwrap().is_ok_and(|status| status == 200);
        site.start_server();
        come_to(&site, (0, 1)).await;
        let read = site.owner().get(&path).await;
        let found = read.bytes[0];
        assert!(read.bytes == bytes(found, 20), "{}", read.status);
        assert!(found == seed || (found == there && !acknowledged), "{found} after {there}");
        there = found;
    }
}
