//! Exports as jobs: taken in parts by whoever asked and nobody else, seen and stopped by those who run
//! the place, and the same records as those of an export that is taken page by page.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Person, Reply, Server, fresh_key};

use crate::export::exporter;

const DAY: i64 = 24 * 60 * 60;

async fn opened() -> (Server, Clinic) {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    (server, clinic)
}

/// More patients, each created in a millisecond of their own.
async fn more(server: &Server, clinic: &Clinic, people: u32) {
    for number in 0..people {
        server.clock.advance(1);
        let body = json!({"external_id": format!("M-{number}"), "fields": {"name": "Malin"}});
        clinic.tenant.record("patients", body).await;
    }
}

/// Asks for an export and gives the job.
async fn begin(caller: &Caller, body: Value) -> Value {
    let answer = caller.post_once("/exports", body).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let job = answer.json();
    assert_eq!(job["state"], "queued");
    assert_eq!(job["kind"], "export");
    let location = answer.header("location").unwrap().to_owned();
    assert!(location.ends_with(&at(&job, "")), "{location}");
    job
}

fn patients(part_records: u32) -> Value {
    json!({"collection": "patients", "part_records": part_records})
}

fn at(job: &Value, rest: &str) -> String {
    format!("/jobs/{}{rest}", job["id"].as_str().unwrap())
}

async fn part(caller: &Caller, job: &Value, number: u32) -> Reply {
    caller.get(&at(job, &format!("/parts/{number}"))).await
}

/// A part that is given.
async fn given(caller: &Caller, job: &Value, number: u32) -> Reply {
    let part = part(caller, job, number).await;
    assert_eq!(part.status, 200, "{}", part.text());
    part
}

/// The external ids in a part that is NDJSON.
fn names(part: &Reply) -> Vec<String> {
    let records = part.text();
    let records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| record["external_id"].as_str().unwrap().to_owned()).collect()
}

/// All parts from this one on, as one file.
async fn rest(caller: &Caller, job: &Value, from: u32) -> String {
    let mut text = String::new();
    let mut number = from;
    loop {
        let part = given(caller, job, number).await;
        text.push_str(&part.text());
        number += 1;
        match part.header("strongroom-next") {
            Some(next) => {
                assert_eq!(next, number.to_string());
                let link = part.header("link").unwrap();
                assert!(link.contains(&at(job, &format!("/parts/{number}>"))), "{link}");
            }
            None => return text,
        }
    }
}

async fn shown(caller: &Caller, job: &Value) -> Value {
    caller.get(&at(job, "")).await.ok()
}

#[tokio::test]
async fn the_parts_of_an_export_are_its_pages_and_others_see_how_far_it_is() {
    let (server, clinic) = opened().await;
    more(&server, &clinic, 40).await;
    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    for (format, media_type) in
        [("ndjson", "application/x-ndjson"), ("csv", "text/csv; charset=utf-8; header=present")]
    {
        let path = format!("/collections/patients/records:export?limit=1000&format={format}");
        let whole = out.get(&path).await;
        assert_eq!(whole.status, 200, "{}", whole.text());
        let mut body = patients(10);
        body["format"] = json!(format);
        let job = begin(&out, body).await;
        let first = given(&out, &job, 1).await;
        assert_eq!(first.header("content-type"), Some(media_type));
        assert!(first.header("strongroom-audit").is_some());
        // Whoever runs the place sees it, and how far it is.
        let seen = shown(&clinic.tenant.owner, &job).await;
        assert_eq!(seen["state"], "running");
        assert_eq!(seen["progress"], json!({"done": 10, "total": 0}));
        let taken = json!({"collections": ["patients"], "format": format, "part": 1});
        assert_eq!(seen["export"], taken);
        let jobs = clinic.tenant.owner.all("/jobs", 100).await;
        assert!(jobs.iter().any(|found| found["id"] == job["id"]));
        let all = first.text() + &rest(&out, &job, 2).await;
        assert_eq!(all, whole.text());
        let done = shown(&out, &job).await;
        assert_eq!(done["state"], "done");
        assert_eq!(done["progress"], json!({"done": 43, "total": 43}));
        assert_eq!(done["export"]["part"], 5);
    }
    // The lines name who took them and through which job.
    let lines = clinic.tenant.owner.all("/audit", 1000).await;
    let of_jobs: Vec<_> = lines
        .iter()
        .filter(|line| line["code"] == "record.export" && line["through"]["kind"] == "job")
        .collect();
    assert_eq!(of_jobs.len(), 10);
    let touched: usize =
        of_jobs.iter().map(|line| line["touches"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(touched, 86);
    assert!(of_jobs.iter().all(|line| line["principal"].to_string().contains("key_")));
}

#[tokio::test]
async fn an_export_shows_what_the_caller_may_see_and_nothing_else() {
    let (server, clinic) = opened().await;
    let masked = exporter(&server, &clinic.tenant, "masked_exporter", "masked").await;
    let hidden = exporter(&server, &clinic.tenant, "hidden_exporter", "hidden").await;
    for caller in [&masked, &hidden] {
        for format in ["ndjson", "csv"] {
            let job = begin(caller, json!({"collection": "patients", "format": format})).await;
            let text = rest(caller, &job, 1).await;
            for person in Person::ALL {
                for secret in [person.name, person.email, person.phone, person.birth_date] {
                    assert!(!text.contains(secret), "{secret}");
                }
            }
        }
    }
    let clear = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let job = begin(&clear, json!({"collection": "patients", "fields": ["name", "name"]})).await;
    let records = rest(&clear, &job, 1).await;
    let first: Value = serde_json::from_str(records.lines().next().unwrap()).unwrap();
    assert_eq!(first["fields"], json!({"name": Person::ALL[0].name}));
    // To read is not to take out.
    for caller in [&clinic.manager, &clinic.clerk] {
        caller.post_once("/exports", patients(10)).await.refused(403, "no_rule");
    }
    clear.post_once("/exports", json!({"collection": "nothing"})).await.refused(404, "not_found");
    for (body, status) in [
        (patients(0), 422),
        (patients(1001), 422),
        (patients(70_000), 400),
        (json!({"collection": "patients", "format": "xlsx"}), 400),
        (json!({"collection": "patients", "fields": ["nothing"]}), 422),
        (json!({"collection": "patients", "fields": null}), 400),
        (json!({"collection": "patients", "reveal": ["nothing"]}), 422),
        (json!({"collection": "patients", "unknown": 1}), 400),
        (json!({}), 400),
    ] {
        let refused = clear.post_once("/exports", body.clone()).await;
        let status = [status, 422].contains(&refused.status);
        assert!(status, "{body}: {} {}", refused.status, refused.text());
    }
    let without_key = clear.post("/exports", patients(10)).await;
    assert_eq!(without_key.status, 400, "{}", without_key.text());
}

#[tokio::test]
async fn parts_are_taken_in_their_order_and_the_last_of_them_again() {
    let (server, clinic) = opened().await;
    more(&server, &clinic, 7).await;
    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let job = begin(&out, patients(4)).await;
    for wrong in ["0", "2", "4294967295"] {
        let refused = out.get(&at(&job, &format!("/parts/{wrong}"))).await;
        refused.refused(409, "part_out_of_order");
    }
    for none in ["4294967296", "-1", "x", "1x", "99999999999999999999999"] {
        out.get(&at(&job, &format!("/parts/{none}"))).await.refused(404, "not_found");
    }
    assert_eq!(shown(&out, &job).await["state"], "queued");
    let first = given(&out, &job, 1).await;
    assert_eq!(given(&out, &job, 1).await.text(), first.text());
    assert_eq!(shown(&out, &job).await["progress"]["done"], 4);
    let second = given(&out, &job, 2).await;
    let late = part(&out, &job, 1).await.refused(409, "part_out_of_order");
    assert!(late["detail"].as_str().unwrap().contains("part 3 comes next"), "{late}");
    assert_eq!(given(&out, &job, 2).await.text(), second.text());
    // Two takers at once get the same part, and it is counted once.
    let (one, two) = tokio::join!(given(&out, &job, 3), given(&out, &job, 3));
    assert_eq!(one.text(), two.text());
    assert_eq!(one.header("strongroom-next"), None);
    let done = shown(&out, &job).await;
    assert_eq!((&done["state"], &done["progress"]["done"]), (&json!("done"), &json!(10)));
    // The last part may have been lost on its way: for a day it is given again, without what is new.
    server.clock.advance(1);
    clinic.tenant.record("patients", json!({"external_id": "new", "fields": {}})).await;
    assert_eq!(given(&out, &job, 3).await.text(), one.text());
    part(&out, &job, 4).await.refused(409, "part_out_of_order");
    part(&out, &job, 2).await.refused(409, "part_out_of_order");
    server.run_due_jobs().await;
    assert_eq!(given(&out, &job, 3).await.text(), one.text());
    let total = names(&first).len() + names(&second).len() + names(&one).len();
    assert_eq!(total, 10);
    assert_eq!(out.post(&at(&job, "/cancel"), json!({})).await.status, 409);
    // What is empty has one part.
    clinic.tenant.collection("empty", json!("nobody"), &[("note", json!("text"))]).await;
    for (format, text) in [("ndjson", ""), ("csv", "_id,_external_id")] {
        let job = begin(&out, json!({"collection": "empty", "format": format})).await;
        for _ in 0..2 {
            let only = given(&out, &job, 1).await;
            assert!(only.text().starts_with(text) && only.text().lines().count() <= 1);
            assert_eq!(only.header("strongroom-next"), None);
        }
        assert_eq!(shown(&out, &job).await["progress"], json!({"done": 0, "total": 0}));
    }
}

#[tokio::test]
async fn nobody_but_whoever_asked_takes_parts_and_who_runs_the_place_stops_it() {
    let (server, clinic) = opened().await;
    more(&server, &clinic, 7).await;
    let other = Clinic::open(&server, "Other Clinic").await;
    let owner = &clinic.tenant.owner;
    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    // With the same class, and made by the same person.
    let twin = clinic.tenant.key(&server, &["exporter"]).await;
    let job = begin(&out, patients(4)).await;
    given(&out, &job, 1).await;
    let before = shown(&out, &job).await;
    let none = json!({"id": "job_00000000000000000000000000"});
    for number in [0, 1, 2, 3] {
        for caller in [owner, &twin, &clinic.clerk, &clinic.manager, &clinic.officer] {
            let there = part(caller, &job, number).await;
            there.refused(404, "not_found");
            assert_eq!(
                there.without_request_id(),
                part(caller, &none, number).await.without_request_id()
            );
        }
        for caller in [&other.tenant.owner, &other.tenant.owner.in_home_of(owner)] {
            part(caller, &job, number).await.refused(404, "not_found");
        }
        assert_eq!(part(&out.nobody(), &job, number).await.status, 401);
    }
    let operator = server.operator().with_home(owner.home());
    assert_eq!(part(&operator, &job, 2).await.status, 404);
    assert_eq!(shown(&out, &job).await, before);
    // What is imported is not taken out, and the other way round.
    let import = out.post_once("/imports", json!({"exported": "patients"})).await;
    import.refused(403, "no_rule");
    let import = owner.post_once("/imports", json!({"exported": "patients"})).await.json();
    part(owner, &import, 1).await.refused(404, "not_found");
    let call = out.call("PUT", &at(&job, "/parts/1"));
    let fed = call.body_of("application/x-ndjson", "{}\n").send().await;
    assert_eq!(fed.status, 404, "{}", fed.text());
    assert_eq!(out.post(&at(&job, "/start"), json!({"parts": 1})).await.status, 404);
    // Who has no part in it does not stop it either; the owner does.
    for caller in [&clinic.clerk, &other.tenant.owner.in_home_of(owner)] {
        assert_eq!(caller.post(&at(&job, "/cancel"), json!({})).await.status, 404);
    }
    assert_eq!(owner.post(&at(&job, "/cancel"), json!({})).await.ok()["state"], "cancelled");
    for number in [1, 2] {
        let stopped = part(&out, &job, number).await.refused(409, "wrong_state");
        assert!(stopped["detail"].as_str().unwrap().contains("cancelled"), "{stopped}");
    }
    assert_eq!(shown(&out, &job).await["progress"]["done"], 4);
}

#[tokio::test]
async fn what_is_revoked_between_two_parts_is_not_used_for_the_next() {
    let (server, clinic) = opened().await;
    more(&server, &clinic, 7).await;
    let owner = &clinic.tenant.owner;
    let rules = json!([{"actions": ["export"], "view": "clear"}]);
    let class = json!({"name": "mover", "label": "Mover", "terms": {"rules": rules}});
    owner.post("/classes", class.clone()).await.id();
    let ends = server.clock.in_seconds(DAY);
    let body = json!({"label": "mover", "classes": ["mover"], "expires_at": ends});
    let made = owner.post("/api-keys", body).await.ok();
    let mover = owner.with_token(made["token"].as_str().unwrap());
    let job = begin(&mover, patients(3)).await;
    let first = given(&mover, &job, 1).await;
    // Less is seen, also of the part that is taken again.
    let less = json!([{"actions": ["export"], "view": "hidden"}]);
    let narrowed = json!({"label": "Mover", "terms": {"rules": less}});
    owner.put_if("/classes/mover", "*", narrowed).await.ok();
    let again = given(&mover, &job, 1).await;
    assert_eq!(names(&again), names(&first));
    assert!(first.text().contains(Person::ALL[0].name));
    assert!(!again.text().contains(Person::ALL[0].name));
    // Nothing is given, and the job waits until the right is back.
    let nothing = json!({"label": "Mover", "terms": {"rules": []}});
    owner.put_if("/classes/mover", "*", nothing).await.ok();
    let stopped = part(&mover, &job, 2).await;
    assert!([403, 404].contains(&stopped.status), "{}", stopped.text());
    assert_eq!(shown(owner, &job).await["progress"]["done"], 3);
    let wide = json!({"label": "Mover", "terms": {"rules": rules}});
    owner.put_if("/classes/mover", "*", wide).await.ok();
    given(&mover, &job, 2).await;
    // With the credential the export ends for good.
    let revoked = owner.delete(&format!("/api-keys/{}", made["id"].as_str().unwrap())).await;
    assert!(revoked.status < 300, "{}", revoked.text());
    assert_eq!(part(&mover, &job, 3).await.status, 401);
    assert_eq!(shown(owner, &job).await["progress"]["done"], 6);
    // A user who is suspended takes nothing more.
    let (id, user) = clinic.tenant.user(&server, &["mover"]).await;
    let job = begin(&user, patients(3)).await;
    given(&user, &job, 1).await;
    owner.patch_if(&format!("/users/{id}"), "*", json!({"state": "suspended"})).await.ok();
    assert_eq!(part(&user, &job, 2).await.status, 401);
    assert_eq!(shown(owner, &job).await["progress"]["done"], 3);
}

#[tokio::test]
async fn what_is_erased_between_two_parts_is_in_none_that_is_taken_afterwards() {
    let (server, clinic) = opened().await;
    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let job = begin(&out, patients(2)).await;
    let first = given(&out, &job, 1).await;
    assert_eq!(names(&first), ["P-1", "P-2"]);
    for gone in [0, 2] {
        let target = json!({"subject": clinic.subjects[gone]});
        let erase = json!({"target": target, "ground": "subject_request"});
        assert!(clinic.tenant.owner.post_once("/erasures", erase).await.status < 300);
    }
    // An export keeps nothing, so an erasure does not end it.
    let again = given(&out, &job, 1).await;
    assert_eq!(names(&again), ["P-2"]);
    assert_eq!(shown(&out, &job).await["progress"]["done"], 1);
    server.run_due_jobs().await;
    assert_eq!(names(&given(&out, &job, 1).await), ["P-2"]);
    let second = given(&out, &job, 2).await;
    assert!(names(&second).is_empty(), "{}", second.text());
    assert_eq!(second.header("strongroom-next"), None);
    assert_eq!(shown(&out, &job).await["progress"], json!({"done": 1, "total": 1}));
    // A collection that is gone takes its exports with it, also where another has its name.
    let job = begin(&out, json!({"collection": "visits", "part_records": 1})).await;
    given(&out, &job, 1).await;
    let target = json!({"collection": "visits"});
    let erase = json!({"target": target, "ground": "no_longer_needed"});
    let erased = clinic.tenant.owner.post_once("/erasures", erase).await;
    assert!(erased.status < 300, "{}", erased.text());
    server.run_due_jobs().await;
    for number in [1, 2] {
        let gone = part(&out, &job, number).await;
        assert!([404, 410].contains(&gone.status), "{} {}", gone.status, gone.text());
    }
}

#[tokio::test]
async fn a_table_has_the_same_columns_in_all_its_parts() {
    let (server, clinic) = opened().await;
    let owner = &clinic.tenant.owner;
    let hostile = json!({"external_id": "=1+1", "fields": {"name": "Hana", "note": "@SUM(1)"}});
    clinic.tenant.record("patients", hostile).await;
    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let job = begin(&out, json!({"collection": "patients", "format": "csv", "part_records": 1}));
    let job = job.await;
    let first = given(&out, &job, 1).await.text();
    let change = json!({
        "add_fields": [{"name": "added", "type": "text"}], "retire_fields": ["email"],
    });
    let changed = owner.patch_if("/collections/patients", "*", change).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    server.clock.advance(1);
    let late = json!({"external_id": "late", "fields": {"name": "Lea", "added": "new"}});
    clinic.tenant.record("patients", late).await;
    let all = first + &rest(&out, &job, 2).await;
    assert!(all.starts_with("_id,_external_id,"), "{all}");
    assert_eq!(all.matches("_external_id").count(), 2, "the line of names stands once: {all}");
    let columns = all.lines().next().unwrap().split(',').count();
    assert_eq!(all.lines().count(), 6, "{all}");
    for line in all.lines() {
        assert_eq!(line.split(',').count(), columns, "{line}");
    }
    assert!(all.contains("email") && !all.contains("added") && !all.contains("new"), "{all}");
    assert!(all.contains(Person::ALL[0].email) && !all.contains(Person::ALL[1].email), "{all}");
    assert!(all.contains("'=1+1") && all.contains("'@SUM(1)"), "{all}");
}

#[tokio::test]
async fn an_export_that_is_asked_for_twice_is_made_once_and_one_that_is_left_ends() {
    let (server, clinic) = opened().await;
    let owner = &clinic.tenant.owner;
    more(&server, &clinic, 12).await;
    let ask = async |key: &str, body: &Value| {
        let call = owner.call("POST", "/exports").header("Idempotency-Key", key);
        call.json(body).send().await
    };
    let key = fresh_key();
    let one = ask(&key, &patients(1)).await.json();
    let two = ask(&key, &patients(1)).await;
    assert_eq!((two.status, &two.json()["id"]), (202, &one["id"]));
    ask(&key, &patients(2)).await.refused(422, "idempotency_key_reused");
    // As many as may be open, beside the imports.
    for _ in 0..15 {
        begin(owner, patients(1)).await;
    }
    owner.post_once("/exports", patients(1)).await.refused(409, "too_many_open_jobs");
    for _ in 0..4 {
        let import = owner.post_once("/imports", json!({"exported": "patients"})).await;
        assert_eq!(import.status, 202, "{}", import.text());
    }
    let import = owner.post_once("/imports", json!({"exported": "patients"})).await;
    import.refused(409, "too_many_open_jobs");
    // After a day in which no part was taken an export ends.
    let ends = server.clock.in_seconds(30 * DAY);
    let body = json!({"label": "long", "classes": ["owner"], "expires_at": ends});
    let made = owner.post("/api-keys", body).await.ok();
    let long = owner.with_token(made["token"].as_str().unwrap());
    assert_eq!(owner.post(&at(&one, "/cancel"), json!({})).await.status, 200);
    let job = begin(&long, patients(1)).await;
    server.clock.advance(DAY - 60);
    server.run_due_jobs().await;
    given(&long, &job, 1).await;
    server.clock.advance(120);
    server.run_due_jobs().await;
    let jobs = long.all("/jobs", 100).await;
    let left = jobs.iter().filter(|job| job["problem"] == "export_abandoned").count();
    assert_eq!(left, 15, "{jobs:?}");
    assert_eq!(shown(&long, &job).await["state"], "running");
    // And after seven, however slowly it is taken.
    for number in 2..8 {
        server.clock.advance(DAY - 180);
        server.run_due_jobs().await;
        given(&long, &job, number).await;
    }
    server.clock.advance(DAY - 60);
    server.run_due_jobs().await;
    let left = shown(&long, &job).await;
    let how = (&left["state"], &left["problem"]);
    assert_eq!(how, (&json!("cancelled"), &json!("export_abandoned")));
    part(&long, &job, 8).await.refused(409, "wrong_state");
    // The last part of a whole one is given again for a day.
    let job = begin(&long, patients(1000)).await;
    given(&long, &job, 1).await;
    server.clock.advance(DAY - 60);
    given(&long, &job, 1).await;
    server.clock.advance(120);
    part(&long, &job, 1).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn an_export_is_gone_on_with_after_a_restart_and_for_the_purpose_that_was_named() {
    let mut server = Server::redb().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let rules = json!([{"actions": ["export"], "view": "clear", "purposes": ["care", "billing"]}]);
    let class = json!({"name": "mover", "label": "Mover", "terms": {"rules": rules}});
    assert_eq!(clinic.tenant.owner.post("/classes", class).await.status, 201);
    let mut mover = clinic.tenant.key(&server, &["mover"]).await;
    let call = mover.call("POST", "/exports").header("Strongroom-Purpose", "care");
    let call = call.header("Idempotency-Key", &fresh_key());
    let job = call.json(&patients(2)).send().await;
    assert_eq!(job.status, 202, "{}", job.text());
    let job = job.json();
    let mut names_taken = names(&given(&mover, &job, 1).await);
    server.restart().await;
    mover = server.again(&mover);
    names_taken.extend(names(&given(&mover, &job, 2).await));
    assert_eq!(names_taken, ["P-1", "P-2", "P-3"]);
    let owner = server.again(&clinic.tenant.owner);
    let lines = owner.all("/audit", 1000).await;
    let taken: Vec<_> = lines.iter().filter(|line| line["code"] == "record.export").collect();
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|line| line["purpose"] == "care"), "{taken:?}");
}

#[tokio::test]
async fn exports_that_have_ended_make_room_for_others_and_imports_do_not() {
    const KEPT: usize = 1_000;
    let (server, clinic) = opened().await;
    let owner = &clinic.tenant.owner;
    let import = owner.post_once("/imports", json!({"exported": "patients"})).await.json();
    assert_eq!(owner.post(&at(&import, "/cancel"), json!({})).await.status, 200);
    for _ in 0..KEPT + 5 {
        server.clock.advance(1);
        let job = begin(owner, patients(1000)).await;
        let only = given(owner, &job, 1).await;
        assert_eq!(only.header("strongroom-next"), None);
    }
    let jobs = owner.all("/jobs", 1000).await;
    assert_eq!(jobs.len(), KEPT);
    assert_eq!(jobs[0]["id"], import["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_that_end_at_the_same_time_all_leave_the_list_of_open_ones() {
    let (_server, clinic) = opened().await;
    let owner = &clinic.tenant.owner;
    for _ in 0..4 {
        let mut jobs = Vec::new();
        for _ in 0..16 {
            jobs.push(begin(owner, patients(1000)).await);
        }
        owner.post_once("/exports", patients(1)).await.refused(409, "too_many_open_jobs");
        let takers = jobs.iter().map(|job| {
            let (owner, job) = (owner.clone(), job.clone());
            tokio::spawn(async move { given(&owner, &job, 1).await.status })
        });
        let takers: Vec<_> = takers.collect();
        for taker in takers {
            assert_eq!(taker.await.unwrap(), 200);
        }
        for job in &jobs {
            assert_eq!(shown(owner, job).await["state"], "done");
        }
    }
}
