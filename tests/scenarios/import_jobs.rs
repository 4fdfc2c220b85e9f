//! Imports as jobs of the server: a file sent in parts becomes records while whoever sent it goes home.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Reply, Server};

/// How often it is looked whether a job has ended, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_MAX: u32 = 3_000;
const DAY: i64 = 24 * 60 * 60;

fn visits() -> Value {
    json!({
        "collection": "visits", "external_id": "number", "subject": "person-{person}",
        "collected_at": "day",
        "fields": {
            "patient": {"column": "patient", "reference": true},
            "fee": {"column": "fee", "as": "decimal"},
        },
    })
}

pub(crate) fn people() -> Value {
    json!({
        "collection": "patients", "external_id": "number",
        "fields": {"name": "name", "email": "email"},
    })
}

/// Asks for an import and gives the job.
pub(crate) async fn begin(caller: &Caller, body: Value) -> Value {
    let answer = caller.post_once("/imports", body).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let job = answer.json();
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    assert!(location.ends_with(&format!("/jobs/{}", job["id"].as_str().unwrap())), "{location}");
    assert_eq!(job["state"], "uploading");
    job
}

pub(crate) fn at(job: &Value, rest: &str) -> String {
    format!("/jobs/{}{rest}", job["id"].as_str().unwrap())
}

pub(crate) async fn part(caller: &Caller, job: &Value, number: u32, rows: &str) -> Reply {
    let call = caller.call("PUT", &at(job, &format!("/parts/{number}")));
    call.body_of("text/csv", rows.as_bytes().to_vec()).send().await
}

pub(crate) async fn start(caller: &Caller, job: &Value, parts: u32) -> Reply {
    caller.post(&at(job, "/start"), json!({"parts": parts})).await
}

/// Waits until a job has ended.
pub(crate) async fn ended(server: &Server, caller: &Caller, job: &Value) -> Value {
    for _ in 0..LOOKS_MAX {
        server.run_due_jobs().await;
        let job = caller.get(&at(job, "")).await.ok();
        if !["uploading", "queued", "running"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("the job does not end")
}

async fn rejects(caller: &Caller, job: &Value) -> Vec<Value> {
    let answer = caller.get(&at(job, "/rejects?limit=1000")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_file_sent_in_parts_becomes_records_and_each_bad_row_says_why() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let key = clinic.tenant.key(&server, &["owner"]).await;
    let job = begin(&key, json!({"mapping": visits()})).await;
    let first =
        "number,person,patient,fee,day\nK-1,1,P-1,1.50,2020-01-31\nK-2,1,P-9,2,2020-01-31\n";
    let second =
        "number,person,patient,fee,day\nK-3,2,P-2,free,2020-01-31\nV-0,2,P-2,3,2020-01-31\n";
    // In any order, and again.
    let sent = part(&key, &job, 2, second).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(sent.json()["rows"], 2);
    assert_eq!(start(&key, &job, 2).await.status, 409);
    assert_eq!(part(&key, &job, 1, first).await.status, 200);
    assert_eq!(part(&key, &job, 1, first).await.status, 200);
    let other = part(&key, &job, 1, second).await;
    assert_eq!((other.status, other.json()["code"].as_str()), (409, Some("part_differs")));
    let short = start(&key, &job, 3).await;
    assert_eq!((short.status, short.json()["code"].as_str()), (409, Some("parts_missing")));
    assert_eq!(start(&key, &job, 2).await.status, 200);
    assert_eq!(start(&key, &job, 2).await.status, 409);
    assert_eq!(part(&key, &job, 3, first).await.status, 409);
    let done = ended(&server, &key, &job).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["progress"], json!({"done": 4, "total": 4}));
    let outcomes = &done["outcomes"];
    assert_eq!((&outcomes["created"], &outcomes["exists"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(outcomes["rejected"], 2);
    let rejected = rejects(&key, &job).await;
    assert_eq!(rejected[0]["line"], 3);
    assert_eq!(rejected[0]["errors"][0]["pointer"], "/fields/patient");
    assert_eq!((&rejected[1]["part"], &rejected[1]["line"]), (&json!(2), &json!(2)));
    let made = key.post("/collections/visits/records:lookup", json!({"external_id": "K-1"})).await;
    assert_eq!(made.ok()["fields"]["fee"], "1.50");
    // The line names the asker, and the job through which it was done.
    let lines = key.all("/audit", 1000).await;
    let line = lines
        .iter()
        .find(|line| line["code"] == "record.import" && line["through"]["id"] == job["id"]);
    let line = line.expect("a line of the import");
    assert_eq!(line["through"]["kind"], "job");
    let principal = line["principal"].to_string();
    assert!(principal.contains("key_"), "{principal}");
}

/// An import of people, sent in one part and started.
async fn send(caller: &Caller, body: Value, rows: &str) -> Value {
    let job = begin(caller, body).await;
    let sent = part(caller, &job, 1, rows).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    assert_eq!(start(caller, &job, 1).await.status, 200);
    job
}

#[tokio::test]
async fn rows_that_refer_to_one_another_in_any_order_become_records_and_the_rest_is_rejected() {
    let server = Server::memory().await;
    let tenant = server.tenant("Harbour Street Clinic").await;
    let fields = [("above", json!({"reference": "units"})), ("name", json!("text"))];
    tenant.collection("units", json!("nobody"), &fields).await;
    let owner = &tenant.owner;
    let mapping = json!({
        "collection": "units", "external_id": "id",
        "fields": {"above": {"column": "above", "reference": true}, "name": "id"}, "null": [""],
    });
    // Each refers to the one after it, over several pages; half of another chain is missing.
    let mut rows = String::from("id,above\n");
    for number in 0..9 {
        writeln!(rows, "U-{number},U-{}", number + 1).unwrap();
    }
    rows.push_str("U-9,\n");
    for number in 0..600 {
        let of = if number % 2 == 0 { "U-0" } else { "U-none" };
        writeln!(rows, "L-{number},{of}").unwrap();
    }
    let job = send(owner, json!({"mapping": mapping}), &rows).await;
    let done = ended(&server, owner, &job).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["outcomes"]["created"], 310);
    assert_eq!(done["outcomes"]["rejected"], 300);
    assert_eq!(done["progress"], json!({"done": 610, "total": 610}));
    let rejected = rejects(owner, &job).await;
    assert_eq!(rejected.len(), 300);
    assert_eq!(rejected[0]["line"], 13);
    assert_eq!(owner.all("/collections/units/records", 1000).await.len(), 310);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_made_and_makes_nothing() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let owner = &clinic.tenant.owner;
    let before = owner.all("/collections/patients/records", 1000).await.len();
    let rows =
        "number,name,email\nN-1,Nora,nora@new.example\nN-2,Nils,none\nP-1,Mira,m@m.example\n";
    let job = send(owner, json!({"mapping": people(), "dry_run": true}), rows).await;
    let done = ended(&server, owner, &job).await;
    let outcomes = &done["outcomes"];
    assert_eq!(
        (&outcomes["created"], &outcomes["exists"], &outcomes["rejected"]),
        (&json!(1), &json!(1), &json!(1)),
        "{done}"
    );
    assert_eq!(owner.all("/collections/patients/records", 1000).await.len(), before);
}

#[tokio::test]
async fn what_is_no_part_of_a_file_is_refused_and_leaves_the_job_as_it_was() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let owner = &clinic.tenant.owner;
    for body in [
        json!({}),
        json!({"mapping": {"collection": "patients"}}),
        json!({"mapping": people(), "exported": "patients"}),
        json!({"mapping": people(), "unknown": 1}),
    ] {
        let refused = owner.post_once("/imports", body).await;
        assert!((400..500).contains(&refused.status), "{}", refused.text());
    }
    let without_key = owner.post("/imports", json!({"mapping": people()})).await;
    assert_eq!(without_key.status, 400);
    let nowhere = json!({"exported": "nowhere"});
    assert_eq!(owner.post_once("/imports", nowhere).await.status, 404);
    let job = begin(owner, json!({"mapping": people()})).await;
    let send = async |number: &str, kind: &str, body: Vec<u8>| {
        let call = owner.call("PUT", &at(&job, &format!("/parts/{number}")));
        call.body_of(kind, body).send().await.status
    };
    let head = b"number,name,email\n".to_vec();
    let long = [head.clone(), b"N-1,\"".to_vec(), vec![b'x'; 2 << 20]].concat();
    for (number, kind, body, status) in [
        ("1", "application/json", head.clone(), 415),
        ("0", "text/csv", head.clone(), 422),
        ("100001", "text/csv", head.clone(), 422),
        ("x", "text/csv", head.clone(), 404),
        ("1?first_line=0", "text/csv", head.clone(), 400),
        ("1", "text/csv", b"number;name;email\n".to_vec(), 422),
        ("1", "text/csv", long, 422),
        ("1", "text/csv", vec![b'x'; 10 << 20], 413),
    ] {
        assert_eq!(send(number, kind, body).await, status, "{number} {kind}");
    }
    // Rows in another encoding are rejected one by one.
    let latin = [head, b"N-1,J\xf6rg,j@j.example\nN-2,Ida,ida@i.example\n".to_vec()].concat();
    assert_eq!(send("1", "text/csv", latin).await, 200);
    assert_eq!(start(owner, &job, 1).await.status, 200);
    let done = ended(&server, owner, &job).await;
    assert_eq!(
        (&done["outcomes"]["created"], &done["outcomes"]["rejected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(rejects(owner, &job).await[0]["errors"][0]["detail"], "cell 2 is not UTF-8");
}

#[tokio::test]
async fn strangers_do_not_learn_of_a_job_and_nobody_else_sends_to_it() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let other = Clinic::open(&server, "Other Clinic").await;
    let owner = &clinic.tenant.owner;
    let key = clinic.tenant.key(&server, &["owner"]).await;
    let job = begin(&key, json!({"mapping": people()})).await;
    // The clerk may not run the place, and has not asked for it.
    let none = clinic.clerk.get("/jobs/job_00000000000000000000000000").await;
    for path in ["", "/rejects"] {
        let seen = clinic.clerk.get(&at(&job, path)).await;
        assert_eq!((seen.status, seen.code()), (404, "not_found".to_owned()));
        assert_eq!(seen.without_request_id(), none.without_request_id());
    }
    assert!(clinic.clerk.all("/jobs", 100).await.is_empty());
    assert_eq!(clinic.clerk.post(&at(&job, "/cancel"), json!({})).await.status, 404);
    for caller in [&other.tenant.owner, &other.tenant.owner.in_home_of(owner)] {
        assert_eq!(caller.get(&at(&job, "")).await.status, 404);
    }
    // The owner sees and may stop it; what is imported comes from whoever asked.
    assert_eq!(owner.all("/jobs", 100).await.len(), 1);
    assert_eq!(part(owner, &job, 1, "number,name,email\n").await.status, 404);
    assert_eq!(start(owner, &job, 0).await.status, 404);
    assert_eq!(owner.post(&at(&job, "/cancel"), json!({})).await.ok()["state"], "cancelled");
    assert_eq!(part(&key, &job, 1, "number,name,email\n").await.status, 409);
    assert_eq!(owner.post(&at(&job, "/cancel"), json!({})).await.status, 409);
    // The operator has no way to it.
    let there = server.operator().with_home(owner.home());
    assert_eq!(there.get(&at(&job, "")).await.status, 404);
}

#[tokio::test]
async fn a_tenant_has_four_open_jobs_and_room_again_when_one_has_ended() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let owner = &clinic.tenant.owner;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(begin(owner, json!({"mapping": people()})).await);
    }
    let full = owner.post_once("/imports", json!({"mapping": people()})).await;
    full.refused(409, "too_many_open_jobs");
    for (number, job) in jobs.iter().enumerate() {
        let rows =
            format!("number,name,email\nN-{number},Nora,n@n.example\nN-x,Xaver,x@x.example\n");
        assert_eq!(part(owner, job, 1, &rows).await.status, 200);
        assert_eq!(start(owner, job, 1).await.status, 200);
    }
    let mut created = 0;
    for job in &jobs {
        let done = ended(&server, owner, job).await;
        assert_eq!(done["state"], "done", "{done}");
        created += done["outcomes"]["created"].as_u64().unwrap();
    }
    assert_eq!(created, 5);
    // An upload that comes to no end goes after a day, and its job after 30.
    let ends = server.clock.in_seconds(40 * DAY);
    let body = json!({"label": "long", "classes": ["owner"], "expires_at": ends});
    let made = owner.post("/api-keys", body).await.ok();
    let key = owner.with_token(made["token"].as_str().unwrap());
    let left = begin(&key, json!({"mapping": people()})).await;
    server.clock.advance(DAY + 1);
    server.run_due_jobs().await;
    let found = key.get(&at(&left, "")).await.ok();
    let how = (&found["state"], &found["problem"]);
    assert_eq!(how, (&json!("cancelled"), &json!("upload_abandoned")));
    server.clock.advance(30 * DAY + 1);
    server.run_due_jobs().await;
    assert!(key.all("/jobs", 100).await.is_empty());
}

#[tokio::test]
async fn a_job_stops_when_whoever_asked_may_not_any_more() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let owner = &clinic.tenant.owner;
    let ends = server.clock.in_seconds(DAY);
    let body = json!({"label": "importer", "classes": ["owner"], "expires_at": ends});
    let made = owner.post("/api-keys", body).await.ok();
    let mine = made["id"].as_str().unwrap();
    let key = owner.with_token(made["token"].as_str().unwrap());
    let job = begin(&key, json!({"mapping": people()})).await;
    let rows = "number,name,email\nN-1,Nora,nora@new.example\n";
    assert_eq!(part(&key, &job, 1, rows).await.status, 200);
    let before = owner.all("/collections/patients/records", 100).await.len();
    assert_eq!(start(&key, &job, 1).await.status, 200);
    let revoked = owner.delete(&format!("/api-keys/{mine}")).await;
    assert!(revoked.status < 300, "{}", revoked.text());
    let ended = ended(&server, owner, &job).await;
    let made = owner.all("/collections/patients/records", 100).await.len();
    assert_eq!(
        (&ended["state"], &ended["problem"]),
        (&json!("failed"), &json!("asker_not_allowed"))
    );
    assert_eq!(made, before);
    // What was refused is on record, and what waited is cleared.
    let lines = owner.all("/audit", 1000).await;
    assert!(lines.iter().any(|line| line["code"] == "import.start"));
}

#[tokio::test]
async fn an_erasure_ends_the_imports_of_its_tenant_and_nothing_of_them_opens_after_it() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let other = Clinic::open(&server, "Other Clinic").await;
    let owner = &clinic.tenant.owner;
    let job = begin(owner, json!({"mapping": people()})).await;
    let elsewhere = begin(&other.tenant.owner, json!({"mapping": people()})).await;
    let rows = "number,name,email\nP-1,Mira Halloran,mira@halloran.example\n";
    assert_eq!(part(owner, &job, 1, rows).await.status, 200);
    let target = json!({"subject": clinic.subjects[0]});
    clinic.erase(owner, target).await;
    let ended = owner.get(&at(&job, "")).await.ok();
    assert_eq!((&ended["state"], &ended["problem"]), (&json!("failed"), &json!("erasure_came")));
    assert_eq!(part(owner, &job, 2, rows).await.status, 409);
    assert_eq!(start(owner, &job, 1).await.status, 409);
    server.run_due_jobs().await;
    let gone = owner.post("/collections/patients/records:lookup", json!({"external_id": "P-1"}));
    assert_ne!(gone.await.status, 200);
    // Another tenant's goes on.
    let theirs = other.tenant.owner.get(&at(&elsewhere, "")).await.ok();
    assert_eq!(theirs["state"], "uploading");
}

#[tokio::test]
async fn a_job_that_was_stopped_makes_nothing_more() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let owner = &clinic.tenant.owner;
    let before = owner.all("/collections/patients/records", 100).await.len();
    let rows = "number,name,email\nN-1,Nora,nora@new.example\n";
    let job = send(owner, json!({"mapping": people()}), rows).await;
    assert_eq!(owner.post(&at(&job, "/cancel"), json!({})).await.status, 200);
    let stopped = ended(&server, owner, &job).await;
    assert_eq!(stopped["state"], "cancelled");
    assert_eq!(stopped["progress"], json!({"done": 0, "total": 1}));
    assert_eq!(owner.all("/collections/patients/records", 100).await.len(), before);
    // The same file again makes what was not made.
    let again = send(owner, json!({"mapping": people()}), rows).await;
    assert_eq!(ended(&server, owner, &again).await["outcomes"]["created"], 1);
}

/// How somebody loses the right to what they have asked for.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// The credential is revoked.
    Revoked,
    /// The user is suspended.
    Suspended,
    /// The class creates nothing any more.
    Narrowed,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_is_made_once_the_loss_of_a_right_in_the_middle_of_a_job_is_acknowledged() {
    const ROWS: u32 = 10_000;
    for loss in [Loss::Revoked, Loss::Suspended, Loss::Narrowed] {
        let server = Arc::new(Server::memory().await);
        let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
        let owner = &clinic.tenant.owner;
        let rules = json!([{"actions": ["create"], "view": "clear", "write": true}]);
        let class = json!({"name": "mover", "label": "Mover", "terms": {"rules": rules}});
        assert_eq!(owner.post("/classes", class).await.status, 201);
        let (user, session) = clinic.tenant.user(&server, &["mover"]).await;
        let ends = server.clock.in_seconds(DAY);
        let body = json!({"label": "mover", "classes": ["mover"], "expires_at": ends});
        let made = owner.post("/api-keys", body).await.ok();
        let key = owner.with_token(made["token"].as_str().unwrap());
        let asker = match loss {
            Loss::Suspended => &session,
            Loss::Revoked | Loss::Narrowed => &key,
        };
        let mut rows = String::from("number,name,email\n");
        for number in 0..ROWS {
            writeln!(rows, "N-{number},Nora,n{number}@new.example").unwrap();
        }
        let job = send(asker, json!({"mapping": people()}), &rows).await;
        let lose = async {
            let mut looks = 0;
            loop {
                let come = owner.get(&at(&job, "")).await.ok();
                if come["progress"]["done"].as_u64().unwrap() > 0 {
                    assert_eq!(come["state"], "running", "it was faster than the loss: {come}");
                    break;
                }
                looks += 1;
                assert!(looks < LOOKS_MAX, "the job does not begin: {come}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let lost = match loss {
                Loss::Revoked => {
                    owner.delete(&format!("/api-keys/{}", made["id"].as_str().unwrap())).await
                }
                Loss::Suspended => {
                    let suspended = json!({"state": "suspended"});
                    owner.patch_if(&format!("/users/{user}"), "*", suspended).await
                }
                Loss::Narrowed => {
                    let nothing = json!({"label": "Mover", "terms": {"rules": []}});
                    owner.put_if("/classes/mover", "*", nothing).await
                }
            };
            assert!(lost.status < 300, "{loss:?}: {}", lost.text());
            owner.get(&at(&job, "")).await.ok()["progress"]["done"].clone()
        };
        let worker = tokio::spawn({
            let server = server.clone();
            async move { server.run_due_jobs().await }
        });
        let then = lose.await;
        worker.await.unwrap();
        let ended = ended(&server, owner, &job).await;
        assert_eq!(
            (&ended["state"], &ended["problem"]),
            (&json!("failed"), &json!("asker_not_allowed")),
            "{loss:?}: {ended}"
        );
        assert_eq!(ended["progress"]["done"], then, "{loss:?}: {ended}");
        assert!(then.as_u64().unwrap() < u64::from(ROWS), "{loss:?}: {ended}");
        let records = owner.all("/collections/patients/records?fields=name", 1000).await;
        let made = records
            .iter()
            .filter(|record| record["external_id"].as_str().is_some_and(|id| id.starts_with("N-")));
        assert_eq!(json!(made.count()), then, "{loss:?}");
    }
}
