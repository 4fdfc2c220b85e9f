//! A class that has nothing to do in a collection: whatever its people ask there, also for what the
//! collection does not have, is answered as in a collection that there is not.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Person, Reply, Server, fresh_key};

/// A clinic, and somebody of it who sees the visits and nothing else.
async fn opened() -> (Server, Clinic, Caller) {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let all = ["read", "create", "update", "delete", "export"];
    let rules = json!([{"actions": all, "collection": "visits", "view": "clear", "write": true}]);
    let class = json!({"name": "porter", "label": "Porter", "terms": {"rules": rules}});
    let made = clinic.tenant.owner.post("/classes", class).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let porter = clinic.tenant.key(&server, &["porter"]).await;
    (server, clinic, porter)
}

/// Everything that may be asked of records of a collection, each with a field that it does not have.
fn questions(collection: &str, record: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let records = format!("/collections/{collection}/records");
    let one = format!("{records}/{record}");
    let unknown = json!({"fields": {"unheard_of": "x"}});
    let item = json!({"external_id": "X-1", "fields": {"unheard_of": "x"}});
    let change = json!({"id": record, "if_match": "*", "fields": {"unheard_of": "x"}});
    vec![
        ("GET", format!("{one}?fields=unheard_of"), None),
        ("GET", format!("{one}?fields=name"), None),
        ("GET", format!("{one}?reveal=unheard_of"), None),
        ("GET", format!("{records}?fields=unheard_of"), None),
        ("GET", format!("{records}?reveal=name"), None),
        ("GET", format!("{records}:export?fields=unheard_of"), None),
        ("POST", format!("{records}:lookup"), Some(json!({"external_id": "P-1"}))),
        ("POST", records.clone(), Some(unknown.clone())),
        ("POST", records.clone(), Some(json!({"external_id": "P-1", "fields": {}}))),
        ("PUT", format!("{records}:upsert"), Some(item.clone())),
        ("PATCH", one.clone(), Some(unknown)),
        ("DELETE", one, None),
        ("POST", format!("{records}:import"), Some(json!({"items": [item]}))),
        ("POST", format!("{records}:batchCreate"), Some(json!({"items": [item]}))),
        ("POST", format!("{records}:batchPatch"), Some(json!({"items": [change]}))),
        ("POST", format!("{records}:batchDelete"), Some(json!({"items": [{"id": record}]}))),
        ("POST", "/exports".into(), Some(json!({"collection": collection, "fields": ["name"]}))),
        ("POST", "/exports".into(), Some(json!({"collection": collection, "fields": ["none"]}))),
        ("POST", "/imports".into(), Some(json!({"exported": collection}))),
    ]
}

async fn ask(caller: &Caller, (method, path, body): &(&str, String, Option<Value>)) -> Reply {
    let call = caller.call(method, path).header("If-Match", "*");
    let call = call.header("Idempotency-Key", &fresh_key());
    match body {
        Some(body) => call.json(body).send().await,
        None => call.send().await,
    }
}

#[tokio::test]
async fn what_a_hidden_collection_lacks_is_answered_like_a_collection_that_is_not_there() {
    let (_server, clinic, porter) = opened().await;
    let before = clinic.state().await;
    let there = questions("patients", &clinic.patients[0]);
    let nowhere = questions("partners", &clinic.patients[0]);
    for (there, nowhere) in there.iter().zip(&nowhere) {
        let hidden = ask(&porter, there).await;
        let absent = ask(&porter, nowhere).await;
        assert_ne!(hidden.status, 422, "{there:?}: {}", hidden.text());
        let hidden_as = hidden.without_request_id().replace("patients", "partners");
        assert_eq!(
            (hidden.status, hidden_as),
            (absent.status, absent.without_request_id()),
            "{there:?}"
        );
        assert_eq!(hidden.lines().len(), 1, "{there:?} stands in the log");
    }
    assert_eq!(clinic.state().await, before);
}

#[tokio::test]
async fn a_batch_says_no_more_of_hidden_collections() {
    let (_server, clinic, porter) = opened().await;
    let batch = |collection: &str, shown: &str| {
        let item = json!({"collection": collection, "id": clinic.patients[0]});
        json!({"items": [item], "shown": {collection: {"fields": [shown]}}})
    };
    let absent = porter.post("/records:batchGet", batch("partners", "name")).await;
    assert_eq!(absent.status, 200, "{}", absent.text());
    for shown in ["name", "unheard_of"] {
        let hidden = porter.post("/records:batchGet", batch("patients", shown)).await;
        let hidden_as = hidden.without_request_id().replace("patients", "partners");
        assert_eq!(hidden_as, absent.without_request_id());
    }
    // Whoever sees the collection is told which field there is not; the refusal of another item stands
    // in the log all the same.
    let visit = json!({"collection": "visits", "id": clinic.visits[0]});
    let patient = json!({"collection": "patients", "id": clinic.patients[0]});
    let shown = json!({"visits": {"fields": ["unheard_of"]}});
    let body = json!({"items": [visit, patient], "shown": shown});
    let told = porter.post("/records:batchGet", body).await;
    let problem = told.refused(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/shown/visits/fields", "{problem}");
    assert_eq!(told.lines().len(), 1);
}

#[tokio::test]
async fn whoever_sees_a_collection_is_told_what_it_lacks() {
    let (_server, clinic, porter) = opened().await;
    for path in ["?fields=unheard_of", "?reveal=unheard_of"] {
        for place in ["/collections/visits/records".to_owned(), clinic.visit(0)] {
            porter.get(&format!("{place}{path}")).await.refused(422, "invalid");
        }
    }
    let body = json!({"fields": {"unheard_of": "x"}});
    porter.patch_if(&clinic.visit(0), "*", body.clone()).await.refused(422, "invalid");
    let made = porter.post("/collections/visits/records", body).await;
    made.refused(422, "invalid");
    for person in Person::ALL {
        assert!(!made.text().contains(person.name));
    }
}
