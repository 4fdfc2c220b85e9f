//! The audit log: everything that is answered about a tenant's things stands in it, for those who
//! may read it.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Person, Server};

#[tokio::test]
async fn every_answer_about_a_tenant_s_things_stands_in_its_log() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let (owner, manager) = (&clinic.tenant.owner, &clinic.manager);
    let subject = format!("/subjects/{}", clinic.subjects[0]);
    let create = json!({"external_id": "P-8", "fields": {"name": "Lena Log"}});
    let import = json!({"items": [{"external_id": "P-7", "fields": {"name": "Lars Log"}}]});
    let batch_get = json!({"items": [{"collection": "patients", "id": clinic.patients[0]}]});
    let batch_create = json!({"items": [{"external_id": "P-6", "fields": {"name": "Lia Log"}}]});
    let batch_change =
        json!({"items": [{"external_id": "P-6", "if_match": 1, "fields": {"note": "n"}}]});
    let batch_delete = json!({"items": [{"external_id": "P-6"}]});
    let upsert = json!({"external_id": "P-8", "fields": {"name": "Lena Logg"}});
    let label = json!({"label": "Patients of ours"});
    let erase = json!({"target": {"subject": clinic.subjects[2]}, "ground": "subject_request"});
    let answers = [
        ("tenant.read", owner.get(&format!("/v1/tenants/{}", clinic.tenant.id)).await),
        ("user.list", owner.get("/users").await),
        ("user.read", owner.get(&format!("/users/{}", clinic.tenant.owner_id)).await),
        ("class.list", owner.get("/classes").await),
        ("class.read", owner.get("/classes/clerk").await),
        ("api_key.list", owner.get("/api-keys").await),
        ("collection.list", owner.get("/collections").await),
        ("collection.read", owner.get("/collections/patients").await),
        ("collection.change", owner.patch_if("/collections/patients", "*", label).await),
        ("record.list", manager.get("/collections/patients/records").await),
        ("record.read", manager.get(&clinic.patient(0)).await),
        ("record.create", manager.post("/collections/patients/records", create).await),
        ("record.import", manager.post_once("/collections/patients/records:import", import).await),
        ("record.upsert", manager.put("/collections/patients/records:upsert", upsert).await),
        (
            "record.update",
            manager.patch_if(&clinic.patient(0), "*", json!({"fields": {"note": "n"}})).await,
        ),
        ("record.delete", manager.delete(&clinic.visit(0)).await),
        ("record.batch_get", manager.post("/records:batchGet", batch_get).await),
        (
            "record.batch_create",
            manager.post_once("/collections/patients/records:batchCreate", batch_create).await,
        ),
        (
            "record.batch_change",
            manager.post_once("/collections/patients/records:batchPatch", batch_change).await,
        ),
        (
            "record.batch_delete",
            manager.post_once("/collections/patients/records:batchDelete", batch_delete).await,
        ),
        ("record.export", owner.get("/collections/patients/records:export?limit=1").await),
        ("subject.upsert", manager.put("/subjects:upsert", json!({"external_id": "p"})).await),
        ("subject.look_up", manager.post("/subjects:lookup", json!({"external_id": "p"})).await),
        ("subject.read", manager.get(&subject).await),
        ("subject.records", manager.get(&format!("{subject}/records")).await),
        ("subject.create", manager.post("/subjects", json!({})).await),
        ("erasure.request", owner.post_once("/erasures", erase).await),
        ("erasure.list", owner.get("/erasures").await),
        ("audit.list", owner.get("/audit").await),
    ];
    let log = owner.all("/audit", 100).await;
    for (what, answer) in &answers {
        answer.ok();
        let lines = answer.lines();
        assert!(!lines.is_empty(), "{what} has no line");
        for line in lines {
            let found = log.iter().find(|entry| place(entry) == line);
            let found = found.unwrap_or_else(|| panic!("{what}: {line} is not in the log"));
            assert_eq!(found["outcome"], "allowed", "{what}: {found}");
        }
    }
    check_that_nothing_is_missing(&log);
}

#[tokio::test]
async fn a_refusal_stands_in_the_log_too() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let before = clinic.tenant.owner.all("/audit", 1000).await.len();
    clinic.clerk.delete(&clinic.patient(0)).await.refused(403, "no_rule");
    clinic.clerk.get("/users").await.refused(403, "no_rule");
    clinic.clerk.get("/collections/nothing/records").await.refused(404, "not_found");
    let log = clinic.tenant.owner.all("/audit", 1000).await;
    let myself = clinic.clerk.get("/v1/whoami").await.ok()["principal"]["id"].clone();
    let refused: Vec<&Value> = log
        .iter()
        .filter(|entry| entry["outcome"] == "refused" && entry["principal"]["id"] == myself)
        .collect();
    assert_eq!(refused.len(), 3, "{log:?}");
    let refused: Vec<&Value> = refused.iter().map(|entry| &entry["action"]).collect();
    for action in ["delete", "manage_users", "read"] {
        assert!(refused.contains(&&json!(action)), "{action} {refused:?}");
    }
    // Three refusals, and the first look at the log itself.
    assert_eq!(log.len(), before + 4);
    check_that_nothing_is_missing(&log);
}

#[tokio::test]
async fn a_refusal_carries_the_place_of_its_line() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let refused = clinic.clerk.delete(&clinic.patient(0)).await;
    refused.refused(403, "no_rule");
    assert_eq!(refused.lines().len(), 1, "every answer carries `Strongroom-Audit`");
    line_of(&clinic.tenant.owner, &refused.lines()[0]).await;
}

#[tokio::test]
async fn the_log_is_for_those_who_may_read_it() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    clinic.clerk.get("/audit").await.refused(403, "no_rule");
    clinic.manager.get("/audit").await.refused(403, "no_rule");
    let auditor = clinic.tenant.key(&server, &["auditor"]).await;
    let log = auditor.get("/audit").await;
    for person in Person::ALL {
        for secret in [person.name, person.email, person.phone, person.birth_date] {
            assert!(!log.text().contains(secret), "{secret}");
        }
    }
    let path = clinic.patient(0);
    let hidden = auditor.get(&path).await;
    assert!(hidden.status == 403 || hidden.status == 404, "{}", hidden.text());
}

#[tokio::test]
async fn a_refusal_says_what_is_missing_and_whom_to_ask() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let problem = clinic.clerk.delete(&clinic.patient(0)).await.refused(403, "no_rule");
    assert!(problem["missing"].as_str().is_some_and(|words| !words.is_empty()), "{problem}");
    assert!(problem["ask"].as_array().is_some_and(|words| !words.is_empty()), "{problem}");
    assert_eq!(problem["retryable"], false);
}

/// Where a line of the log stands, as headers spell it.
fn place(entry: &Value) -> String {
    format!("{}.{}.{}", entry["node"], entry["n"], entry["tag"].as_str().unwrap())
}

/// The line of the log at a place that a header has named.
pub(crate) async fn line_of(owner: &Caller, wanted: &str) -> Value {
    let log = owner.all("/audit", 1000).await;
    log.into_iter()
        .find(|entry| place(entry) == wanted)
        .unwrap_or_else(|| panic!("{wanted} is not in the log"))
}

/// Each node's lines of the tenant are numbered from 0 without a gap.
fn check_that_nothing_is_missing(log: &[Value]) {
    let mut nodes: Vec<u64> = log.iter().map(|entry| entry["node"].as_u64().unwrap()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    for node in nodes {
        let mut places: Vec<u64> = log
            .iter()
            .filter(|entry| entry["node"] == node)
            .map(|entry| entry["n"].as_u64().unwrap())
            .collect();
        places.sort_unstable();
        assert_eq!(places, (0..places.len() as u64).collect::<Vec<_>>(), "node {node}");
    }
}
