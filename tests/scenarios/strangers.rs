//! Two tenants of one server: neither can name anything of the other's.

use serde_json::{Value, json};
use strongroom_model::RECOVERY_OPERATOR_SECONDS;
use strongroom_tests::{Caller, Clinic, Reply, Server, fresh_key};

/// Two clinics that know nothing of each other.
async fn two() -> (Server, Clinic, Clinic) {
    let mut server = Server::memory().await;
    // Somebody who has just come in asks for no recovery.
    server.pass(RECOVERY_OPERATOR_SECONDS, &mut []).await;
    let one = Clinic::open(&server, "Harbour Street Clinic").await;
    let other = Clinic::open(&server, "Lindenhof Practice").await;
    (server, one, other)
}

/// An id of the same kind that nobody has.
fn absent(id: &str) -> String {
    let last = if id.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &id[..id.len() - 1])
}

/// A body that would fit, as far as a stranger can know.
fn any_body() -> Value {
    json!({"fields": {}})
}

async fn call(caller: &Caller, method: &str, path: &str, body: Option<&Value>) -> Reply {
    let call = caller.call(method, path).header("If-Match", "*");
    let call = call.header("Idempotency-Key", &fresh_key());
    match body {
        Some(body) => call.json(body).send().await,
        None => call.send().await,
    }
}

/// Every operation of the API: method, path template, whether it takes a body.
async fn operations(server: &Server) -> Vec<(String, String, bool)> {
    let document = server.nobody().get("/openapi.json").await.ok();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if let Some(operation) = methods.get(method) {
                let has_body = operation.get("requestBody").is_some();
                found.push((method.to_ascii_uppercase(), path.clone(), has_body));
            }
        }
    }
    assert!(found.len() > 40, "{found:?}");
    found
}

#[tokio::test]
async fn another_tenant_s_door_looks_like_no_door() {
    let (server, one, other) = two().await;
    let erasure = other.erase(
        &other.tenant.owner,
        json!({"record": {
            "collection": "visits", "id": other.visits[3],
        }}),
    );
    let erasure = erasure.await;
    let key = other.clerk.get("/v1/whoami").await.ok()["principal"]["id"].clone();
    let backend = server.operator().post("/backends", json!({"name": "Shop software"})).await.id();
    let admission = format!("/backends/{backend}");
    other.tenant.owner.put_if(&admission, "*", json!({"classes": ["manager"]})).await.ok();
    let recovery = format!("/v1/tenants/{}/recovery", other.tenant.id);
    let asked = server.operator().post(&recovery, json!({"reason": "the owner has left"})).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    let job =
        other.tenant.owner.post_once("/exports", json!({"collection": "patients"})).await.id();
    let photo = json!({"add_fields": [{"name": "photo", "type": "file"}]});
    other.tenant.owner.patch_if("/collections/patients", "*", photo).await.ok();
    let photo = format!("{}/files/photo", other.patient(0));
    let photo = other.tenant.owner.call("PUT", &photo).header("if-match", "*");
    assert_eq!(photo.body_of("application/json", "{}").send().await.status, 201);
    let nowhere = absent(&one.tenant.id);
    let before = other.state().await;
    let mut seen = 0;
    for (method, path, has_body) in operations(&server).await {
        if !path.contains("{tenant}") {
            continue;
        }
        let filled = |tenant: &str| {
            path.replace("{tenant}", tenant)
                .replace("{collection}", "patients")
                .replace("{record}", &other.patients[0])
                .replace("{subject}", &other.subjects[0])
                .replace("{user}", &other.tenant.owner_id)
                .replace("{key}", key.as_str().unwrap())
                .replace("{class}", "clerk")
                .replace("{backend}", &backend)
                .replace("{erasure}", erasure["id"].as_str().unwrap())
                .replace("{receipt}", erasure["receipt"].as_str().unwrap())
                .replace("{job}", &job)
                .replace("{part}", "1")
                .replace("{field}", "photo")
        };
        assert!(!filled("x").contains('{'), "a parameter is not known here: {path}");
        let body = any_body();
        let body = has_body.then_some(&body);
        for caller in [&one.tenant.owner, &one.clerk, &one.officer] {
            let there = call(caller, &method, &filled(&other.tenant.id), body).await;
            let absent = call(caller, &method, &filled(&nowhere), body).await;
            there.refused(404, "not_found");
            assert_eq!(there.without_request_id(), absent.without_request_id(), "{method} {path}");
            assert_eq!(names(&there), names(&absent), "{method} {path}");
        }
        // That its own people get in there shows that the path itself was right.
        if method == "GET" {
            call(&other.tenant.owner, &method, &filled(&other.tenant.id), None).await.ok();
        }
        seen += 1;
    }
    assert!(seen > 25, "{seen} routes");
    assert_eq!(other.state().await, before);
}

#[tokio::test]
async fn another_tenant_s_ids_are_absent_at_home() {
    let (server, one, other) = two().await;
    let secret = json!({"name": "secret_class", "label": "Secret", "terms": {}});
    assert_eq!(other.tenant.owner.post("/classes", secret).await.status, 201);
    other.tenant.collection("secrets", json!("nobody"), &[("text", json!("text"))]).await;
    let target = json!({"record": {"collection": "visits", "id": other.visits[3]}});
    let erasure = other.erase(&other.tenant.owner, target).await;
    let of = |member: &str| erasure[member].as_str().unwrap().to_owned();
    let key = other.clerk.get("/v1/whoami").await.ok()["principal"]["id"].clone();
    let ids = [
        ("{record}", other.patients[0].clone()),
        ("{subject}", other.subjects[0].clone()),
        ("{user}", other.tenant.owner_id.clone()),
        ("{key}", key.as_str().unwrap().to_owned()),
        ("{erasure}", of("id")),
        ("{receipt}", of("receipt")),
    ];
    let names = [("{class}", "secret_class"), ("{collection}", "secrets")];
    let before = (one.state().await, other.state().await);
    let mut seen = 0;
    for (method, path, has_body) in operations(&server).await {
        let Some(path) = path.strip_prefix("/v1/tenants/{tenant}") else { continue };
        let body = match (method.as_str(), path) {
            ("PATCH", "/users/{user}") => json!({"name": "Nina"}),
            ("PUT", _) if path.starts_with("/classes/") => json!({"label": "L", "terms": {}}),
            ("PUT", _) => json!({"external_id": "P-1", "fields": {}}),
            ("POST", _) if path.ends_with(":lookup") => json!({"external_id": "P-1"}),
            ("POST", _) if path.ends_with(":import") => {
                json!({"items": [{"external_id": "X", "fields": {}}]})
            }
            ("POST", _) if path.ends_with(":batchCreate") => json!({"items": [{"fields": {}}]}),
            ("POST", _) if path.ends_with(":batchPatch") => {
                json!({"items": [{"external_id": "X", "if_match": "*"}]})
            }
            ("POST", _) if path.ends_with(":batchDelete") => {
                json!({"items": [{"external_id": "X"}]})
            }
            ("PATCH", "/collections/{collection}") => json!({"label": "L"}),
            _ => any_body(),
        };
        let body = has_body.then_some(&body);
        let parameters = ids.iter().map(|(name, id)| (*name, id.clone(), absent(id)));
        let named =
            names.iter().map(|(name, real)| (*name, (*real).to_owned(), format!("no_{real}")));
        for (parameter, real, absent) in parameters.chain(named) {
            if !path.contains(parameter) {
                continue;
            }
            let at = |id: &str| {
                path.replace(parameter, id)
                    .replace("{collection}", "patients")
                    .replace("{record}", &one.patients[0])
            };
            for caller in [&one.tenant.owner, &one.manager, &one.clerk] {
                let there = call(caller, &method, &at(&real), body).await;
                let nowhere = call(caller, &method, &at(&absent), body).await;
                let what = format!("{method} {path} {parameter}");
                assert_eq!(there.without_request_id(), nowhere.without_request_id(), "{what}");
                assert!([403, 404].contains(&there.status), "{what}: {}", there.text());
                let leaked = other.tenant.name_in(&there);
                assert!(!leaked, "{what}: {}", there.text());
            }
            let owner = call(&one.tenant.owner, &method, &at(&real), body).await;
            owner.refused(404, "not_found");
            seen += 1;
        }
    }
    assert!(seen >= 18, "{seen} parameters");
    assert_eq!((one.state().await, other.state().await), before);
}

#[tokio::test]
async fn another_tenant_s_ids_in_a_body_are_absent_too() {
    let (_server, one, other) = two().await;
    let before = (one.state().await, other.state().await);
    let visits = "/collections/visits/records";
    let owner = &one.tenant.owner;
    let patient = |id: &str| json!({"fields": {"patient": id, "fee": "1.00"}});
    let about = |id: &str| json!({"subject": id, "fields": {"name": "Some Body"}});
    let erase = |target: Value| json!({"target": target, "ground": "subject_request"});
    let record = |id: &str| erase(json!({"record": {"collection": "patients", "id": id}}));
    let subject = |id: &str| erase(json!({"subject": id}));
    let tenant = |id: &str| erase(json!({"tenant": id}));
    let patch = |id: &str| json!({"fields": {"patient": id}});
    let (theirs, person) = (other.patients[0].as_str(), other.subjects[0].as_str());
    let ours = absent(&one.patients[0]);
    let nobody = absent(&one.subjects[0]);
    let nowhere = absent(&one.tenant.id);
    let pairs = [
        ("POST", visits.to_owned(), patient(theirs), patient(&ours)),
        ("POST", "/collections/patients/records".to_owned(), about(person), about(&nobody)),
        ("PATCH", one.visit(0), patch(theirs), patch(&ours)),
        ("POST", "/erasures".to_owned(), record(theirs), record(&ours)),
        ("POST", "/erasures".to_owned(), subject(person), subject(&nobody)),
        ("POST", "/erasures".to_owned(), tenant(&other.tenant.id), tenant(&nowhere)),
    ];
    for (method, path, real, absent) in pairs {
        let there = call(owner, method, &path, Some(&real)).await;
        let nowhere = call(owner, method, &path, Some(&absent)).await;
        assert_eq!(there.without_request_id(), nowhere.without_request_id(), "{method} {path}");
        assert!([404, 422].contains(&there.status), "{method} {path}: {}", there.text());
    }
    assert_eq!((one.state().await, other.state().await), before);
}

#[tokio::test]
async fn the_same_external_id_is_another_record_at_another_tenant() {
    let (_server, one, other) = two().await;
    let lookup = json!({"external_id": "P-1"});
    let path = "/collections/patients/records:lookup";
    let mine = one.manager.post(path, lookup.clone()).await.id();
    let theirs = other.manager.post(path, lookup).await.id();
    assert_eq!(
        (mine.as_str(), theirs.as_str()),
        (one.patients[0].as_str(), other.patients[0].as_str())
    );
    let upsert = json!({"external_id": "P-1", "fields": {"name": "Mira Renamed"}});
    one.manager.put("/collections/patients/records:upsert", upsert).await.ok();
    let untouched = other.manager.get(&other.patient(0)).await.ok();
    assert_eq!(untouched["fields"]["name"], "Mira Halloran");
}

#[tokio::test]
async fn an_operator_sees_that_there_are_tenants_and_a_tenant_only_itself() {
    let (server, one, other) = two().await;
    let listed = server.operator().all("/v1/tenants", 1).await;
    assert_eq!(listed.len(), 2);
    let own = one.tenant.owner.get(&format!("/v1/tenants/{}", one.tenant.id)).await.ok();
    assert_eq!(own["name"], "Harbour Street Clinic");
    one.tenant.owner.get("/v1/tenants").await.refused(404, "not_found");
    let stranger = one.tenant.owner.get(&format!("/v1/tenants/{}", other.tenant.id)).await;
    stranger.refused(404, "not_found");
    for path in ["/v1/provider/users", "/v1/provider/audit", "/v1/provider/classes"] {
        one.tenant.owner.get(path).await.refused(404, "not_found");
    }
    let body = json!({"name": "Mine", "owner": {"name": "Me"}});
    one.tenant.owner.post("/v1/tenants", body).await.refused(404, "not_found");
    one.tenant.owner.post("/v1/system/lock", json!({})).await.refused(404, "not_found");
}

/// The names of an answer's headers.
fn names(answer: &Reply) -> Vec<String> {
    let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort();
    names
}
