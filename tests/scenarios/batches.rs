//! Batches: up to 100 records in one request, each with a result of its own, nothing of it wider than
//! the same requests one by one.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Person, Reply, Server, Tenant, fresh_key};

const GET: &str = "/records:batchGet";
const CREATE: &str = "/collections/patients/records:batchCreate";
const PATCH: &str = "/collections/patients/records:batchPatch";
const DELETE: &str = "/collections/patients/records:batchDelete";

async fn opened() -> (Server, Clinic) {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    (server, clinic)
}

fn by_id(collection: &str, id: &str) -> Value {
    json!({"collection": collection, "id": id})
}

fn by_external_id(collection: &str, id: &str) -> Value {
    json!({"collection": collection, "external_id": id})
}

fn results(reply: &Reply) -> Vec<Value> {
    let results = reply.ok()["results"].as_array().unwrap().clone();
    for (place, result) in results.iter().enumerate() {
        assert_eq!(result["index"], place, "{result}");
    }
    results
}

async fn get(caller: &Caller, items: Vec<Value>) -> Vec<Value> {
    results(&caller.post(GET, json!({"items": items})).await)
}

/// The codes of the items' problems; empty where an item has none.
fn codes(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["problem"]["code"].as_str().unwrap_or_default()).collect()
}

fn id_of(result: &Value) -> &str {
    result["id"].as_str().unwrap()
}

/// A problem without what differs from request to request.
fn bare(problem: &Value) -> Value {
    let mut problem = problem.clone();
    problem["request_id"] = Value::Null;
    problem
}

fn new(external_id: &str, name: &str) -> Value {
    json!({"external_id": external_id, "fields": {"name": name}})
}

/// A class that sees the records of one collection, and a key with it.
async fn key_of(server: &Server, tenant: &Tenant, name: &str, rules: Value) -> Caller {
    let class = json!({"name": name, "label": name, "terms": {"rules": rules}});
    assert_eq!(tenant.owner.post("/classes", class).await.status, 201);
    tenant.key(server, &[name]).await
}

async fn log_of(clinic: &Clinic, reply: &Reply) -> Vec<Value> {
    let log = clinic.tenant.owner.all("/audit", 1000).await;
    let place = |entry: &Value| {
        format!("{}.{}.{}", entry["node"], entry["n"], entry["tag"].as_str().unwrap())
    };
    let lines = reply.lines();
    let found: Vec<Value> = log.into_iter().filter(|entry| lines.contains(&place(entry))).collect();
    assert_eq!(found.len(), lines.len(), "{lines:?}");
    found
}

#[tokio::test]
async fn one_request_reads_records_of_several_collections_each_in_the_caller_s_view() {
    let (_server, clinic) = opened().await;
    let items = vec![
        by_external_id("visits", "V-2"),
        by_id("patients", &clinic.patients[0]),
        by_external_id("patients", "P-3"),
        by_id("patients", &clinic.patients[0]),
    ];
    let clear = get(&clinic.manager, items.clone()).await;
    assert_eq!(clear[0]["record"]["id"], clinic.visits[2].as_str());
    assert_eq!(clear[1]["record"]["fields"]["name"], Person::ALL[0].name);
    assert_eq!(clear[2]["record"]["fields"]["phone"], Person::ALL[2].phone);
    assert_eq!(clear[1]["record"], clear[3]["record"]);
    let single = clinic.manager.get(&clinic.patient(0)).await.ok();
    assert_eq!(clear[1]["record"], single);

    let masked = get(&clinic.clerk, items).await;
    assert_eq!(masked[1]["record"]["fields"], json!({}));
    assert_eq!(masked[1]["record"]["masked"]["name"], "M. H.");
    assert_eq!(masked[1]["record"], clinic.clerk.get(&clinic.patient(0)).await.ok());

    let body = json!({
        "items": [by_id("patients", &clinic.patients[0]), by_external_id("visits", "V-0")],
        "shown": {"patients": {"fields": ["phone"]}, "visits": {"fields": []}},
    });
    let some = results(&clinic.manager.post(GET, body).await);
    assert_eq!(some[0]["record"]["fields"], json!({"phone": Person::ALL[0].phone}));
    assert_eq!(some[1]["record"]["fields"], json!({}));
    assert_eq!(some[1]["record"]["external_id"], "V-0");
}

#[tokio::test]
async fn what_may_not_be_seen_and_what_is_not_there_are_the_same_item() {
    let (server, clinic) = opened().await;
    let other = Clinic::open(&server, "Lindenhof Practice").await;
    other.tenant.collection("secrets", json!("nobody"), &[("text", json!("text"))]).await;
    let secret = other.tenant.record("secrets", json!({"fields": {"text": "t"}})).await;
    let secret = secret["id"].as_str().unwrap();
    clinic.erase(&clinic.tenant.owner, json!({"subject": clinic.subjects[2]})).await;
    // Somebody who sees nothing but visits.
    let rules = json!([{"actions": ["read"], "collection": "visits", "view": "clear"}]);
    let narrow = key_of(&server, &clinic.tenant, "reception", rules).await;
    let nowhere = {
        let last = if clinic.patients[0].ends_with('0') { '1' } else { '0' };
        format!("{}{last}", &clinic.patients[0][..clinic.patients[0].len() - 1])
    };
    let items = vec![
        by_id("patients", &nowhere),
        by_id("patients", &clinic.patients[0]),
        by_external_id("patients", "P-1"),
        by_id("patients", &other.patients[0]),
        by_external_id("patients", "P-none"),
        by_id("visits", &clinic.patients[0]),
        by_id("visits", &other.visits[0]),
        by_id("nothing", &clinic.patients[0]),
        by_id("secrets", secret),
        by_id("patients", &clinic.patients[2]),
        by_id("visits", &clinic.visits[0]),
    ];
    let answer = narrow.post(GET, json!({"items": items})).await;
    let seen = results(&answer);
    let absent = bare(&seen[0]["problem"]);
    assert_eq!(absent["code"], "not_found");
    for (place, result) in seen.iter().enumerate().take(10) {
        assert_eq!(bare(&result["problem"]), absent, "item {place}");
        assert_eq!(result.as_object().unwrap().len(), 2, "item {place}: {result}");
    }
    assert_eq!(seen[10]["record"]["id"], clinic.visits[0].as_str());
    assert!(!other.tenant.name_in(&answer));
    let single = narrow.get(&clinic.patient(0)).await;
    assert_eq!(bare(&single.refused(404, "not_found")), absent);

    // Each refusal has its line, and what was seen has one.
    let lines = log_of(&clinic, &answer).await;
    let refused = lines.iter().filter(|line| line["outcome"] == "refused").count();
    assert_eq!((refused, lines.len()), (10, 11), "{lines:?}");
    // Whoever may know of erasures learns of this one, as from a single read.
    let owner = get(&clinic.tenant.owner, vec![by_id("patients", &clinic.patients[2])]).await;
    let alone = clinic.tenant.owner.get(&clinic.patient(2)).await;
    assert_eq!(bare(&owner[0]["problem"]), bare(&alone.json()));
}

#[tokio::test]
async fn one_line_for_each_collection_names_all_records_that_were_read() {
    let (_server, clinic) = opened().await;
    let items = vec![
        by_id("patients", &clinic.patients[0]),
        by_id("visits", &clinic.visits[0]),
        by_id("patients", &clinic.patients[1]),
        by_id("visits", &clinic.visits[3]),
        by_id("visits", &clinic.visits[1]),
    ];
    let answer = clinic.manager.post(GET, json!({"items": items})).await;
    let lines = log_of(&clinic, &answer).await;
    let mut touched: Vec<BTreeSet<String>> = lines
        .iter()
        .map(|line| {
            assert_eq!(
                (&line["code"], &line["action"]),
                (&json!("record.batch_get"), &json!("read"))
            );
            let touches = line["touches"].as_array().unwrap();
            touches.iter().map(|touch| touch["record"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    touched.sort_by_key(BTreeSet::len);
    let of = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<BTreeSet<_>>();
    assert_eq!(touched.len(), 2);
    assert_eq!(touched[0], of(&[&clinic.patients[0], &clinic.patients[1]]));
    assert_eq!(touched[1], of(&[&clinic.visits[0], &clinic.visits[1], &clinic.visits[3]]));
}

#[tokio::test]
async fn a_batch_beyond_its_bounds_or_of_another_form_is_refused_whole() {
    let (_server, clinic) = opened().await;
    let before = clinic.state().await;
    let manager = &clinic.manager;
    let read = by_id("patients", &clinic.patients[0]);
    let patch = json!({"id": clinic.patients[0], "if_match": "*", "fields": {"note": "n"}});
    let delete = json!({"id": clinic.patients[0]});
    let create = json!({"fields": {"name": "Nora"}});
    for (path, item) in [(GET, &read), (CREATE, &create), (PATCH, &patch), (DELETE, &delete)] {
        for count in [0, 101, 1000] {
            let answer = manager.post(path, json!({"items": vec![item; count]})).await;
            let problem = answer.refused(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], "/items", "{path} {count}");
        }
        for body in [
            json!({}),
            json!({"items": [item], "more": 1}),
            json!({"items": [[item]]}),
            json!({"items": item}),
            json!([item]),
            json!({"items": [null]}),
        ] {
            manager.post(path, body).await.refused(400, "invalid_json");
        }
    }
    let id = clinic.patients[0].as_str();
    for (path, item) in [
        (GET, json!({"collection": "patients"})),
        (GET, json!({"collection": "patients", "id": id, "external_id": "P-1"})),
        (PATCH, json!({"if_match": "*"})),
        (PATCH, json!({"id": id, "external_id": "P-1", "if_match": "*"})),
        (DELETE, json!({})),
    ] {
        let problem = manager.post(path, json!({"items": [item]})).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/items/0", "{path}");
    }
    for (path, item) in [
        (GET, json!({"id": id})),
        (PATCH, json!({"id": id, "if_match": "3"})),
        (PATCH, json!({"id": id, "if_match": -1})),
        (PATCH, json!({"id": id, "if_match": 1.5})),
        (PATCH, json!({"id": id, "if_match": null})),
        (DELETE, json!({"id": id, "if_match": [1]})),
        (DELETE, json!({"id": id, "fields": {}})),
    ] {
        manager.post(path, json!({"items": [item]})).await.refused(400, "invalid_json");
    }
    for (shown, pointer) in [
        (json!({"visits": {}}), "/shown/visits"),
        (json!({"patients": {"fields": ["nothing"]}}), "/shown/patients/fields"),
        (json!({"patients": {"reveal": ["nothing"]}}), "/shown/patients/reveal"),
    ] {
        let body = json!({"items": [read], "shown": shown});
        let problem = manager.post(GET, body).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    for shown in [json!({"patients": []}), json!({"patients": {"all": 1}}), json!([])] {
        let body = json!({"items": [read], "shown": shown});
        manager.post(GET, body).await.refused(400, "invalid_json");
    }
    assert_eq!(clinic.state().await, before);
    // A hundred are not too many.
    assert_eq!(get(manager, vec![read; 100]).await.len(), 100);
}

#[tokio::test]
async fn each_item_of_a_creation_has_its_own_outcome_and_an_atomic_one_is_all_or_nothing() {
    let (_server, clinic) = opened().await;
    let items = json!([
        new("B-1", "Bea One"),
        new("P-1", "Taken Already"),
        new("B-1", "Bea Twice"),
        {"fields": {"name": "No Number"}},
        {"external_id": "B-2", "fields": {"nothing": "x"}},
        {"external_id": "B-3", "fields": {"name": "x".repeat(17_000)}},
        {"external_id": "B-4", "subject": "sub_00000000000000000000000000", "fields": {}},
        new("B-5", "Bea Five"),
    ]);
    let before = clinic.state().await;
    let atomic = json!({"items": items, "atomic": true});
    let problem = clinic.manager.post_once(CREATE, atomic).await.refused(422, "batch_failed");
    let places: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "/items/1",
            "/items/2",
            "/items/4/fields/nothing",
            "/items/5/fields/name",
            "/items/6/subject"
        ]
    );
    assert!(problem["errors"][0]["detail"].as_str().unwrap().starts_with("external_id_taken: "));
    assert_eq!(clinic.state().await, before);

    let made = clinic.manager.post_once(CREATE, json!({"items": items})).await;
    let made = results(&made);
    assert_eq!(
        codes(&made),
        ["", "external_id_taken", "external_id_taken", "", "invalid", "invalid", "invalid", ""]
    );
    assert_eq!(made[4]["problem"]["errors"][0]["pointer"], "/fields/nothing");
    for (place, name) in [(0, "Bea One"), (3, "No Number"), (7, "Bea Five")] {
        let path = format!("/collections/patients/records/{}", id_of(&made[place]));
        let record = clinic.manager.get(&path).await.ok();
        assert_eq!((&record["fields"]["name"], &record["version"]), (&json!(name), &json!(1)));
        assert_eq!(made[place]["version"], 1);
    }
    let all = clinic.manager.all("/collections/patients/records", 100).await;
    assert_eq!(all.len(), 6);
    // An id whose record could not be made is still free.
    let mended = json!({"items": [new("B-2", "Two"), new("B-3", "Three"), new("B-4", "Four")]});
    assert_eq!(codes(&results(&clinic.manager.post_once(CREATE, mended).await)), ["", "", ""]);
}

#[tokio::test]
async fn a_batch_that_is_sent_again_is_carried_out_once() {
    let (_server, clinic) = opened().await;
    let (manager, key) = (&clinic.manager, fresh_key());
    let send = |path: &'static str, key: &str, body: &Value| {
        manager.call("POST", path).header("Idempotency-Key", key).json(body).send()
    };
    let body = json!({"items": [
        {"fields": {"name": "Ines"}}, {"fields": {"nothing": 1}}, {"fields": {"name": "Ivo"}},
    ]});
    let first = results(&send(CREATE, &key, &body).await);
    assert_eq!(codes(&first), ["", "invalid", ""]);
    let second = results(&send(CREATE, &key, &body).await);
    assert_eq!(codes(&second), ["", "not_repeated", ""]);
    assert_eq!((id_of(&first[0]), id_of(&first[2])), (id_of(&second[0]), id_of(&second[2])));
    assert_eq!(manager.all("/collections/patients/records", 100).await.len(), 5);
    let another = json!({"items": [{"fields": {"name": "Ina"}}]});
    send(CREATE, &key, &another).await.refused(422, "idempotency_key_reused");
    send(DELETE, &key, &json!({"items": [{"id": id_of(&first[0])}]}))
        .await
        .refused(422, "idempotency_key_reused");

    // A change that was made is not stale when it comes again.
    let (id, key) = (id_of(&first[0]), fresh_key());
    let change = json!({"items": [{"id": id, "if_match": 1, "fields": {"note": "n"}}]});
    assert_eq!(results(&send(PATCH, &key, &change).await)[0]["version"], 2);
    assert_eq!(results(&send(PATCH, &key, &change).await)[0]["version"], 2);
    let fresh = results(&send(PATCH, &fresh_key(), &change).await);
    assert_eq!(codes(&fresh), ["version_stale"]);
    assert_eq!(fresh[0]["problem"]["current_version"], 2);

    let (key, delete) = (fresh_key(), json!({"items": [{"id": id}]}));
    assert_eq!(codes(&results(&send(DELETE, &key, &delete).await)), [""]);
    assert_eq!(codes(&results(&send(DELETE, &key, &delete).await)), [""]);
    // What the first batch has made and is gone since is absent.
    let third = results(&send(CREATE, &fresh_key(), &json!({"items": [{"fields": {}}]})).await);
    assert_eq!(codes(&third), [""]);
}

#[tokio::test]
async fn what_a_batch_has_made_and_is_gone_is_absent_when_the_batch_comes_again() {
    let (_server, clinic) = opened().await;
    let key = fresh_key();
    let body = json!({"items": [{"fields": {"name": "Ines"}}, {"fields": {"name": "Ivo"}}]});
    let send = || clinic.manager.call("POST", CREATE).header("Idempotency-Key", &key).json(&body);
    let first = results(&send().send().await);
    clinic
        .manager
        .delete(&format!("/collections/patients/records/{}", id_of(&first[0])))
        .await
        .ok();
    let again = results(&send().send().await);
    assert_eq!(codes(&again), ["not_found", ""]);
    assert_eq!(id_of(&again[1]), id_of(&first[1]));
}

#[tokio::test]
async fn a_batch_of_changes_holds_to_versions_masks_and_one_item_for_each_record() {
    let (_server, clinic) = opened().await;
    let (a, b, c) = (&clinic.patients[0], &clinic.patients[1], &clinic.patients[2]);
    clinic.manager.patch_if(&clinic.patient(1), "*", json!({"fields": {"note": "v2"}})).await.ok();
    let items = json!([
        {"id": a, "if_match": 1, "fields": {"note": "changed", "phone": null}},
        {"id": b, "if_match": 1, "fields": {"note": "stale"}},
        {"external_id": "P-3", "if_match": "*", "fields": {"note": "by its number"}},
        {"id": a, "if_match": "*", "fields": {"note": "twice"}},
        {"external_id": "P-1", "if_match": "*", "fields": {"note": "twice again"}},
        {"id": b, "fields": {"note": "without a version"}},
        {"external_id": "P-none", "if_match": "*", "fields": {"note": "nobody"}},
        {"id": clinic.visits[0], "if_match": "*", "fields": {"note": "elsewhere"}},
    ]);
    let before = clinic.state().await;
    let atomic = json!({"items": items, "atomic": true});
    clinic.manager.post_once(PATCH, atomic).await.refused(422, "batch_failed");
    assert_eq!(clinic.state().await, before);

    let changed = results(&clinic.manager.post_once(PATCH, json!({"items": items})).await);
    let expected =
        ["", "version_stale", "", "invalid", "invalid", "invalid", "not_found", "not_found"];
    assert_eq!(codes(&changed), expected);
    assert_eq!(changed[1]["problem"]["current_version"], 2);
    assert_eq!((&changed[0]["version"], &changed[2]["version"]), (&json!(2), &json!(2)));
    let record = clinic.manager.get(&clinic.patient(0)).await.ok();
    assert_eq!(record["fields"]["note"], "changed");
    assert!(record["fields"]["phone"].is_null());
    assert_eq!(record["fields"]["name"], Person::ALL[0].name);
    assert_eq!(clinic.manager.get(&clinic.patient(1)).await.ok()["fields"]["note"], "v2");
    let third = format!("/collections/patients/records/{c}");
    assert_eq!(clinic.manager.get(&third).await.ok()["fields"]["note"], "by its number");
    // A version is needed, as for a single change.
    let without = json!({"items": [{"id": b, "fields": {}}]});
    let without = results(&clinic.manager.post_once(PATCH, without).await);
    assert_eq!(codes(&without), ["version_required"]);
    // The clerk sees a mask; sent back, it would destroy the value.
    let mask = json!({"items": [{"id": b, "if_match": "*", "fields": {"name": "T. Q."}}]});
    assert_eq!(codes(&results(&clinic.clerk.post_once(PATCH, mask).await)), ["invalid"]);
    assert_eq!(
        clinic.manager.get(&clinic.patient(1)).await.ok()["fields"]["name"],
        Person::ALL[1].name
    );
}

#[tokio::test]
async fn a_batch_of_deletions_hides_records_at_once_and_their_keys_die() {
    let (server, clinic) = opened().await;
    let many: Vec<Value> = (0..100).map(|n| new(&format!("D-{n}"), "Dora")).collect();
    let made = results(&clinic.manager.post_once(CREATE, json!({"items": many})).await);
    assert_eq!(codes(&made), vec![""; 100]);
    // All but one, so that pages of the index lose several entries at once.
    let mut items: Vec<Value> = made[..98].iter().map(|made| json!({"id": id_of(made)})).collect();
    items.push(json!({"external_id": "D-98", "if_match": 7}));
    items.push(json!({"external_id": "D-0"}));
    let atomic = json!({"items": items, "atomic": true});
    clinic.manager.post_once(DELETE, atomic).await.refused(422, "batch_failed");
    assert_eq!(clinic.manager.all("/collections/patients/records", 1000).await.len(), 103);

    let answer = clinic.manager.post_once(DELETE, json!({"items": items})).await;
    let deleted = results(&answer);
    assert_eq!(codes(&deleted)[..98], vec![""; 98]);
    assert_eq!(codes(&deleted)[98..], ["version_stale", "invalid"]);
    let lines = log_of(&clinic, &answer).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["touches"].as_array().unwrap().len(), 98);
    let left = clinic.manager.all("/collections/patients/records", 1000).await;
    let left: BTreeSet<&str> = left.iter().map(|it| it["external_id"].as_str().unwrap()).collect();
    assert_eq!(left, BTreeSet::from(["D-98", "D-99", "P-1", "P-2", "P-3"]));
    let gone = format!("/collections/patients/records/{}", id_of(&made[5]));
    clinic.manager.get(&gone).await.refused(404, "not_found");
    let lookup = json!({"external_id": "D-99"});
    let path = "/collections/patients/records:lookup";
    assert_eq!(clinic.manager.post(path, lookup).await.id(), id_of(&made[99]));

    server.run_due_jobs().await;
    let erased = clinic.tenant.owner.get(&gone).await;
    erased.refused(410, "erased");
    // Their external ids are free again.
    let again: Vec<Value> = (0..98).map(|n| new(&format!("D-{n}"), "Dora Again")).collect();
    let again = results(&clinic.manager.post_once(CREATE, json!({"items": again})).await);
    assert_eq!(codes(&again), vec![""; 98]);
}

#[tokio::test]
async fn nothing_of_another_tenant_is_changed_or_deleted_by_a_batch() {
    let (server, clinic) = opened().await;
    let other = Clinic::open(&server, "Lindenhof Practice").await;
    let before = (clinic.state().await, other.state().await);
    let theirs = other.patients[0].as_str();
    let patch = json!({"items": [{"id": theirs, "if_match": "*", "fields": {"note": "x"}}]});
    let delete = json!({"items": [{"id": theirs}]});
    let create = json!({"items": [{"subject": other.subjects[0], "fields": {"name": "x"}}]});
    for caller in [&clinic.tenant.owner, &clinic.manager] {
        assert_eq!(codes(&results(&caller.post_once(PATCH, patch.clone()).await)), ["not_found"]);
        assert_eq!(codes(&results(&caller.post_once(DELETE, delete.clone()).await)), ["not_found"]);
        assert_eq!(codes(&results(&caller.post_once(CREATE, create.clone()).await)), ["invalid"]);
    }
    // Whoever may do nothing of the kind learns nothing of single items.
    clinic.clerk.post_once(DELETE, delete).await.refused(403, "no_rule");
    clinic.officer.post_once(PATCH, patch).await.refused(403, "no_rule");
    assert_eq!((clinic.state().await, other.state().await), before);
}

#[tokio::test]
async fn batches_that_race_for_the_same_external_ids_make_each_once() {
    let (_server, clinic) = opened().await;
    let items: Vec<Value> = (0..40).map(|n| new(&format!("R-{n}"), "Rosa")).collect();
    let mut racing = Vec::new();
    for start in 0..6 {
        let mut items = items.clone();
        items.rotate_left(start * 7);
        let manager = clinic.manager.clone();
        racing.push(tokio::spawn(async move {
            results(&manager.post_once(CREATE, json!({"items": items})).await)
        }));
    }
    let mut made = 0;
    for racer in racing {
        let outcome = racer.await.unwrap();
        made += codes(&outcome).iter().filter(|code| code.is_empty()).count();
        assert!(codes(&outcome).iter().all(|code| ["", "external_id_taken"].contains(code)));
    }
    assert_eq!(made, 40);
    let left = clinic.manager.all("/collections/patients/records", 1000).await;
    assert_eq!(left.len(), 43);
}

#[tokio::test]
async fn a_subject_is_named_by_its_external_id_and_made_where_there_is_none() {
    let (_server, clinic) = opened().await;
    let manager = &clinic.manager;
    let about = |number: &str, person: &str, fields: Value| json!({"external_id": number, "subject": {"external_id": person}, "fields": fields});
    let found = json!({"external_id": "person-1"});
    manager.post("/subjects:lookup", found.clone()).await.refused(404, "not_found");
    let items = json!({"items": [
        about("S-1", "person-1", json!({"name": "Sia One"})),
        about("S-2", "person-1", json!({"name": "Sia Again"})),
        about("S-3", "person-2", json!({"nothing": "x"})),
        about("S-4", "person-3", json!({"name": "Sia Four"})),
    ]});
    let made = results(&manager.post_once(CREATE, items).await);
    assert_eq!(codes(&made), ["", "", "invalid", ""]);
    let one = manager.post("/subjects:lookup", found.clone()).await.ok();
    assert_eq!(one["external_id"], "person-1");
    let records = manager.get(&format!("/subjects/{}/records", one["id"].as_str().unwrap())).await;
    let records: Vec<Value> = records.ok()["data"].as_array().unwrap().clone();
    assert_eq!(records.len(), 2);
    // An item that failed has left nobody behind.
    let nobody = json!({"external_id": "person-2"});
    manager.post("/subjects:lookup", nobody.clone()).await.refused(404, "not_found");

    let upserted = manager.put("/subjects:upsert", found.clone()).await;
    assert_eq!((upserted.status, &upserted.json()["id"]), (200, &one["id"]));
    let fresh = manager.put("/subjects:upsert", nobody.clone()).await;
    assert_eq!(fresh.status, 201);
    let single = about("S-5", "person-2", json!({"name": "Sia Five"}));
    let single = manager.post("/collections/patients/records", single).await;
    assert_eq!(single.json()["subject"], fresh.json()["id"]);

    // Who is erased is not found again; the id belongs to somebody new.
    clinic.erase(&clinic.tenant.owner, json!({"subject": one["id"]})).await;
    manager.post("/subjects:lookup", found.clone()).await.refused(404, "not_found");
    let again = about("S-6", "person-1", json!({"name": "Sia Anew"}));
    let again = manager.post("/collections/patients/records", again).await;
    assert_eq!(again.status, 201, "{}", again.text());
    assert_ne!(again.json()["subject"], one["id"]);
    for wrong in [json!({"external_id": ""}), json!({"id": "x"}), json!("sub_"), json!(1)] {
        let body = json!({"subject": wrong, "fields": {}});
        let answer = manager.post("/collections/patients/records", body).await;
        assert!([400, 422].contains(&answer.status), "{wrong}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_user_is_found_by_external_id_by_those_who_manage_users_alone() {
    let (server, clinic) = opened().await;
    let other = Clinic::open(&server, "Lindenhof Practice").await;
    let body = json!({"external_id": "u-7", "name": "Uma", "classes": ["clerk"]});
    let made = clinic.tenant.owner.put("/users:upsert", body).await;
    let named = json!({"external_id": "u-7"});
    let found = clinic.tenant.owner.post("/users:lookup", named.clone()).await;
    assert_eq!((found.status, found.id()), (200, made.id()));
    assert_eq!(found.tag(), made.tag());
    let nobody = json!({"external_id": "u-8"});
    clinic.tenant.owner.post("/users:lookup", nobody.clone()).await.refused(404, "not_found");
    other.tenant.owner.post("/users:lookup", named.clone()).await.refused(404, "not_found");
    let there = clinic.clerk.post("/users:lookup", named).await;
    let nowhere = clinic.clerk.post("/users:lookup", nobody).await;
    there.refused(403, "no_rule");
    assert_eq!(there.without_request_id(), nowhere.without_request_id());
}
