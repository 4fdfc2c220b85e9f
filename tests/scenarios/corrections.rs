//! Correcting a record: what was wrong is erased, and the record stays.

use serde_json::json;
use strongroom_crypto::Context;
use strongroom_keyring::{Half, KeyError};
use strongroom_model::TenantId;
use strongroom_storage::KeyRange;
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_tests::{Clinic, Server, fresh_key};

/// More than old versions wait for an erasure to go with.
const A_WHILE_SECONDS: i64 = 61;
/// Bytes of a record's row before its sealed message: the subject and the slot of their seed.
const OWNER_BYTES: usize = 24;

/// The slot of a seed, and a number under it.
type Place = (u64, u32);

fn tenant_of(clinic: &Clinic) -> TenantId {
    clinic.tenant.id.parse().unwrap()
}

/// Under which key a record is sealed now.
async fn place(server: &Server, clinic: &Clinic, record: &str) -> Place {
    let record = record.parse().unwrap();
    let range = KeyRange::prefix_of(tenant_of(clinic), RowKind::Record);
    let rows = server.store().scan(&range, 1000).await.unwrap();
    let its = |key| keyspace::parse_record(key).is_some_and(|(_, _, id)| id == record);
    let (_, row) = rows.iter().find(|(key, _)| its(key)).unwrap();
    let (owner, sealed) = row.value.split_at(OWNER_BYTES);
    let slot = u64::from_be_bytes(owner[16..].try_into().unwrap());
    (slot, Context::peek(sealed).unwrap().1)
}

/// Whether the key of a number is still there.
async fn lives(server: &Server, clinic: &Clinic, (slot, number): Place) -> bool {
    let key = server.keyring().subject_key(tenant_of(clinic), Half::Data, slot, number, None);
    match key.await {
        Ok(_) => true,
        Err(KeyError::Gone) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn rows_of(server: &Server, clinic: &Clinic, kind: RowKind) -> usize {
    let range = KeyRange::prefix_of(tenant_of(clinic), kind);
    server.store().scan(&range, 1000).await.unwrap().len()
}

#[tokio::test]
async fn what_was_corrected_is_erased_and_the_record_reads_on() {
    let mut server = Server::redb().await;
    let mut clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let path = clinic.patient(0);
    let wrong = place(&server, &clinic, &clinic.patients[0]).await;
    let entries = rows_of(&server, &clinic, RowKind::ManifestEntry).await;
    let body = json!({"fields": {"phone": "+353 1 555 0199"}, "correction": true});
    let corrected = clinic.manager.patch_if(&path, "\"v1\"", body).await;
    assert_eq!((corrected.status, corrected.tag()), (200, "\"v2\""), "{}", corrected.text());
    let right = place(&server, &clinic, &clinic.patients[0]).await;
    assert!(right.0 == wrong.0 && right.1 != wrong.1, "{wrong:?} {right:?}");
    assert!(lives(&server, &clinic, wrong).await, "until the next batch");

    server.clock.advance(A_WHILE_SECONDS);
    server.run_due_jobs().await;
    for restarted in [false, true] {
        if restarted {
            server.restart().await;
            clinic.moved(&server);
        }
        assert!(!lives(&server, &clinic, wrong).await);
        assert!(lives(&server, &clinic, right).await);
        let read = clinic.manager.get(&path).await;
        assert_eq!(read.tag(), "\"v2\"");
        assert_eq!(read.ok()["fields"]["phone"], "+353 1 555 0199");
        assert_eq!(read.json()["fields"]["name"], "Mira Halloran");
        let lookup = json!({"external_id": "P-1"});
        let found = clinic.manager.post("/collections/patients/records:lookup", lookup).await.ok();
        assert_eq!(found["id"], clinic.patients[0].as_str());
        let listed = clinic.manager.all("/collections/patients/records", 2).await;
        assert_eq!(listed.len(), 3);
        for visit in 0..4 {
            clinic.manager.get(&clinic.visit(visit)).await.ok();
        }
        let of_person = format!("/subjects/{}/records", clinic.subjects[0]);
        assert_eq!(clinic.officer.all(&of_person, 10).await.len(), 3);
        // Nothing heaps up: neither entries of the manifest nor tombstones.
        assert_eq!(rows_of(&server, &clinic, RowKind::ManifestEntry).await, entries);
        assert_eq!(rows_of(&server, &clinic, RowKind::Tombstone).await, 0);
    }
    let codes = clinic.tenant.owner.all("/audit", 100).await;
    assert!(codes.iter().any(|line| line["code"] == "record.correct"), "{codes:#?}");
}

#[tokio::test]
async fn a_plain_change_leaves_the_key_as_it_is_unless_the_collection_forgets() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let path = clinic.patient(1);
    let at = |id: String| {
        let (server, clinic) = (&server, &clinic);
        async move { place(server, clinic, &id).await }
    };
    let first = at(clinic.patients[1].clone()).await;
    let body = json!({"fields": {"note": "prefers mornings"}});
    clinic.manager.patch_if(&path, "\"v1\"", body).await.ok();
    assert_eq!(at(clinic.patients[1].clone()).await, first);

    let change = json!({"forgets_old_versions": true});
    let changed = clinic.tenant.owner.patch_if("/collections/patients", "*", change).await.ok();
    assert_eq!(changed["forgets_old_versions"], true);
    let body = json!({"fields": {"note": "prefers evenings"}});
    clinic.manager.patch_if(&path, "\"v2\"", body).await.ok();
    let items = json!({"items": [
        {"id": clinic.patients[1], "if_match": 3, "fields": {"note": "either will do"}},
        {"external_id": "P-3", "if_match": 1, "fields": {"note": "late"}, "correction": true},
    ]});
    let batch = clinic.manager.post("/collections/patients/records:batchPatch", items).await;
    assert_eq!(batch.status, 200, "{}", batch.text());
    let upserted = json!({"external_id": "P-2", "fields": {"note": "once more"}});
    let put = clinic.manager.put("/collections/patients/records:upsert", upserted).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let last = at(clinic.patients[1].clone()).await;
    assert_eq!(last.1, first.1 + 4, "a visit came between, then three changes: {first:?} {last:?}");

    // An erasure takes along whatever waits.
    let erased = json!({"record": {"collection": "visits", "id": clinic.visits[0]}});
    clinic.erase(&clinic.officer, erased).await;
    for number in [first.1, last.1 - 2, last.1 - 1] {
        assert!(!lives(&server, &clinic, (first.0, number)).await, "{number}");
    }
    assert_eq!(clinic.manager.get(&path).await.ok()["fields"]["note"], "once more");
    let last_of_person = json!({"record": {"collection": "patients", "id": clinic.patients[1]}});
    clinic.erase(&clinic.officer, last_of_person).await;
    assert!(!lives(&server, &clinic, last).await);
    clinic.officer.get(&path).await.refused(410, "erased");
}

#[tokio::test]
async fn a_correction_needs_the_right_to_change_and_a_version() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let path = clinic.patient(0);
    let first = place(&server, &clinic, &clinic.patients[0]).await;
    let body = json!({"fields": {"phone": "+353 1 555 0199"}, "correction": true});
    clinic.officer.patch_if(&path, "*", body.clone()).await.refused(403, "no_rule");
    clinic.manager.patch_if(&path, "\"v9\"", body.clone()).await.refused(412, "version_stale");
    let none = clinic.manager.call("PATCH", &path).json(&body).send().await;
    none.refused(428, "version_required");
    let unclear = json!({"fields": {}, "correction": "yes"});
    assert!([400, 422].contains(&clinic.manager.patch_if(&path, "\"v1\"", unclear).await.status));
    let wrong = json!({"fields": {"shoe_size": 44}, "correction": true});
    clinic.manager.patch_if(&path, "\"v1\"", wrong).await.refused(422, "invalid");
    assert_eq!(place(&server, &clinic, &clinic.patients[0]).await, first);
    assert_eq!(rows_of(&server, &clinic, RowKind::Tombstone).await, 0);
}

#[tokio::test]
async fn a_creation_that_is_repeated_after_its_record_was_corrected_makes_nothing() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let key = fresh_key();
    let body = json!({"external_id": "P-9", "fields": {"name": "Nils Nowak"}});
    let create = |by: &strongroom_tests::Caller| {
        by.call("POST", "/collections/patients/records").header("idempotency-key", &key).json(&body)
    };
    let made = create(&clinic.tenant.owner).send().await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = format!("/collections/patients/records/{}", made.id());
    let right = json!({"fields": {"name": "Nils Novak"}, "correction": true});
    clinic.manager.patch_if(&path, "\"v1\"", right).await.ok();
    let again = create(&clinic.tenant.owner).send().await;
    assert_eq!(again.json()["id"], made.json()["id"], "{}", again.text());
    server.clock.advance(A_WHILE_SECONDS);
    server.run_due_jobs().await;
    create(&clinic.tenant.owner).send().await.refused(410, "erased");
    assert_eq!(clinic.manager.all("/collections/patients/records", 10).await.len(), 4);
}

#[tokio::test]
async fn records_about_nobody_are_corrected_too() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let fields = [("title", json!("text"))];
    clinic.tenant.collection("rooms", json!("nobody"), &fields).await;
    let mut rooms = Vec::new();
    for number in 0..3 {
        let body = json!({"external_id": format!("R-{number}"), "fields": {"title": "a room"}});
        rooms.push(clinic.tenant.record("rooms", body).await["id"].as_str().unwrap().to_owned());
    }
    let mut dead = Vec::new();
    for turn in 1..=40 {
        let path = format!("/collections/rooms/records/{}", rooms[turn % 2]);
        dead.push(place(&server, &clinic, &rooms[turn % 2]).await);
        let body = json!({"fields": {"title": format!("room {turn}")}, "correction": true});
        clinic.tenant.owner.patch_if(&path, "*", body).await.ok();
        // Creations and corrections take their numbers from the same subject.
        let new = json!({"external_id": format!("N-{turn}"), "fields": {"title": "new"}});
        clinic.tenant.record("rooms", new).await;
    }
    server.clock.advance(A_WHILE_SECONDS);
    server.run_due_jobs().await;
    for place in dead {
        assert!(!lives(&server, &clinic, place).await, "{place:?}");
    }
    let all = clinic.tenant.owner.all("/collections/rooms/records", 50).await;
    assert_eq!(all.len(), 43);
    assert!(all.iter().any(|room| room["fields"]["title"] == "room 40"));
    assert!(all.iter().any(|room| room["fields"]["title"] == "room 39"));
}

#[tokio::test]
async fn a_collection_that_forgets_forgets_what_was_known_of_a_file_too() {
    let server = Server::redb().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let change = json!({
        "forgets_old_versions": true, "add_fields": [{"name": "photo", "type": "file"}],
    });
    clinic.tenant.owner.patch_if("/collections/patients", "*", change).await.ok();
    let path = format!("{}/files/photo", clinic.patient(0));
    let mut places = vec![place(&server, &clinic, &clinic.patients[0]).await];
    for name in ["first.png", "second.png"] {
        let call = clinic.tenant.owner.call("PUT", &path).header("if-match", "*");
        let call = call.header("strongroom-file-name", name).body_of("image/png", "pixels");
        assert!(call.send().await.status < 300);
        places.push(place(&server, &clinic, &clinic.patients[0]).await);
    }
    server.clock.advance(A_WHILE_SECONDS);
    server.run_due_jobs().await;
    let last = places.pop().unwrap();
    assert!(lives(&server, &clinic, last).await);
    for old in places {
        assert!(old != last && !lives(&server, &clinic, old).await, "{old:?}");
    }
    let read = clinic.tenant.owner.get(&path).await;
    assert_eq!((read.status, read.text().as_str()), (200, "pixels"));
}
