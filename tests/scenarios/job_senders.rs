//! A job is done with the rights of whoever asked for it: a lesser credential of the same person neither
//! sees it nor adds to it, and whoever has lost the right adds nothing more.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Reply, Server};

use crate::backends::{Backend, get_for, send_for};
use crate::import_jobs::{at, begin, ended, part, people, start};

const ROWS: &str = "number,name,email\nN-1,Nora,nora@new.example\n";

async fn part_for(caller: &Caller, user: &str, job: &Value) -> Reply {
    let call = caller.call("PUT", &at(job, "/parts/1")).header("Strongroom-User", user);
    call.body_of("text/csv", ROWS.as_bytes().to_vec()).send().await
}

#[tokio::test]
async fn who_acts_for_a_person_neither_sees_nor_feeds_what_that_person_has_asked_for() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let (user, person) = clinic.tenant.user(&server, &["owner"]).await;
    let job = begin(&person, json!({"mapping": people()})).await;

    // It may read a little and no more, and would make records by the person's rights if it were let.
    let backend = Backend::new(&server).await;
    backend.admitted(&clinic.tenant, json!({"classes": ["clerk"]})).await;
    let ends = server.clock.in_seconds(24 * 60 * 60);
    let body =
        json!({"label": "lesser", "classes": ["clerk"], "acts": "for_users", "expires_at": ends});
    let made = clinic.tenant.owner.post("/api-keys", body).await.ok();
    let key = clinic.tenant.owner.with_token(made["token"].as_str().unwrap());
    for lesser in [backend.at(&clinic.tenant), key] {
        get_for(&lesser, &user, &at(&job, "")).await.refused(404, "not_found");
        get_for(&lesser, &user, &at(&job, "/rejects")).await.refused(404, "not_found");
        let listed = get_for(&lesser, &user, "/jobs").await.ok();
        assert_eq!(listed["data"], json!([]));
        part_for(&lesser, &user, &job).await.refused(404, "not_found");
        for (rest, body) in [("/start", json!({"parts": 0})), ("/cancel", json!({}))] {
            let sent = send_for(&lesser, &user, "POST", &at(&job, rest), body).await;
            sent.refused(404, "not_found");
        }
    }
    // One that may see all jobs still sends nothing for this one.
    backend.admitted(&clinic.tenant, json!({"classes": ["owner"]})).await;
    let wider = backend.at(&clinic.tenant);
    assert_eq!(get_for(&wider, &user, &at(&job, "")).await.ok()["id"], job["id"]);
    part_for(&wider, &user, &job).await.refused(404, "not_found");

    // The person's own way is open as before.
    assert_eq!(part(&person, &job, 1, ROWS).await.status, 200);
    assert_eq!(start(&person, &job, 1).await.status, 200);
    let done = ended(&server, &person, &job).await;
    assert_eq!(done["outcomes"]["created"], 1, "{done}");
}

#[tokio::test]
async fn a_backend_feeds_its_own_import_for_the_user_for_whom_it_asked_and_for_no_other() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let (one, _) = clinic.tenant.user(&server, &["manager"]).await;
    let (other, _) = clinic.tenant.user(&server, &["manager"]).await;
    let backend = Backend::new(&server).await;
    backend.admitted(&clinic.tenant, json!({"classes": ["manager"]})).await;
    let door = backend.at(&clinic.tenant);
    let asked = send_for(&door, &one, "POST", "/imports", json!({"mapping": people()})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let job = asked.json();
    get_for(&door, &other, &at(&job, "")).await.refused(404, "not_found");
    part_for(&door, &other, &job).await.refused(404, "not_found");
    // A new secret is the same backend.
    let path = format!("{}/rotation", backend.path());
    let renewed = server.operator().post(&path, json!({"overlap_seconds": 3600})).await;
    assert!(renewed.status < 300, "{}", renewed.text());
    let door = door.with_token(renewed.json()["token"].as_str().unwrap());
    assert_eq!(part_for(&door, &one, &job).await.status, 200);
    let started = send_for(&door, &one, "POST", &at(&job, "/start"), json!({"parts": 1})).await;
    assert_eq!(started.status, 200, "{}", started.text());
    let done = ended(&server, &clinic.tenant.owner, &job).await;
    assert_eq!(done["outcomes"]["created"], 1, "{done}");
}

#[tokio::test]
async fn another_session_of_the_same_person_sees_and_stops_an_import_and_sends_nothing_for_it() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let owner = &clinic.tenant.owner;
    let (user, person) = clinic.tenant.user(&server, &["manager"]).await;
    let job = begin(&person, json!({"mapping": people()})).await;
    let again = owner.post(&format!("/users/{user}/invitation"), json!({})).await.ok();
    let second = person.with_token(&server.redeem(again["token"].as_str().unwrap()).await);
    assert_eq!(second.get(&at(&job, "")).await.ok()["id"], job["id"]);
    assert_eq!(second.all("/jobs", 10).await.len(), 1);
    part(&second, &job, 1, ROWS).await.refused(404, "not_found");
    assert_eq!(second.post(&at(&job, "/cancel"), json!({})).await.ok()["state"], "cancelled");
}

#[tokio::test]
async fn whoever_may_not_create_records_any_more_sends_no_further_part_and_starts_nothing() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let owner = &clinic.tenant.owner;
    let (user, person) = clinic.tenant.user(&server, &["manager"]).await;
    let job = begin(&person, json!({"mapping": people()})).await;
    assert_eq!(part(&person, &job, 1, ROWS).await.status, 200);
    let shown = owner.get(&format!("/users/{user}")).await;
    let terms = json!({"rules": [
        {"actions": ["read"], "collection": "patients", "view": "clear", "rows": "all"},
    ]});
    let class = json!({"name": "reader", "label": "Reader", "terms": terms});
    assert_eq!(owner.post("/classes", class).await.status, 201);
    let demoted = json!({"classes": ["reader"]});
    let changed = owner.patch_if(&format!("/users/{user}"), shown.tag(), demoted).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    for refused in [part(&person, &job, 2, ROWS).await, start(&person, &job, 1).await] {
        assert_eq!(refused.status, 403, "{}", refused.text());
    }
    // They see and stop what they have asked for all the same.
    assert_eq!(person.post(&at(&job, "/cancel"), json!({})).await.ok()["state"], "cancelled");
    let lines = owner.all("/audit", 1000).await;
    let refused = lines.iter().filter(|line| {
        line["outcome"] == "refused"
            && line["action"] == "create"
            && line["principal"]["id"] == user.as_str()
    });
    assert_eq!(refused.count(), 2);
}
