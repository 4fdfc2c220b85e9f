//! A server that is locked: it says so to everybody, and only its key opens it.

use serde_json::json;
use strongroom_tests::{Clinic, Person, Server};

#[tokio::test]
async fn a_locked_server_answers_locked_everywhere_until_its_key_comes() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let invited = json!({"name": "Late", "classes": ["clerk"]});
    let invited = clinic.tenant.owner.post("/users", invited).await.ok();
    let locked = server.operator().post("/v1/system/lock", json!({})).await;
    assert_eq!(locked.ok()["locked"], true);
    let status = server.nobody().get("/v1/system/status").await.ok();
    assert_eq!((&status["locked"], &status["number"]), (&json!(true), &json!(null)));
    assert_eq!(server.nobody().get("/v1/system/health").await.status, 200);

    let document = server.nobody().get("/openapi.json").await.ok();
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let public = path.starts_with("/v1/system/")
            && !["/v1/system/lock", "/v1/system/backups"].contains(&path.as_str());
        if public || path == "/openapi.json" || path == "/v1/invitations/redeem" {
            continue;
        }
        let path = path
            .replace("{tenant}", &clinic.tenant.id)
            .replace("{collection}", "patients")
            .replace("{record}", &clinic.patients[0])
            .replace("{subject}", &clinic.subjects[0])
            .replace("{user}", &clinic.tenant.owner_id);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if methods.get(method.to_ascii_lowercase()).is_none() {
                continue;
            }
            for caller in [&clinic.tenant.owner, &server.operator()] {
                let answer = caller.call(method, &path).json(&json!({})).send().await;
                let problem = answer.refused(503, "locked");
                assert_eq!(problem["retryable"], true);
                assert!(answer.header("retry-after").is_some());
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
    server.nobody().get("/v1/system/receipt-key").await.refused(503, "locked");
    let token = json!({"token": invited["invitation"]["token"]});
    let redeem = server.nobody().post("/v1/invitations/redeem", token.clone()).await;
    redeem.refused(503, "locked");

    let nobody = server.nobody();
    let unlock = |body| nobody.post("/v1/system/unlock", body);
    unlock(json!({"key": other_key()})).await.refused(403, "wrong_key");
    unlock(json!({"key": "not a key"})).await.refused(403, "wrong_key");
    unlock(json!({"passphrase": "a horse and a battery"})).await.refused(403, "wrong_key");
    unlock(json!({})).await.refused(422, "invalid");
    let both = json!({"key": server.seal_key(), "passphrase": "x"});
    unlock(both).await.refused(422, "invalid");
    clinic.clerk.get(&clinic.patient(0)).await.refused(503, "locked");
    assert_eq!(unlock(json!({"key": server.seal_key()})).await.ok()["locked"], false);

    let record = clinic.manager.get(&clinic.patient(0)).await.ok();
    assert_eq!(record["fields"], Person::ALL[0].fields());
    assert_eq!(server.nobody().post("/v1/invitations/redeem", token).await.status, 201);
}

#[tokio::test]
async fn a_restarted_server_is_locked_and_keeps_everything() {
    let mut server = Server::redb().await;
    let mut clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let before = clinic.state().await;
    server.restart_locked().await;
    clinic.moved(&server);
    clinic.manager.get(&clinic.patient(0)).await.refused(503, "locked");
    let nobody = server.nobody();
    let unlock = |key: String| nobody.post("/v1/system/unlock", json!({"key": key}));
    unlock(other_key()).await.refused(403, "wrong_key");
    unlock(server.seal_key().to_owned()).await.ok();
    assert_eq!(clinic.state().await, before);
    // Once more, and by the other way.
    server.restart().await;
    clinic.moved(&server);
    assert_eq!(clinic.state().await, before);
    let log = clinic.tenant.owner.all("/audit", 1000).await;
    assert!(log.iter().any(|entry| entry["code"] == "record.create"));
}

#[tokio::test]
async fn only_an_operator_locks_the_server() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let lock = |caller: strongroom_tests::Caller| async move {
        caller.post("/v1/system/lock", json!({})).await
    };
    lock(server.nobody()).await.refused(401, "unauthenticated");
    for caller in [&clinic.tenant.owner, &clinic.manager, &clinic.clerk] {
        lock(caller.clone()).await.refused(404, "not_found");
    }
    assert_eq!(server.nobody().get("/v1/system/status").await.ok()["locked"], false);
}

/// A well-formed key that opens nothing.
fn other_key() -> String {
    let key = strongroom_crypto::Key::generate(&strongroom_crypto::SystemRng::new()).unwrap();
    strongroom_crypto::seal_key::write_file(&key).expose().trim().to_owned()
}
