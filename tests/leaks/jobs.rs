//! What waited to be imported when somebody was erased: the adversary holds the disk of before and all
//! that there is now.

use std::sync::Arc;

use serde_json::json;
use strongroom_crypto::{SystemRng, seal_key};
use strongroom_keyring::{FileHolder, Half, Holder, Keyring, Leaf};
use strongroom_model::TenantId;
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{KeyRange, PAGE_MAX, Store, StoreUrl, keyspace};
use strongroom_tests::program::Installation;
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
