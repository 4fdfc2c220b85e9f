//! Users, sessions, keys and classes: when they begin, when they end, and that nobody gives more than
//! they have.

use serde_json::{Value, json};
use strongroom_model::Timestamp;
use strongroom_tests::{Clinic, Person, Server, fresh_key};

const HOUR: i64 = 60 * 60;

#[tokio::test]
async fn a_secret_is_shown_once() {
    let server = Server::memory().await;
    let tenant = server.tenant("Quarry Physiotherapy").await;
    let key = fresh_key();
    let ends = server.clock.in_seconds(HOUR);
    let body = json!({"label": "backend", "classes": ["clerk"], "expires_at": ends});
    let create = || tenant.owner.call("POST", "/api-keys").header("Idempotency-Key", &key);
    let token = create().json(&body).send().await.ok()["token"].as_str().unwrap().to_owned();
    create().json(&body).send().await.refused(409, "secret_already_shown");
    let listed = tenant.owner.get("/api-keys").await;
    assert_eq!(listed.ok()["data"].as_array().unwrap().len(), 1);
    assert!(!listed.text().contains(&token));
    let body = json!({"name": "Another", "owner": {"name": "Nora"}});
    let create = || server.operator().call("POST", "/v1/tenants").header("Idempotency-Key", &key);
    assert_eq!(create().json(&body).send().await.status, 201);
    create().json(&body).send().await.refused(409, "secret_already_shown");
    assert_eq!(server.operator().all("/v1/tenants", 1).await.len(), 2);
}

#[tokio::test]
async fn an_invitation_is_redeemed_once_and_not_after_its_end() {
    let server = Server::memory().await;
    let tenant = server.tenant("Quarry Physiotherapy").await;
    let invite = async |name: &str| {
        let made = tenant.owner.post("/users", json!({"name": name, "classes": ["clerk"]})).await;
        made.ok()["invitation"].clone()
    };
    let redeem = |invitation: &Value| {
        let body = json!({"token": invitation["token"]});
        let nobody = server.nobody();
        async move { nobody.post("/v1/invitations/redeem", body).await }
    };
    let first = invite("Paula").await;
    assert_eq!(redeem(&first).await.status, 201);
    redeem(&first).await.refused(401, "unauthenticated");
    let second = invite("Peter").await;
    let until: Timestamp = second["expires_at"].as_str().unwrap().parse().unwrap();
    let left =
        until.as_micros() - server.clock.in_seconds(0).parse::<Timestamp>().unwrap().as_micros();
    server.clock.advance(left / 1_000_000);
    redeem(&second).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_suspended_user_is_out_on_the_next_request() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let (id, user) = clinic.tenant.user(&server, &["manager"]).await;
    user.get(&clinic.patient(0)).await.ok();
    let path = format!("/users/{id}");
    let tag = clinic.tenant.owner.get(&path).await.tag().to_owned();
    let suspend = json!({"state": "suspended"});
    clinic.tenant.owner.patch_if(&path, &tag, suspend).await.ok();
    user.get(&clinic.patient(0)).await.refused(401, "unauthenticated");
    user.get("/v1/whoami").await.refused(401, "unauthenticated");
    clinic.tenant.owner.patch_if(&path, "*", json!({"state": "active"})).await.ok();
    user.get(&clinic.patient(0)).await.ok();
    clinic.tenant.owner.patch_if(&path, "*", json!({"state": "removed"})).await.ok();
    user.get(&clinic.patient(0)).await.refused(401, "unauthenticated");
    let back = clinic.tenant.owner.patch_if(&path, "*", json!({"state": "active"})).await;
    assert_eq!(back.status, 409);
}

#[tokio::test]
async fn a_revoked_key_is_out_on_the_next_request() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let id = clinic.clerk.get("/v1/whoami").await.ok()["principal"]["id"].clone();
    let path = format!("/api-keys/{}", id.as_str().unwrap());
    assert_eq!(clinic.tenant.owner.delete(&path).await.status, 204);
    clinic.clerk.get(&clinic.patient(0)).await.refused(401, "unauthenticated");
    assert_eq!(clinic.tenant.owner.get(&path).await.ok()["revoked"], true);
    clinic.manager.get(&clinic.patient(0)).await.ok();
}

#[tokio::test]
async fn an_ended_session_is_out_on_the_next_request() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let (_, user) = clinic.tenant.user(&server, &["clerk"]).await;
    let (_, other) = clinic.tenant.user(&server, &["clerk"]).await;
    assert_eq!(user.delete("/sessions/current").await.status, 204);
    user.get(&clinic.patient(0)).await.refused(401, "unauthenticated");
    user.delete("/sessions/current").await.refused(401, "unauthenticated");
    other.get(&clinic.patient(0)).await.ok();
    clinic.clerk.delete("/sessions/current").await.refused(409, "no_session");
}

#[tokio::test]
async fn a_key_and_a_session_end_when_their_time_has_come() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let (_, user) = clinic.tenant.user(&server, &["clerk"]).await;
    server.clock.advance(12 * HOUR - 1);
    user.get(&clinic.patient(0)).await.ok();
    server.clock.advance(1);
    user.get(&clinic.patient(0)).await.refused(401, "unauthenticated");
    server.clock.advance(12 * HOUR - 1);
    clinic.clerk.get(&clinic.patient(0)).await.ok();
    server.clock.advance(1);
    clinic.clerk.get(&clinic.patient(0)).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn the_last_owner_stays() {
    let server = Server::memory().await;
    let tenant = server.tenant("Quarry Physiotherapy").await;
    let path = format!("/users/{}", tenant.owner_id);
    for change in [
        json!({"state": "suspended"}),
        json!({"state": "removed"}),
        json!({"classes": ["manager"]}),
        json!({"classes": []}),
    ] {
        let refused = tenant.owner.patch_if(&path, "*", change.clone()).await;
        assert!(refused.status == 409 || refused.status == 422, "{change} {}", refused.text());
        tenant.owner.get(&path).await.ok();
    }
    let suspend = json!({"state": "suspended"});
    tenant.owner.patch_if(&path, "*", suspend.clone()).await.refused(409, "last_owner");
    // An owner who was only invited cannot sign in yet, and does not count.
    let invited = json!({"name": "Second Owner", "classes": ["owner"]});
    let invited = tenant.owner.post("/users", invited).await.ok();
    tenant.owner.patch_if(&path, "*", suspend.clone()).await.refused(409, "last_owner");
    let second = server.redeem(invited["invitation"]["token"].as_str().unwrap()).await;
    tenant.owner.patch_if(&path, "*", suspend).await.ok();
    let second = tenant.owner.with_token(&second);
    let path = format!("/users/{}", invited["id"].as_str().unwrap());
    second.patch_if(&path, "*", json!({"state": "removed"})).await.refused(409, "last_owner");
}

#[tokio::test]
async fn nobody_hands_out_more_than_they_have() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let terms = json!({
        "rules": [{"actions": ["read"], "collection": "patients", "view": "masked"}],
        "administrative": ["manage_keys", "manage_classes", "manage_users"],
        "administers": ["night_clerk"],
    });
    let class = json!({"name": "supervisor", "label": "Supervisor", "terms": terms});
    assert_eq!(clinic.tenant.owner.post("/classes", class).await.status, 201);
    let narrow =
        json!({"rules": [{"actions": ["read"], "collection": "patients", "view": "masked"}]});
    let class = json!({"name": "night_clerk", "label": "Night clerk", "terms": narrow});
    assert_eq!(clinic.tenant.owner.post("/classes", class).await.status, 201);
    let (_, supervisor) = clinic.tenant.user(&server, &["supervisor"]).await;
    let before = clinic.state().await;
    let ends = server.clock.in_seconds(HOUR);
    for class in ["owner", "manager", "clerk", "privacy_officer", "auditor"] {
        let key = json!({"label": "mine", "classes": [class], "expires_at": ends});
        let refused = supervisor.post("/api-keys", key).await;
        assert!([403, 409, 422].contains(&refused.status), "{class}: {}", refused.text());
        let user = json!({"name": "Friend", "classes": [class]});
        let refused = supervisor.post("/users", user).await;
        assert!([403, 409, 422].contains(&refused.status), "{class}: {}", refused.text());
    }
    for wider in [
        json!({"owner": true}),
        json!({"administrative": ["erase"]}),
        json!({"rules": [{"actions": ["read"], "collection": "patients", "view": "clear"}]}),
        json!({"rules": [{"actions": ["read"], "view": "masked"}]}),
        json!({"rules": [{"actions": ["read", "delete"], "collection": "patients", "view": "masked"}]}),
        json!({"rules": [{"actions": ["read"], "collection": "patients", "view": "masked", "write": true}]}),
        json!({"rules": [{"actions": ["read"], "collection": "patients", "view": "masked",
            "fields": [{"field": "phone", "view": "clear"}]}]}),
    ] {
        let class = json!({"name": "mine", "label": "Mine", "terms": wider});
        let refused = supervisor.post("/classes", class).await;
        assert!([403, 409, 422].contains(&refused.status), "{wider}: {}", refused.text());
        let edit = json!({"label": "Night clerk", "terms": wider});
        let refused = supervisor.put_if("/classes/night_clerk", "*", edit).await;
        assert!([403, 409, 422].contains(&refused.status), "{wider}: {}", refused.text());
    }
    let edit = json!({"label": "Clerk", "terms": {}});
    assert_eq!(supervisor.put_if("/classes/clerk", "*", edit).await.status, 409);
    assert_eq!(clinic.state().await, before);
    let key = json!({"label": "mine", "classes": ["night_clerk"], "expires_at": ends});
    let made = supervisor.post("/api-keys", key).await.ok();
    let key = supervisor.with_token(made["token"].as_str().unwrap());
    assert_eq!(key.get(&clinic.patient(0)).await.ok()["fields"], json!({}));
    key.get(&clinic.visit(0)).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_changed_class_takes_effect_on_the_next_request() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let path = "/classes/clerk";
    let first = clinic.tenant.owner.get(path).await;
    let terms = |view: &str| {
        let terms = json!({"rules": [{"actions": ["read"], "view": view}]});
        json!({"label": "Clerk", "terms": terms})
    };
    let missing = clinic.tenant.owner.put(path, terms("clear")).await;
    missing.refused(428, "version_required");
    let second = clinic.tenant.owner.put_if(path, first.tag(), terms("clear")).await;
    second.ok();
    let record = clinic.clerk.get(&clinic.patient(0)).await.ok();
    assert_eq!(record["fields"], Person::ALL[0].fields());
    clinic
        .tenant
        .owner
        .put_if(path, first.tag(), terms("hidden"))
        .await
        .refused(412, "version_stale");
    clinic.tenant.owner.put_if(path, second.tag(), terms("hidden")).await.ok();
    let record = clinic.clerk.get(&clinic.patient(0)).await.json();
    assert!(record.get("fields").is_none_or(|fields| *fields == json!({})), "{record}");
    assert!(record.get("masked").is_none_or(|fields| *fields == json!({})), "{record}");
    let held = clinic.tenant.owner.call("DELETE", path).header("If-Match", "*").send().await;
    assert_eq!(held.status, 409);
}

#[tokio::test]
async fn what_an_operator_holds_opens_no_record() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let operator = server.operator().in_home_of(&clinic.tenant.owner);
    for path in ["/collections", "/collections/patients/records", "/users", "/audit", "/classes"] {
        operator.get(path).await.refused(404, "not_found");
    }
    operator.get(&clinic.patient(0)).await.refused(404, "not_found");
    let body = json!({"target": {"tenant": clinic.tenant.id}, "ground": "tenant_request"});
    operator.post_once("/erasures", body).await.refused(404, "not_found");
    let listed = server.operator().get("/v1/tenants").await.ok();
    assert_eq!(listed["data"][0]["state"], "active");
}
