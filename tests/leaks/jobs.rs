//! What waited to be imported when somebody was erased: the adversary holds the disk of before and all
//! that there is now.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_crypto::{SystemRng, seal_key};
use strongroom_keyring::{FileHolder, Half, Holder, Keyring, Leaf};
use strongroom_model::TenantId;
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{KeyRange, PAGE_MAX, Store, StoreUrl, keyspace};
use strongroom_tests::program::Installation;
use strongroom_tests::{Caller, Needle, search_bytes, search_folder};
use strongroom_vault::SystemClock;

/// The store that was copied aside, or the installation's own.
async fn store(installation: &Installation, aside: Option<&str>) -> Arc<dyn Store> {
    let folder = aside.map_or(installation.folder().to_owned(), |aside| installation.path(aside));
    let url = StoreUrl::Redb(folder.join("store"));
    let opened = tokio::task::spawn_blocking(move || strongroom_storage::open(&url)).await;
    opened.unwrap().unwrap()
}

/// The key of a leaf with this store and a holder; nothing if it cannot be had.
async fn key_of(
    installation: &Installation,
    store: Arc<dyn Store>,
    holder: Option<&str>,
    leaf: Leaf,
) -> Option<Vec<u8>> {
    let folder = holder.map_or(installation.folder().to_owned(), |aside| installation.path(aside));
    let holder = FileHolder::open(&folder.join("holder"), None).unwrap();
    let holders: Vec<Arc<dyn Holder>> = vec![Arc::new(holder)];
    let (clock, rng) = (Arc::new(SystemClock::new()), Arc::new(SystemRng::new()));
    let keyring = Keyring::open(store, holders, clock, rng).await.ok()?;
    let seal = std::fs::read_to_string(installation.path("seal.key")).unwrap();
    keyring.unlock(&seal_key::parse_file(seal.trim()).unwrap()).await.ok()?;
    keyring.leaf(leaf).await.ok().map(|key| key.expose().to_vec())
}

/// The leaf of the job whose rows wait, as the prefix of a row names it.
async fn spooled(store: &Arc<dyn Store>) -> Vec<Leaf> {
    let rows = store.scan(&KeyRange::prefix(b""), PAGE_MAX).await.unwrap();
    let spool = rows.iter().filter_map(|(key, row)| {
        let (tenant, kind, _): (TenantId, _, _) = keyspace::parse(key)?;
        (kind == RowKind::JobSpool).then_some((tenant, row))
    });
    let slot = |value: &[u8]| u64::from_be_bytes(value[16..24].try_into().unwrap());
    spool.map(|(tenant, row)| Leaf { tenant, half: Half::Data, slot: slot(&row.value) }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_waited_when_somebody_was_erased_have_no_key_any_more() {
    let installation = Installation::make();
    let running = installation.start();
    let people = installation.settle(&running).await;
    let owner = people.owner(&running);
    let body = json!({"external_id": "P-1", "fields": {"name": "Mira Halloran"}});
    let made = owner.post_once("/collections/people/records", body).await.ok();
    let mapping = json!({
        "collection": "people", "external_id": "number", "fields": {"name": "name"},
    });
    let job = owner.post_once("/imports", json!({"mapping": mapping})).await;
    assert_eq!(job.status, 202, "{}", job.text());
    let path = format!("/jobs/{}", job.json()["id"].as_str().unwrap());
    let call = owner.call("PUT", &format!("{path}/parts/1"));
    let rows = b"number,name\nP-2,Mira Halloran of the harbour\n".to_vec();
    assert_eq!(call.body_of("text/csv", rows).send().await.status, 200);
    running.stop();
    installation.copy_to("before");
    let before = store(&installation, Some("before")).await;
    let leaves = spooled(&before).await;
    assert_eq!(leaves.len(), 1);
    let leaf = leaves[0];
    let key = key_of(&installation, before, Some("before"), leaf).await.expect("the job's key");

    let running = installation.start();
    let owner = people.owner(&running);
    let erase = json!({"target": {"subject": made["subject"]}, "ground": "subject_request"});
    let erased = owner.post_once("/erasures", erase).await.ok();
    let erased = owner.get(&format!("/erasures/{}", erased["id"].as_str().unwrap())).await.ok();
    assert_eq!(erased["state"], "erased");
    let ended = owner.get(&path).await.ok();
    assert_eq!((&ended["state"], &ended["problem"]), (&json!("failed"), &json!("erasure_came")));
    running.stop();

    // With all that there is now the key is not to be had, and not with the disk of before either.
    let now = store(&installation, None).await;
    let alive = Leaf { slot: 0, ..leaf };
    let found = key_of(&installation, now.clone(), None, alive).await;
    assert!(found.is_some(), "the tenant's other keys are there");
    assert_ne!(key_of(&installation, now.clone(), None, leaf).await.as_ref(), Some(&key));
    drop(now);
    let before = store(&installation, Some("before")).await;
    assert_ne!(key_of(&installation, before, None, leaf).await.as_ref(), Some(&key));
}

/// An import of one part that is not started, as its path.
async fn sent(owner: &Caller, rows: &str) -> String {
    let mapping = json!({
        "collection": "people", "external_id": "number",
        "fields": {"name": "name", "note": "note"},
    });
    let job = owner.post_once("/imports", json!({"mapping": mapping})).await;
    assert_eq!(job.status, 202, "{}", job.text());
    let path = format!("/jobs/{}", job.json()["id"].as_str().unwrap());
    let call = owner.call("PUT", &format!("{path}/parts/1"));
    let sent = call.body_of("text/csv", rows.as_bytes().to_vec()).send().await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    path
}

async fn done(owner: &Caller, path: &str) -> Value {
    for _ in 0..6_000 {
        let job = owner.get(path).await.ok();
        if !["queued", "running"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the job does not end");
}

/// How many rows a job has of what it keeps of clients' data.
async fn kept(store: &Arc<dyn Store>, job: &str) -> usize {
    let job: strongroom_model::JobId = job.strip_prefix("/jobs/").unwrap().parse().unwrap();
    let (mut range, mut count) = (KeyRange::prefix(b""), 0);
    loop {
        let rows = store.scan(&range, PAGE_MAX).await.unwrap();
        let Some((last, _)) = rows.last() else { return count };
        range = KeyRange::prefix(b"").continued(last);
        let of_job = rows.iter().filter(|(key, _)| {
            keyspace::parse(key).is_some_and(|(_, kind, rest)| {
                let keeps = [RowKind::JobSpool, RowKind::JobPart, RowKind::JobMapping];
                keeps.contains(&kind) && rest.starts_with(job.as_bytes())
            })
        });
        count += of_job.count();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_wait_are_nowhere_in_the_clear_and_gone_when_their_job_has_ended() {
    let words = [
        ("a name", "Marketa Zvonimira-Quellfeld"),
        ("a note", "prefers the ferry at dawn, 7 Lantern Stairs"),
        ("an external id", "waiting-person-4711-x"),
        ("a rejected value", "rejected-value-0815-y"),
    ];
    let needles: Vec<Needle> =
        words.iter().map(|(name, word)| Needle::new(*name, word.as_bytes())).collect();
    let mut rows = String::from("number,name,note\n");
    rows.push_str("waiting-person-4711-x,Marketa Zvonimira-Quellfeld,\"");
    rows.push_str("prefers the ferry at dawn, 7 Lantern Stairs\"\n");
    for number in 0..2_000 {
        writeln!(rows, "W-{number},Marketa Zvonimira-Quellfeld,a-plain-note").unwrap();
    }
    rows.push_str(",Marketa Zvonimira-Quellfeld,rejected-value-0815-y\n");
    // The search finds what is there.
    assert_eq!(search_bytes("the rows", rows.as_bytes(), &needles).len().min(4), 4);

    let installation = Installation::make();
    let nothing_in_the_clear = |when: &str| {
        let (found, read) = search_folder(installation.folder(), &needles);
        assert!(found.is_empty() && read > 50_000, "{when}: {read} bytes: {found:#?}");
    };
    let running = installation.start();
    let people = installation.settle(&running).await;
    let path = sent(&people.owner(&running), &rows).await;
    running.kill();
    nothing_in_the_clear("after a kill while rows wait");
    let running = installation.start();
    assert_eq!(people.owner(&running).get(&path).await.ok()["state"], "uploading");
    running.stop();
    nothing_in_the_clear("after a stop while rows wait");
    let waiting = store(&installation, None).await;
    assert!(kept(&waiting, &path).await >= 10, "pages, a part and a mapping");
    drop(waiting);

    let running = installation.start();
    let owner = people.owner(&running);
    let started = owner.post(&format!("{path}/start"), json!({"parts": 1})).await;
    assert_eq!(started.status, 200, "{}", started.text());
    let ended = done(&owner, &path).await;
    assert_eq!(ended["outcomes"]["created"], 2_001, "{ended}");
    assert_eq!(ended["outcomes"]["rejected"], 1);
    // What was made is taken out by a job, which keeps nothing either.
    let body = json!({"collection": "people", "format": "csv"});
    let export = owner.post_once("/exports", body).await;
    let parts = format!("/jobs/{}/parts", export.json()["id"].as_str().unwrap());
    let first = owner.get(&format!("{parts}/1")).await;
    assert!(search_bytes("the part", first.text().as_bytes(), &needles).len() >= 3);
    // A worker that does another job has cleared what ended before.
    let other = sent(&owner, "number,name,note\nO-1,Olga,none\n").await;
    let started = owner.post(&format!("{other}/start"), json!({"parts": 1})).await;
    assert_eq!(started.status, 200, "{}", started.text());
    assert_eq!(done(&owner, &other).await["state"], "done");
    running.kill();
    nothing_in_the_clear("after a kill when the job has ended");
    installation.start().stop();
    nothing_in_the_clear("after a stop when the job has ended");
    let after = store(&installation, None).await;
    assert_eq!(kept(&after, &path).await, 0);
}
