//! A backend of the provider: one credential, many tenants, always for somebody, never further than
//! they and the tenant let it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Reply, Server, Tenant, fresh_key};

/// How many revocations run against readers.
const RACES: usize = 200;

/// A backend, with its id and itself.
pub(crate) struct Backend {
    id: String,
    token: String,
}

impl Backend {
    pub(crate) async fn new(server: &Server) -> Self {
        let made = server.operator().post("/backends", json!({"name": "Shop software"})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        Self { id: text("id"), token: text("token") }
    }

    /// The backend in front of a tenant's door.
    pub(crate) fn at(&self, tenant: &Tenant) -> Caller {
        tenant.owner.with_token(&self.token)
    }

    /// The path of its admission.
    pub(crate) fn path(&self) -> String {
        format!("/backends/{}", self.id)
    }

    /// Has a tenant admit it.
    pub(crate) async fn admitted(&self, tenant: &Tenant, bounds: Value) -> Value {
        let admitted = tenant.owner.put_if(&self.path(), "*", bounds).await;
        assert_eq!(admitted.status, 200, "{}", admitted.text());
        admitted.json()
    }
}

/// A user whom the backend looks after.
async fn managed(tenant: &Tenant, external_id: &str, classes: &[&str]) -> String {
    let body = json!({"external_id": external_id, "name": "Mo Managed", "classes": classes});
    let made = tenant.owner.put("/users:upsert", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.id()
}

pub(crate) async fn get_for(caller: &Caller, user: &str, path: &str) -> Reply {
    caller.call("GET", path).header("Strongroom-User", user).send().await
}

pub(crate) async fn send_for(
    caller: &Caller,
    user: &str,
    method: &str,
    path: &str,
    body: Value,
) -> Reply {
    let call = caller.call(method, path).header("Strongroom-User", user).header("If-Match", "*");
    call.header("Idempotency-Key", &fresh_key()).json(&body).send().await
}

/// A clinic that admits a backend, bounded by its managers' class, with one user of each class.
async fn served() -> (Server, Clinic, Backend) {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let backend = Backend::new(&server).await;
    backend.admitted(&clinic.tenant, json!({"classes": ["manager"]})).await;
    for class in ["owner", "manager", "clerk", "auditor"] {
        managed(&clinic.tenant, &format!("u-{class}"), &[class]).await;
    }
    (server, clinic, backend)
}

#[tokio::test]
async fn one_backend_serves_two_tenants_each_user_with_their_own_view() {
    let (server, one, backend) = served().await;
    let two = Clinic::open(&server, "Lindenhof Practice").await;
    backend.admitted(&two.tenant, json!({"classes": ["manager"]})).await;
    let doctor = managed(&two.tenant, "u-doctor", &["manager"]).await;
    let at_one = backend.at(&one.tenant);

    let clear = get_for(&at_one, "ext:u-manager", &one.patient(0)).await.ok();
    assert_eq!(clear["fields"]["name"], "Mira Halloran");
    let masked = get_for(&at_one, "ext:u-clerk", &one.patient(0)).await.ok();
    assert_eq!(masked["fields"], json!({}));
    assert_eq!(masked["masked"]["name"], "M. H.");
    // The owner may everything; the admission bounds the backend to what managers may.
    assert!(
        get_for(&at_one, "ext:u-owner", &one.patient(0)).await.ok()["fields"]["name"].is_string()
    );
    get_for(&at_one, "ext:u-owner", "/audit").await.refused(403, "no_rule");
    // Who has no rule on records sees none, whatever bounds the backend.
    get_for(&at_one, "ext:u-auditor", &one.patient(0)).await.refused(404, "not_found");

    let at_two = backend.at(&two.tenant);
    assert_eq!(
        get_for(&at_two, &doctor, &two.patient(1)).await.ok()["fields"]["name"],
        "Tobias Quist"
    );
    // A user of the one is nobody at the other.
    get_for(&at_two, "ext:u-manager", &two.patient(1)).await.refused(403, "user_not_allowed");
    get_for(&at_one, &doctor, &one.patient(1)).await.refused(403, "user_not_allowed");

    let listed = server.operator().get("/backends").await.ok();
    assert_eq!(listed["data"][0]["tenants"], 2);
    assert!(!listed.to_string().contains("ten_"), "{listed}");
    one.tenant.owner.delete(&backend.path()).await.ok();
    let shown = server.operator().get(&backend.path()).await.ok();
    assert_eq!(shown["tenants"], 1);
}

#[tokio::test]
async fn a_record_made_for_a_user_is_that_users_own() {
    let (_server, clinic, backend) = served().await;
    let terms = json!({"rules": [
        {"actions": ["read"], "collection": "patients", "view": "clear", "rows": "own"},
        {"actions": ["create"], "collection": "patients", "write": true, "rows": "own"},
    ]});
    let class = json!({"name": "author", "label": "Author", "terms": terms});
    assert_eq!(clinic.tenant.owner.post("/classes", class).await.status, 201);
    for user in ["a", "b"] {
        managed(&clinic.tenant, user, &["author"]).await;
    }
    let door = backend.at(&clinic.tenant);
    let body = json!({"fields": {"name": "Vera Fresh"}});
    let made = send_for(&door, "ext:a", "POST", "/collections/patients/records", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = format!("/collections/patients/records/{}", made.id());
    assert_eq!(get_for(&door, "ext:a", &path).await.ok()["fields"]["name"], "Vera Fresh");
    get_for(&door, "ext:b", &path).await.refused(404, "not_found");
    let listed = get_for(&door, "ext:a", "/collections/patients/records").await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_tenant_that_does_not_admit_the_backend_looks_like_one_that_does_not_exist() {
    let (server, admitting, backend) = served().await;
    let strange = Clinic::open(&server, "Lindenhof Practice").await;
    let revoking = Clinic::open(&server, "Quayside Surgery").await;
    let erased = Clinic::open(&server, "Old Mill Clinic").await;
    let ending = Clinic::open(&server, "Brief Clinic").await;
    backend.admitted(&revoking.tenant, json!({"classes": ["manager"]})).await;
    revoking.tenant.owner.delete(&backend.path()).await.ok();
    backend.admitted(&erased.tenant, json!({"classes": ["manager"]})).await;
    erased.erase(&erased.tenant.owner, json!({"tenant": erased.tenant.id})).await;
    let until = server.clock.in_seconds(60);
    backend.admitted(&ending.tenant, json!({"classes": ["manager"], "until": until})).await;
    server.clock.advance(61);

    let (known, last) = strange.tenant.id.split_at(strange.tenant.id.len() - 1);
    let absent = format!("{known}{}", if last == "0" { '1' } else { '0' });
    let provider = "ten_00000000000000000000000000";
    let document = server.nobody().get("/openapi.json").await.ok();
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.contains("{tenant}") {
            continue;
        }
        let fill = |tenant: &str| {
            path.replace("{tenant}", tenant)
                .replace("{collection}", "patients")
                .replace("{record}", &strange.patients[0])
                .replace("{subject}", &strange.subjects[0])
                .replace("{user}", &strange.tenant.owner_id)
                .replace("{backend}", &backend.id)
                .replace("{class}", "clerk")
                .replace("{key}", "key_00000000000000000000000000")
                .replace("{erasure}", "ers_00000000000000000000000000")
                .replace("{receipt}", "rcp_00000000000000000000000000")
                .replace("{job}", "job_00000000000000000000000000")
                .replace("{part}", "1")
                .replace("{field}", "photo")
        };
        assert!(!fill("x").contains('{'), "a parameter is not known here: {path}");
        for method in ["get", "post", "put", "patch", "delete"] {
            if methods.get(method).is_none() {
                continue;
            }
            let method = method.to_uppercase();
            let ask = |tenant: String, user: &'static str| {
                let door = backend.at(&admitting.tenant);
                let (path, method) = (fill(&tenant), method.clone());
                async move { send_for(&door, user, &method, &path, json!({"any": 1})).await }
            };
            for user in ["ext:u-manager", "ext:nobody", "usr_00000000000000000000000000"] {
                let nowhere = ask(absent.clone(), user).await;
                nowhere.refused(404, "not_found");
                for clinic in [&strange, &revoking, &erased, &ending] {
                    let there = ask(clinic.tenant.id.clone(), user).await;
                    assert_eq!(there.without_request_id(), nowhere.without_request_id(), "{path}");
                    assert_eq!(names(&there), names(&nowhere), "{method} {path}");
                }
                let there = ask(provider.to_owned(), user).await;
                assert_eq!(there.without_request_id(), nowhere.without_request_id(), "{path}");
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen} routes");
    // The same credential works where it is admitted.
    let door = backend.at(&admitting.tenant);
    get_for(&door, "ext:u-manager", &admitting.patient(0)).await.ok();
    // Nothing of it stands in the logs of those who do not admit it.
    for clinic in [&strange, &ending] {
        let lines = clinic.tenant.owner.all("/audit", 200).await;
        let by_backend = lines.iter().filter(|line| line["principal"]["kind"] == "backend");
        assert_eq!(by_backend.count(), 0);
    }
}

/// The names of an answer's headers.
fn names(answer: &Reply) -> Vec<String> {
    let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backend_has_no_way_to_the_providers_own_paths() {
    let (server, clinic, backend) = served().await;
    let provider = server.operator().with_token(&backend.token);
    for path in ["/users", "/audit", "/classes", "/backends", "/api-keys", "/v1/tenants"] {
        provider.get(path).await.refused(404, "not_found");
    }
    provider.get(&backend.path()).await.refused(404, "not_found");
    provider.delete(&backend.path()).await.refused(404, "not_found");
    let rotation = format!("{}/rotation", backend.path());
    provider.post(&rotation, json!({})).await.refused(404, "not_found");
    provider.post("/backends", json!({"name": "Another"})).await.refused(404, "not_found");
    let tenant = json!({"name": "Mine", "owner": {"name": "Me"}});
    provider.post("/v1/tenants", tenant).await.refused(404, "not_found");
    provider.post("/v1/system/lock", json!({})).await.refused(404, "not_found");
    let myself = provider.get("/v1/whoami").await.ok();
    assert_eq!(myself["principal"], json!({"kind": "backend", "id": backend.id}));
    assert_eq!(myself["classes"], json!([]));
    // Outside of a tenant there is nobody to act for.
    get_for(&provider, "ext:u-manager", "/v1/whoami").await.refused(403, "user_not_allowed");
    // Other credentials of the provider have no way to tenants.
    let ends = server.clock.in_seconds(3600);
    let key = json!({"label": "ops", "classes": ["operator"], "expires_at": ends});
    let key = server.operator().post("/api-keys", key).await.ok();
    let users =
        json!({"label": "u", "classes": ["operator"], "acts": "for_users", "expires_at": ends});
    server.operator().post("/api-keys", users).await.refused(422, "invalid");
    for token in [key["token"].as_str().unwrap(), server.operator().token()] {
        let door = clinic.tenant.owner.with_token(token);
        door.get(&clinic.patient(0)).await.refused(404, "not_found");
        door.get("/backends").await.refused(404, "not_found");
        get_for(&door, "ext:u-manager", &clinic.patient(0)).await.refused(403, "user_not_allowed");
    }
}

#[tokio::test]
async fn a_backend_names_one_user_and_names_them_well() {
    let (_server, clinic, backend) = served().await;
    let door = backend.at(&clinic.tenant);
    for path in [&clinic.patient(0), "/classes", "/collections", "/users", "/api-keys"] {
        door.get(path).await.refused(400, "user_required");
    }
    door.get("/collections/nothing/records").await.refused(400, "user_required");
    let twice = door.call("GET", &clinic.patient(0)).header("Strongroom-User", "ext:u-manager");
    let twice = twice.header("Strongroom-User", "ext:u-manager").send().await;
    twice.refused(400, "invalid_header");
    for wrong in ["", "u-manager", "ext:", "ext:%zz", "usr_", "ext:u-clerk%0a"] {
        get_for(&door, wrong, &clinic.patient(0)).await.refused(400, "invalid_header");
    }
    let both = "ext:u-clerk, ext:u-manager";
    get_for(&door, both, &clinic.patient(0)).await.refused(403, "user_not_allowed");
}

#[tokio::test]
async fn an_unknown_user_and_one_who_may_not_are_refused_alike() {
    let (server, clinic, backend) = served().await;
    let door = backend.at(&clinic.tenant);
    let suspended = managed(&clinic.tenant, "u-suspended", &["manager"]).await;
    let removed = managed(&clinic.tenant, "u-removed", &["manager"]).await;
    let invited = json!({"name": "Ivy", "external_id": "u-invited", "classes": ["manager"]});
    let invited = clinic.tenant.owner.post("/users", invited).await.id();
    get_for(&door, &suspended, &clinic.patient(0)).await.ok();
    for (user, state) in [(&suspended, "suspended"), (&removed, "removed")] {
        let path = format!("/users/{user}");
        let changed = clinic.tenant.owner.patch_if(&path, "*", json!({"state": state})).await;
        changed.ok();
    }
    let unknown = get_for(&door, "ext:u-unknown", &clinic.patient(0)).await;
    unknown.refused(403, "user_not_allowed");
    let users = [
        "usr_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        &suspended,
        &removed,
        &invited,
        "ext:u-suspended",
        "ext:u-removed",
        "ext:u-invited",
    ];
    for user in users {
        for path in [&clinic.patient(0), "/classes", "/users", "/collections/nothing/records"] {
            let refused = get_for(&door, user, path).await;
            assert_eq!(refused.without_request_id(), unknown.without_request_id(), "{user} {path}");
            assert_eq!(names(&refused), names(&unknown));
        }
    }
    let lines = clinic.tenant.owner.all("/audit", 200).await;
    let refused = lines.iter().filter(|line| line["code"] == "user_not_allowed");
    assert_eq!(refused.count(), 1 + users.len() * 4);
    // Whoever is let in again can be acted for again.
    let back = json!({"state": "active"});
    clinic.tenant.owner.patch_if(&format!("/users/{suspended}"), "*", back).await.ok();
    get_for(&door, "ext:u-suspended", &clinic.patient(0)).await.ok();
    drop(server);
}

#[tokio::test]
async fn sessions_and_plain_keys_act_for_nobody_and_keys_for_users_only_for_them() {
    let (server, clinic, _backend) = served().await;
    let (_, session) = clinic.tenant.user(&server, &["manager"]).await;
    for caller in [&session, &clinic.tenant.owner, &clinic.manager] {
        get_for(caller, "ext:u-clerk", &clinic.patient(0)).await.refused(403, "user_not_allowed");
    }
    let ends = server.clock.in_seconds(3600);
    let body = json!({"label": "product", "classes": ["manager"], "acts": "for_users", "expires_at": ends});
    let made = clinic.tenant.owner.post("/api-keys", body).await.ok();
    assert_eq!(made["acts"], "for_users");
    let key = clinic.tenant.owner.with_token(made["token"].as_str().unwrap());
    key.get(&clinic.patient(0)).await.refused(400, "user_required");
    let masked = get_for(&key, "ext:u-clerk", &clinic.patient(0)).await.ok();
    assert_eq!(masked["fields"], json!({}));
    let clear = get_for(&key, "ext:u-manager", &clinic.patient(0)).await.ok();
    assert_eq!(clear["fields"]["name"], "Mira Halloran");
    get_for(&key, "ext:unknown", &clinic.patient(0)).await.refused(403, "user_not_allowed");
    assert_eq!(key.get("/v1/whoami").await.ok()["acts"], "for_users");
    assert_eq!(clinic.manager.get("/v1/whoami").await.ok()["acts"], "itself");
}

#[tokio::test]
async fn nobody_gains_rights_by_administering_through_a_backend() {
    let (_server, clinic, backend) = served().await;
    let owner = &clinic.tenant.owner;
    backend.admitted(&clinic.tenant, json!({"classes": ["owner"]})).await;
    let door = backend.at(&clinic.tenant);
    // A manager manages clerks; the owner class that bounds the backend does not make them an owner.
    let new = |class: &str, id: &str| json!({"name": "New", "external_id": id, "classes": [class]});
    let made = send_for(&door, "ext:u-manager", "PUT", "/users:upsert", new("clerk", "n-1")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let wider = send_for(&door, "ext:u-manager", "PUT", "/users:upsert", new("owner", "n-2")).await;
    wider.refused(422, "invalid");
    let own = send_for(&door, "ext:u-manager", "PUT", "/users:upsert", new("owner", "u-manager"));
    own.await.refused(422, "invalid");
    let of_owner =
        send_for(&door, "ext:u-manager", "PUT", "/users:upsert", new("clerk", "u-owner"));
    of_owner.await.refused(409, "not_yours_to_change");
    // An owner may all that, and their backend may not make what outlives its admission.
    let class = json!({"name": "wide", "label": "Wide", "terms": {"owner": true}});
    send_for(&door, "ext:u-manager", "POST", "/classes", class)
        .await
        .refused(403, "no_rule_of_user");
    let key = json!({"label": "k", "classes": ["clerk"], "expires_at": "2026-03-03T00:00:00Z"});
    send_for(&door, "ext:u-owner", "POST", "/api-keys", key).await.refused(404, "not_found");
    let bounds = json!({"classes": ["owner"], "subjects_per_hour": 1_000_000});
    let path = backend.path();
    send_for(&door, "ext:u-owner", "PUT", &path, bounds).await.refused(404, "not_found");
    get_for(&door, "ext:u-owner", "/backends").await.refused(404, "not_found");
    // Erasing the tenant is for owners; an owner class on one side alone is none.
    let target = json!({"target": {"tenant": clinic.tenant.id}, "ground": "subject_request"});
    let erase = send_for(&door, "ext:u-manager", "POST", "/erasures", target.clone()).await;
    erase.refused(403, "no_rule_of_user");
    backend.admitted(&clinic.tenant, json!({"classes": ["privacy_officer"]})).await;
    let erase = send_for(&door, "ext:u-owner", "POST", "/erasures", target).await;
    erase.refused(409, "owner_required");
    assert_eq!(
        owner.get(&format!("/v1/tenants/{}", clinic.tenant.id)).await.ok()["state"],
        "active"
    );
    // A user looked after by a backend is no owner who can sign in.
    let me = format!("/users/{}", clinic.tenant.owner_id);
    let leave = owner.patch_if(&me, "*", json!({"state": "suspended"})).await;
    leave.refused(409, "last_owner");
}

#[tokio::test]
async fn an_api_key_of_a_manager_does_not_change_an_owner() {
    let (_server, clinic, _backend) = served().await;
    let path = format!("/users/{}", clinic.tenant.owner_id);
    for change in
        [json!({"name": "Renamed"}), json!({"classes": ["clerk"]}), json!({"state": "suspended"})]
    {
        clinic.manager.patch_if(&path, "*", change).await.refused(409, "not_yours_to_change");
    }
}

#[tokio::test]
async fn an_admission_has_bounds_that_mean_something_and_a_version() {
    let (server, clinic, backend) = served().await;
    let owner = &clinic.tenant.owner;
    let path = backend.path();
    for (wrong, pointer) in [
        (json!({"classes": []}), "/classes"),
        (json!({"classes": ["nothing"]}), "/classes/0"),
        (json!({"classes": ["cls_7zzzzzzzzzzzzzzzzzzzzzzzzz"]}), "/classes/0"),
        (json!({"classes": ["clerk"], "subjects_per_hour": 0}), "/subjects_per_hour"),
        (json!({"classes": ["clerk"], "subjects_per_hour": 1_000_001}), "/subjects_per_hour"),
        (json!({"classes": ["clerk"], "until": "2020-01-01T00:00:00Z"}), "/until"),
    ] {
        let problem = owner.put_if(&path, "*", wrong).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let nobody = "/backends/bck_7zzzzzzzzzzzzzzzzzzzzzzzzz";
    owner.put(nobody, json!({"classes": ["clerk"]})).await.refused(404, "not_found");
    owner.get(nobody).await.refused(404, "not_found");
    owner.delete(nobody).await.refused(404, "not_found");

    let shown = owner.get(&path).await;
    let tag = shown.tag().to_owned();
    assert_eq!(shown.ok()["name"], "Shop software");
    assert_eq!(shown.ok()["acts"], "for_users");
    let clerk = owner.get("/classes/clerk").await.ok()["id"].clone();
    let narrower = json!({"classes": [clerk]});
    owner.put(&path, narrower.clone()).await.refused(428, "version_required");
    let changed = owner.put_if(&path, &tag, narrower.clone()).await;
    assert_eq!(changed.ok()["classes"], json!(["clerk"]));
    owner.put_if(&path, &tag, narrower).await.refused(412, "version_stale");
    let masked =
        get_for(&backend.at(&clinic.tenant), "ext:u-manager", &clinic.patient(0)).await.ok();
    assert_eq!(masked["fields"], json!({}), "the ceiling is the lesser");

    // Who may manage connections admits no further than their own classes.
    let terms = json!({"administrative": ["manage_connections"],
        "rules": [{"actions": ["read"], "view": "masked"}]});
    let class = json!({"name": "doorkeeper", "label": "Doorkeeper", "terms": terms});
    assert_eq!(owner.post("/classes", class).await.status, 201);
    let keeper = clinic.tenant.key(&server, &["doorkeeper"]).await;
    let second = Backend::new(&server).await;
    for class in ["manager", "clerk", "owner"] {
        let wide = keeper.put(&second.path(), json!({"classes": [class]})).await;
        assert_eq!(wide.refused(422, "invalid")["errors"][0]["pointer"], "/classes/0");
    }
    keeper.put(&second.path(), json!({"classes": ["doorkeeper"]})).await.ok();
    for caller in [&clinic.manager, &clinic.clerk] {
        caller.get("/backends").await.refused(403, "no_rule");
        caller.delete(&path).await.refused(403, "no_rule");
    }
    assert_eq!(owner.all("/backends", 1).await.len(), 2);
    let unknown = keeper.delete("/classes/doorkeeper").await;
    unknown.refused(403, "no_rule");
    let held = owner.call("DELETE", "/classes/doorkeeper").header("If-Match", "*").send().await;
    held.refused(409, "class_in_use");
}

#[tokio::test]
async fn purposes_and_time_bound_an_admission() {
    let (server, clinic, backend) = served().await;
    let door = backend.at(&clinic.tenant);
    backend
        .admitted(&clinic.tenant, json!({"classes": ["manager"], "purposes": ["billing"]}))
        .await;
    get_for(&door, "ext:u-manager", &clinic.patient(0)).await.refused(403, "ceiling_backend");
    let bounds = json!({"classes": ["manager"], "purposes": ["billing", "care"],
        "until": server.clock.in_seconds(600)});
    backend.admitted(&clinic.tenant, bounds).await;
    get_for(&door, "ext:u-manager", &clinic.patient(0)).await.ok();
    server.clock.advance(599);
    get_for(&door, "ext:u-manager", &clinic.patient(0)).await.ok();
    server.clock.advance(1);
    get_for(&door, "ext:u-manager", &clinic.patient(0)).await.refused(404, "not_found");
    assert_eq!(clinic.tenant.owner.get(&backend.path()).await.ok()["state"], "ended");
    // One that acts itself needs no user, and for one it names it has the lesser of both.
    backend.admitted(&clinic.tenant, json!({"classes": ["manager"], "acts": "itself"})).await;
    let clear = door.get(&clinic.patient(0)).await.ok();
    assert_eq!(clear["fields"]["name"], "Mira Halloran");
    let masked = get_for(&door, "ext:u-clerk", &clinic.patient(0)).await.ok();
    assert_eq!(masked["fields"], json!({}));
    get_for(&door, "ext:u-nobody", &clinic.patient(0)).await.refused(403, "user_not_allowed");
}

#[tokio::test]
async fn the_tenants_log_shows_the_backend_and_the_user() {
    let (_server, clinic, backend) = served().await;
    let door = backend.at(&clinic.tenant);
    let clerk = managed(&clinic.tenant, "u-2", &["clerk"]).await;
    let read = get_for(&door, "ext:u-2", &clinic.patient(0)).await;
    let refused = get_for(&door, "ext:u-2", "/audit").await;
    refused.refused(403, "no_rule");
    let lines = clinic.tenant.owner.all("/audit", 300).await;
    for (answer, outcome, code) in
        [(&read, "allowed", "record.read"), (&refused, "refused", "no_rule")]
    {
        let place = answer.lines().pop().unwrap();
        let line = lines.iter().find(|line| {
            format!("{}.{}.{}", line["node"], line["n"], line["tag"].as_str().unwrap()) == place
        });
        let line = line.expect("the line stands where the answer says");
        assert_eq!(line["principal"], json!({"kind": "backend", "id": backend.id}));
        assert_eq!(line["through"], json!({"kind": "backend", "id": backend.id}));
        assert_eq!(line["acting_for"], json!(clerk));
        assert_eq!((line["outcome"].as_str(), line["code"].as_str()), (Some(outcome), Some(code)));
    }
    assert!(lines.iter().any(|line| line["code"] == "admission.put"));
    let others = lines.iter().filter(|line| line["principal"]["kind"] != "backend");
    assert!(others.clone().count() > 10);
    assert!(others.into_iter().all(|line| line.get("through").is_none()));
}

#[tokio::test]
async fn a_backend_reads_about_so_many_persons_in_an_hour_and_the_tenant_is_told() {
    let (server, clinic, backend) = served().await;
    let door = backend.at(&clinic.tenant);
    // The hour of the clock begins with the next full one.
    server.clock.advance(3600 - 7);
    let bounds = |most: u32| json!({"classes": ["manager"], "subjects_per_hour": most});
    backend.admitted(&clinic.tenant, bounds(2)).await;
    let user = "ext:u-manager";
    for _ in 0..3 {
        get_for(&door, user, &clinic.patient(0)).await.ok();
    }
    // Two records about the same person count once; those about nobody do not count.
    get_for(&door, user, &clinic.visit(0)).await.ok();
    get_for(&door, user, &format!("/subjects/{}", clinic.subjects[1])).await.ok();
    let refused = get_for(&door, user, &clinic.patient(2)).await;
    refused.refused(429, "too_many_subjects");
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    assert_eq!(refused.lines().len(), 1);
    // By no other way either.
    get_for(&door, user, "/collections/patients/records").await.refused(429, "too_many_subjects");
    let lookup = json!({"external_id": "P-3"});
    let lookup =
        send_for(&door, user, "POST", "/collections/patients/records:lookup", lookup).await;
    lookup.refused(429, "too_many_subjects");
    get_for(&door, user, &clinic.visit(3)).await.refused(429, "too_many_subjects");
    let subject = format!("/subjects/{}", clinic.subjects[2]);
    get_for(&door, user, &subject).await.refused(429, "too_many_subjects");
    let records = format!("{subject}/records");
    get_for(&door, user, &records).await.refused(429, "too_many_subjects");
    // A change is made and shows nothing of what it did not send.
    let patch = json!({"fields": {"note": "called back"}});
    let changed = send_for(&door, user, "PATCH", &clinic.patient(2), patch).await.ok();
    assert_eq!(changed["fields"], json!({}));
    let upsert = json!({"external_id": "P-3", "fields": {}});
    let path = "/collections/patients/records:upsert";
    let changed = send_for(&door, user, "PUT", path, upsert).await.ok();
    assert_eq!(changed["fields"], json!({}));
    // What is new is shown to whoever made it.
    let new = json!({"fields": {"name": "Nora New"}});
    let made = send_for(&door, user, "POST", "/collections/patients/records", new).await.ok();
    assert_eq!(made["fields"]["name"], "Nora New");
    // Those whom it has read about already stay open, and nobody else is bounded.
    get_for(&door, user, &clinic.patient(0)).await.ok();
    clinic.manager.get(&clinic.patient(2)).await.ok();

    let lines = clinic.tenant.owner.all("/audit", 300).await;
    let of = |code: &str| lines.iter().filter(|line| line["code"] == code).count();
    assert_eq!(of("backend.limited"), 1);
    assert_eq!(of("too_many_subjects"), 8);
    let shown = clinic.tenant.owner.get(&backend.path()).await.ok();
    assert_eq!(shown["last_limited_at"], json!(server.clock.in_seconds(0)));

    server.clock.advance(wait);
    get_for(&door, user, &clinic.patient(2)).await.ok();
    get_for(&door, user, &clinic.patient(1)).await.ok();
    get_for(&door, user, &clinic.patient(0)).await.refused(429, "too_many_subjects");
    let lines = clinic.tenant.owner.all("/audit", 300).await;
    let alerts: Vec<&Value> =
        lines.iter().filter(|line| line["code"] == "backend.limited").collect();
    assert_eq!(alerts.len(), 2, "one for each hour");
    assert_eq!(alerts[0]["principal"]["id"], json!(backend.id));
    backend.admitted(&clinic.tenant, bounds(4)).await;
    get_for(&door, user, "/collections/patients/records").await.ok();
}

#[tokio::test]
async fn a_rotated_secret_ends_when_it_was_said_and_never_more_than_two_are_in_force() {
    let (server, clinic, backend) = served().await;
    let rotation = format!("{}/rotation", backend.path());
    let rotate = |seconds: i64| {
        let (operator, rotation) = (server.operator(), rotation.clone());
        async move { operator.post(&rotation, json!({"overlap_seconds": seconds})).await }
    };
    let works = |token: String| {
        let door = clinic.tenant.owner.with_token(&token);
        let path = clinic.patient(0);
        async move { get_for(&door, "ext:u-manager", &path).await.status }
    };
    for wrong in [-1, 604_801] {
        rotate(wrong).await.refused(422, "invalid");
    }
    let token = |made: &Value| made["token"].as_str().unwrap().to_owned();
    let second = rotate(600).await.ok();
    assert_eq!(second["secrets"].as_array().unwrap().len(), 2);
    assert_eq!((works(backend.token.clone()).await, works(token(&second)).await), (200, 200));
    let third = rotate(600).await.ok();
    assert_eq!(works(backend.token.clone()).await, 401);
    assert_eq!((works(token(&second)).await, works(token(&third)).await), (200, 200));
    server.clock.advance(600);
    assert_eq!((works(token(&second)).await, works(token(&third)).await), (401, 200));
    let fourth = rotate(0).await.ok();
    assert_eq!((works(token(&third)).await, works(token(&fourth)).await), (401, 200));
    server.operator().delete(&backend.path()).await.ok();
    assert_eq!(works(token(&fourth)).await, 401);
    rotate(0).await.refused(409, "revoked");
    let shown = clinic.tenant.owner.get(&backend.path()).await.ok();
    assert_eq!(shown["state"], "backend_revoked");
    let bounds = json!({"classes": ["manager"]});
    clinic.tenant.owner.put_if(&backend.path(), "*", bounds).await.refused(409, "revoked");
    let listed = server.operator().get("/backends").await.ok();
    assert_eq!(
        (&listed["data"][0]["revoked"], &listed["data"][0]["secrets"]),
        (&json!(true), &json!([]))
    );
    // A repeated request makes no second secret and shows none again.
    let other = Backend::new(&server).await;
    let key = fresh_key();
    let path = format!("{}/rotation", other.path());
    let call = || {
        let call = server.operator().call("POST", &path).header("Idempotency-Key", &key);
        call.json(&json!({})).send()
    };
    call().await.ok();
    call().await.refused(409, "secret_already_shown");
    assert_eq!(server.operator().get(&other.path()).await.ok()["secrets"][0]["number"], 2);
}

#[tokio::test]
async fn operators_alone_make_backends() {
    let (server, clinic, backend) = served().await;
    for class in ["support_agent", "privacy_officer"] {
        let body = json!({"name": "Sam Staff", "classes": [class]});
        let made = server.operator().post("/users", body).await.ok();
        let token = server.redeem(made["invitation"]["token"].as_str().unwrap()).await;
        let staff = server.operator().with_token(&token);
        staff.get("/backends").await.refused(403, "no_rule");
        staff.post("/backends", json!({"name": "Mine"})).await.refused(403, "no_rule");
        staff.delete(&backend.path()).await.refused(403, "no_rule");
        staff.get("/v1/tenants").await.refused(403, "no_rule");
        staff.post("/v1/system/lock", json!({})).await.refused(403, "no_rule");
        let audit = staff.get("/audit").await;
        assert_eq!(audit.status == 200, class == "privacy_officer", "{}", audit.text());
        staff
            .with_token(&token)
            .in_home_of(&clinic.tenant.owner)
            .get("/backends")
            .await
            .refused(404, "not_found");
    }
    let class =
        json!({"name": "mine", "label": "Mine", "terms": {"administrative": ["manage_backends"]}});
    clinic.tenant.owner.post("/classes", class).await.refused(422, "invalid");
    let managed =
        json!({"name": "M", "external_id": "m", "classes": ["operator"], "managed_by": "backend"});
    server.operator().post("/users", managed).await.refused(422, "invalid");
    let named = json!({"name": "Shop\nsoftware"});
    server.operator().post("/backends", named).await.refused(422, "invalid");
}

#[tokio::test]
async fn a_user_who_is_looked_after_needs_no_invitation_and_gets_none() {
    let (server, clinic, backend) = served().await;
    let owner = &clinic.tenant.owner;
    let body = json!({"name": "Mo", "managed_by": "backend", "classes": ["clerk"]});
    owner.post("/users", body.clone()).await.refused(422, "invalid");
    let mut body = body;
    body["external_id"] = json!("m-1");
    let key = fresh_key();
    let call = || owner.call("POST", "/users").header("Idempotency-Key", &key).json(&body).send();
    let made = call().await.ok();
    assert_eq!((&made["state"], &made["managed_by"]), (&json!("active"), &json!("backend")));
    assert!(made.get("invitation").is_none());
    assert_eq!(
        call().await.id(),
        made["id"].as_str().unwrap(),
        "a repeated request makes no other"
    );
    let id = made["id"].as_str().unwrap();
    let again = owner.post(&format!("/users/{id}/invitation"), json!({})).await;
    again.refused(409, "managed_by_backend");
    get_for(&backend.at(&clinic.tenant), id, &clinic.patient(0)).await.ok();
    // The same id again changes name and classes, and wakes nobody who is suspended.
    let upsert = json!({"external_id": "m-1", "name": "Mo Changed", "classes": ["manager"]});
    let changed = owner.put("/users:upsert", upsert.clone()).await;
    assert_eq!((changed.status, changed.id().as_str()), (200, id));
    assert_eq!(changed.ok()["classes"], json!(["manager"]));
    owner.patch_if(&format!("/users/{id}"), "*", json!({"state": "suspended"})).await.ok();
    assert_eq!(owner.put("/users:upsert", upsert).await.ok()["state"], "suspended");
    let races: Vec<_> = (0..8)
        .map(|_| {
            let owner = owner.clone();
            let body = json!({"external_id": "m-race", "name": "Ray", "classes": ["clerk"]});
            tokio::spawn(async move { owner.put("/users:upsert", body).await })
        })
        .collect();
    let mut ids = Vec::new();
    for race in races {
        ids.push(race.await.unwrap().id());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    drop(server);
}

/// Readers ask without pause while the tenant takes something away; what began after that was
/// acknowledged must show nothing.
async fn race(take: &str) {
    let (server, clinic, backend) = served().await;
    let clinic = Arc::new(clinic);
    let owner = clinic.tenant.owner.clone();
    let user = managed(&clinic.tenant, "u-raced", &["manager"]).await;
    let door = backend.at(&clinic.tenant);
    let (mut used_before, mut answers) = (0, BTreeMap::<u16, usize>::new());
    for _ in 0..RACES {
        backend.admitted(&clinic.tenant, json!({"classes": ["manager"]})).await;
        let active = json!({"state": "active"});
        owner.patch_if(&format!("/users/{user}"), "*", active).await.ok();
        let acknowledged = Arc::new(AtomicBool::new(false));
        let before = Arc::new(AtomicUsize::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (door, path) = (door.clone(), clinic.patient(0));
                let (acknowledged, before) = (acknowledged.clone(), before.clone());
                tokio::spawn(async move {
                    let mut late = Vec::new();
                    loop {
                        let after = acknowledged.load(Ordering::SeqCst);
                        let answer = get_for(&door, "ext:u-raced", &path).await;
                        if after {
                            late.push(answer.status);
                            return late;
                        }
                        before.fetch_add(usize::from(answer.status == 200), Ordering::SeqCst);
                    }
                })
            })
            .collect();
        while before.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        match take {
            "admission" => owner.delete(&backend.path()).await.ok(),
            "user" => {
                let suspended = json!({"state": "suspended"});
                owner.patch_if(&format!("/users/{user}"), "*", suspended).await.ok()
            }
            other => panic!("{other}"),
        };
        acknowledged.store(true, Ordering::SeqCst);
        for reader in readers {
            for status in reader.await.unwrap() {
                *answers.entry(status).or_default() += 1;
            }
        }
        used_before += before.load(Ordering::SeqCst);
    }
    let expected = if take == "admission" { 404 } else { 403 };
    assert_eq!(answers, BTreeMap::from([(expected, RACES * 3)]));
    assert!(used_before >= RACES * 3);
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_admission_that_was_revoked_is_not_used_once_that_is_acknowledged() {
    race("admission").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_user_who_was_suspended_is_not_acted_for_once_that_is_acknowledged() {
    race("user").await;
}

/// What a record shows: each field's name, and whether it is clear.
type Seen = BTreeMap<String, bool>;

fn seen(answer: &Reply) -> Seen {
    if answer.status != 200 {
        return Seen::new();
    }
    let body = answer.json();
    let of = |member: &str, clear: bool| {
        let fields = body[member].as_object().unwrap().clone();
        fields.into_iter().map(move |(name, _)| (name, clear)).collect::<Vec<_>>()
    };
    of("masked", false).into_iter().chain(of("fields", true)).collect()
}

/// A small generator, so that the classes of a test are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn view(dice: &mut Dice) -> &'static str {
    ["hidden", "masked", "revealable", "clear"][usize::try_from(dice.below(4)).unwrap()]
}

#[tokio::test]
async fn what_a_backend_sees_is_never_more_than_the_user_sees_nor_than_the_ceiling_lets() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let owner = &clinic.tenant.owner;
    let backend = Backend::new(&server).await;
    let mut dice = Dice(4);
    let fields = ["name", "email", "phone", "birth_date", "note"];
    let mut classes = Vec::new();
    for number in 0..6 {
        let count = dice.below(2);
        let rules: Vec<Value> = (0..=count)
            .map(|_| {
                let mut named = Vec::new();
                for field in fields {
                    if dice.below(2) == 0 {
                        named.push(json!({"field": field, "view": view(&mut dice)}));
                    }
                }
                let collection = if dice.below(4) == 0 { "visits" } else { "patients" };
                json!({"actions": ["read"], "collection": collection, "view": view(&mut dice), "fields": named})
            })
            .collect();
        let name = format!("class_{number}");
        let class = json!({"name": name, "label": name, "terms": {"rules": rules}});
        assert_eq!(owner.post("/classes", class).await.status, 201);
        classes.push(name);
    }
    // Brute force: what each class shows by itself, to a key of that class.
    let mut alone: BTreeMap<String, Seen> = BTreeMap::new();
    for class in &classes {
        let key = clinic.tenant.key(&server, &[class]).await;
        alone.insert(class.clone(), seen(&key.get(&clinic.patient(0)).await));
        managed(&clinic.tenant, &format!("of_{class}"), &[class]).await;
    }
    assert!(alone.values().any(Seen::is_empty) && alone.values().any(|seen| seen.len() > 3));
    let door = backend.at(&clinic.tenant);
    let mut shown = 0;
    for ceiling in &classes {
        backend.admitted(&clinic.tenant, json!({"classes": [ceiling]})).await;
        for class in &classes {
            let (of_user, of_ceiling) = (&alone[class], &alone[ceiling]);
            let expected: Seen = of_user
                .iter()
                .filter_map(|(name, clear)| {
                    of_ceiling.get(name).map(|most| (name.clone(), *clear && *most))
                })
                .collect();
            let user = format!("ext:of_{class}");
            let through = get_for(&door, &user, &clinic.patient(0)).await;
            assert_eq!(seen(&through), expected, "{class} under {ceiling}: {}", through.text());
            shown += expected.len();
        }
    }
    assert!(shown > 10, "{shown} fields");
}
