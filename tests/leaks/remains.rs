//! What remains in the memory of the running program: of what was erased, of what was read, and of keys.
//!
//! All that can be read is searched, heap, stacks and what is mapped, which is what a core dump holds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom_crypto::{SystemRng, seal_key};
use strongroom_keyring::{FileHolder, Half, Holder, Keyring, Leaf};
use strongroom_storage::{KeyRange, PAGE_MAX, StoreUrl, keyspace};
use strongroom_tests::canaries::{Canaries, fields};
use strongroom_tests::life::live;
use strongroom_tests::memory::search_memory;
use strongroom_tests::program::{Installation, Running};
use strongroom_tests::{Caller, Finding, Needle};
use strongroom_vault::SystemClock;

use crate::stage;

/// Only so may a test that is not run by root look into the server.
const READABLE: [&str; 1] = ["--allow-core-dumps"];
/// A program that serves has at least so much memory.
const MEMORY_MIN: usize = 10_000_000;
/// Slots of a tenant's data tree that are looked at for the collection's.
const SLOTS: u64 = 64;

/// The names of the needles that are there now.
fn there(running: &Running, needles: &[Needle]) -> BTreeSet<String> {
    let (found, read) = search_memory(running.id(), needles);
    assert!(read > MEMORY_MIN, "{read} bytes");
    found.into_iter().map(|Finding { needle, .. }| needle).collect()
}

/// Waits until nothing of these is there any more, for as long as a connection may linger.
async fn gone(running: &Running, needles: &[Needle]) -> BTreeSet<String> {
    let mut left = there(running, needles);
    for _ in 0..20 {
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        left = there(running, needles);
    }
    left
}

fn nothing() -> BTreeSet<String> {
    BTreeSet::new()
}

fn only(name: &str) -> BTreeSet<String> {
    BTreeSet::from([name.to_owned()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_is_not_in_the_memory_of_the_server() {
    let installation = Installation::make();
    let running = installation.start_with(&READABLE);
    let mut canaries = Canaries::default();
    {
        let stage = stage(&installation, &running).await;
        let _life = live(&stage, &mut canaries).await;
    }
    let is_erased = |needle: &Needle| {
        needle.name().ends_with(" by create") || needle.name().ends_with(" by patch")
    };
    let (erased, others): (Vec<Needle>, Vec<Needle>) =
        canaries.needles.into_iter().partition(is_erased);
    assert!(erased.len() > 30, "{}", erased.len());
    assert_eq!(gone(&running, &erased).await, nothing());
    // The search finds what has to be there: the next batch seals the root secret anew.
    assert!(there(&running, &others).contains("the seal key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_were_read_are_gone_with_the_request_and_keys_with_the_lock() {
    let installation = Installation::make();
    let running = installation.start_with(&READABLE);
    let mut canaries = Canaries::default();
    let stage = stage(&installation, &running).await;
    let life = live(&stage, &mut canaries).await;
    let (collection, option) = (life.ids["collection"].clone(), canaries.needles.len());
    let records = format!("/collections/{collection}/records");
    let mut record = json!({"external_id": canaries.word("external id"), "fields": {}});
    record["fields"] = fields(&mut canaries, "a living record");
    // A connection keeps the bytes of its last request until the next one comes or it ends, so that
    // these requests have connections of their own.
    let (home, token) = (life.manager.home(), life.manager.token());
    let manager = Caller::of(&running.address, home, Some(token));
    let made = manager.post_once(&records, record).await.ok();
    let path = format!("{records}/{}", made["id"].as_str().unwrap());
    let read = manager.get(&path).await.ok();
    assert!(read["fields"]["name"].is_string(), "{read}");
    let living = canaries.needles.split_off(option);
    drop((manager, life));
    // What the head says is kept in an index and opened for each request; fields are not kept.
    assert_eq!(gone(&running, &living).await, nothing());

    let seal: Vec<Needle> =
        canaries.needles.into_iter().filter(|needle| needle.name() == "the seal key").collect();
    assert_eq!(there(&running, &seal), only("the seal key"));
    let locked = stage.operator.post("/v1/system/lock", json!({})).await;
    assert!(locked.status < 300, "{}", locked.text());
    assert_eq!(gone(&running, &seal).await, nothing());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_what_was_erased_are_not_in_the_memory_of_the_server() {
    let installation = Installation::make();
    let running = installation.start();
    let people = installation.settle(&running).await;
    let made = people.owner(&running);
    let body = json!({"fields": {"name": "Mira Halloran", "note": "prefers mornings"}});
    let made = made.post_once("/collections/people/records", body).await.ok();
    running.stop();
    installation.copy_to("before");
    let keys = keys_of_the_record(&installation).await;

    let running = installation.start_with(&READABLE);
    let owner = people.owner(&running);
    let path = format!("/collections/people/records/{}", made["id"].as_str().unwrap());
    owner.get(&path).await.ok();
    // They are cached for a minute.
    assert!(there(&running, &keys).contains("the person's seed"));
    let erase = json!({"target": {"subject": made["subject"]}, "ground": "subject_request"});
    let erased = owner.post_once("/erasures", erase).await.ok();
    let shown = format!("/erasures/{}", erased["id"].as_str().unwrap());
    let state = owner.get(&shown).await.ok()["state"].clone();
    assert_eq!(state, "erased");
    assert_eq!(gone(&running, &keys).await, nothing());
    owner.get("/collections/people/records").await.ok();
    assert_eq!(there(&running, &keys), nothing());
}

/// The keys of the only record of a tenant and of its person, from a copy of store and holder.
async fn keys_of_the_record(installation: &Installation) -> Vec<Needle> {
    let aside = installation.path("before");
    let url = StoreUrl::Redb(aside.join("store"));
    let opened = tokio::task::spawn_blocking(move || strongroom_storage::open(&url)).await;
    let store = opened.unwrap().unwrap();
    let holders: Vec<Arc<dyn Holder>> =
        vec![Arc::new(FileHolder::open(&aside.join("holder"), None).unwrap())];
    let (clock, rng) = (Arc::new(SystemClock::new()), Arc::new(SystemRng::new()));
    let keyring = Keyring::open(store.clone(), holders, clock, rng).await.unwrap();
    let seal = std::fs::read_to_string(installation.path("seal.key")).unwrap();
    keyring.unlock(&seal_key::parse_file(seal.trim()).unwrap()).await.unwrap();

    let rows = store.scan(&KeyRange::prefix(b""), PAGE_MAX).await.unwrap();
    let records = rows.iter().filter_map(|(key, row)| Some((keyspace::parse_record(key)?, row)));
    let records: Vec<_> = records.collect();
    assert_eq!(records.len(), 1, "one record");
    let ((tenant, _, _), row) = records[0];
    // `docs/formats/record-body.md`: subject 16, slot u64, then the header with the number.
    let slot = u64::from_be_bytes(row.value[16..24].try_into().unwrap());
    let number = u32::from_be_bytes(row.value[32..36].try_into().unwrap());
    assert!(number >= 16, "{number}");
    let half = Half::Data;
    let seed = keyring.leaf(Leaf { tenant, half, slot }).await.unwrap();
    let mut keys = vec![Needle::new("the person's seed", seed.expose())];
    for collection in (0..SLOTS).map(Some).chain([None]) {
        if let Ok(key) = keyring.subject_key(tenant, half, slot, number, collection).await {
            keys.push(Needle::new(format!("the record's key with {collection:?}"), key.expose()));
        }
    }
    assert!(keys.len() > 2, "{} keys", keys.len());
    keys
}
