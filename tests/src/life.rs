//! A whole life of marked values: a tenant, its people and records, by every way in, and what is refused.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use strongroom_crypto::SystemRng;
use strongroom_crypto::age::Identity;

use crate::canaries::{Canaries, fields};
use crate::program::redeem;
use crate::{Caller, Needle, Server, fresh_key};

/// The server on which it is played.
pub struct Stage {
    /// Somebody without a credential, in front of the provider's door.
    pub nobody: Caller,
    /// The first operator.
    pub operator: Caller,
    /// The seal key, as in its file.
    pub seal_key: String,
    /// An hour from now.
    pub ends: String,
}

/// Who and what is there afterwards.
pub struct Life {
    /// The tenant's owner.
    pub owner: Caller,
    /// An API key of a manager.
    pub manager: Caller,
    /// What is there, by the name of the part of a path in which it stands: `tenant`, `record`, ….
    pub ids: BTreeMap<&'static str, String>,
}

impl Stage {
    /// A server in this process.
    pub fn of(server: &Server) -> Self {
        Self {
            nobody: server.nobody(),
            operator: server.operator(),
            seal_key: server.seal_key().to_owned(),
            ends: server.clock.in_seconds(3600),
        }
    }
}

async fn sent(caller: &Caller, method: &str, path: &str, body: Value) -> Value {
    let call = caller.call(method, path).header("If-Match", "*");
    let answer = call.header("Idempotency-Key", &fresh_key()).json(&body).send().await;
    answer.ok()
}

/// Sends what will be refused; that it is, is for other tests.
async fn refused(caller: &Caller, method: &str, path: &str, body: impl Into<Vec<u8>>) {
    let call = caller.call(method, path).header("Idempotency-Key", &fresh_key());
    let answer = call.raw(body).send().await;
    assert!(answer.status >= 400, "{method} {path}: {}", answer.text());
}

/// Writes marked values by every way there is, and erases one of the people. The values of that one
/// are named "… by create" and "… by patch".
pub async fn live(stage: &Stage, c: &mut Canaries) -> Life {
    c.needles.push(Needle::new("the seal key as text", stage.seal_key.as_bytes()));
    let digits = stage.seal_key.strip_prefix(strongroom_crypto::seal_key::FILE_PREFIX).unwrap();
    let seal = HEXLOWER.decode(digits.as_bytes()).unwrap();
    c.needles.push(Needle::new("the seal key", &seal[..32]));
    c.token("the operator's session", stage.operator.token());

    // Tenant, owner, users.
    let email = |c: &mut Canaries, who: &str| {
        format!("{}@post.example", c.word(&format!("{who}'s e-mail")))
    };
    let body = json!({
        "name": c.word("tenant's name"),
        "owner": {"name": c.word("owner's name"), "email": email(c, "owner")},
    });
    let tenant = sent(&stage.operator, "POST", "/v1/tenants", body).await;
    let invitation = tenant["invitation"]["token"].as_str().unwrap();
    c.token("the owner's invitation", invitation);
    let token = redeem(&stage.nobody, invitation).await;
    c.token("the owner's session", &token);
    let home = format!("/v1/tenants/{}", tenant["id"].as_str().unwrap());
    let owner = stage.nobody.with_home(&home).with_token(&token);
    let body = json!({
        "name": c.word("user's name"), "email": email(c, "user"),
        "external_id": c.word("user's external id"), "classes": ["clerk"],
    });
    let user = sent(&owner, "POST", "/users", body).await;
    c.token("an invitation", user["invitation"]["token"].as_str().unwrap());
    let path = format!("/users/{}", user["id"].as_str().unwrap());
    sent(&owner, "PATCH", &path, json!({"name": c.word("user's new name")})).await;
    let again = owner.post(&format!("{path}/invitation"), json!({})).await.json();
    if let Some(token) = again["token"].as_str() {
        c.token("a second invitation", token);
    }

    // Collections, classes, keys.
    let (collection, purpose) = (c.word("collection's name"), c.word("purpose"));
    let kinds = [
        ("text", json!("text")),
        ("name", json!("name")),
        ("email", json!("email")),
        ("phone", json!("phone")),
        ("national_id", json!("national_id")),
        ("tax_id", json!("tax_id")),
        ("credential", json!("credential")),
        ("address", json!("address")),
        ("list", json!({"list": "text"})),
        ("json", json!("json")),
        ("card", json!("card")),
        ("decimal", json!("decimal")),
    ];
    let option = c.word("option's name");
    let mut declared: Vec<Value> = kinds
        .iter()
        .map(|(name, kind)| json!({"name": name, "label": c.word("field's label"), "type": kind}))
        .collect();
    declared.push(json!({"name": "scope", "type": "text", "scope": true}));
    declared.push(json!({"name": "choice", "type": {"choice": [
        {"name": option, "label": c.word("option's label")},
    ]}}));
    declared.push(json!({"name": c.word("field's name"), "type": "text"}));
    declared.push(json!({"name": "up", "type": {"reference": collection}}));
    let file = c.word("name of a field for files");
    declared.push(json!({"name": file, "type": "file"}));
    let body = json!({
        "name": collection, "label": c.word("collection's label"), "purposes": [purpose],
        "fields": declared,
    });
    sent(&owner, "POST", "/collections", body).await;
    let body = json!({
        "label": c.word("collection's new label"), "relabel": {"text": c.word("new label of a field")},
        "add_fields": [{"name": c.word("added field"), "type": "text", "label": c.word("its label")}],
    });
    sent(&owner, "PATCH", &format!("/collections/{collection}"), body).await;
    let class = c.word("class's name");
    let terms = |value: &str| {
        json!({"rules": [{
            "actions": ["read", "create"], "collection": collection, "view": "clear", "write": true,
            "purposes": [purpose], "rows": {"filter": [{"field": "scope", "any_of": [value]}]},
        }]})
    };
    let body = json!({
        "name": class, "label": c.word("class's label"), "terms": terms(&c.word("literal of a filter")),
    });
    sent(&owner, "POST", "/classes", body).await;
    let body =
        json!({"label": c.word("class's new label"), "terms": terms(&c.word("new literal"))});
    sent(&owner, "PUT", &format!("/classes/{class}"), body).await;
    let body =
        json!({"label": c.word("key's label"), "classes": ["manager"], "expires_at": stage.ends});
    let key = sent(&owner, "POST", "/api-keys", body).await;
    c.token("an API key", key["token"].as_str().unwrap());
    let manager = owner.with_token(key["token"].as_str().unwrap());

    // Records, by every way in.
    let records = format!("/collections/{collection}/records");
    let record = |c: &mut Canaries, way: &str| {
        let mut fields = fields(c, way);
        fields["choice"] = json!(option);
        json!({
            "external_id": c.word(&format!("external id by {way}")),
            "source": c.word(&format!("source by {way}")), "fields": fields,
        })
    };
    let body = record(c, "create");
    let external_id = body["external_id"].clone();
    let created = sent(&manager, "POST", &records, body).await;
    let path = format!("{records}/{}", created["id"].as_str().unwrap());
    sent(&manager, "PATCH", &path, json!({"fields": fields(c, "patch")})).await;
    let body = record(c, "upsert");
    let upserted = body["external_id"].clone();
    sent(&manager, "PUT", &format!("{records}:upsert"), body).await;
    let mut body = record(c, "a second upsert");
    body["external_id"] = upserted;
    body["fields"]["up"] = json!({"external_id": external_id});
    sent(&manager, "PUT", &format!("{records}:upsert"), body).await;
    let items: Vec<Value> = (0..3).map(|number| record(c, &format!("import {number}"))).collect();
    let mut items = json!({"items": items});
    let mut bad = record(c, "a bad item");
    bad["fields"]["email"] = json!(c.word("what is no e-mail address"));
    items["items"].as_array_mut().unwrap().push(bad);
    let done = sent(&manager, "POST", &format!("{records}:import"), items).await;
    assert_eq!(done["results"][2]["status"], "created", "{done}");
    assert_eq!(done["results"][3]["status"], "failed", "{done}");
    let subject = json!({"external_id": c.word("subject's external id")});
    sent(&manager, "POST", "/subjects", subject).await;

    // A file, which is replaced, and what is refused of it.
    let file_path = format!("{path}/files/{file}");
    for way in ["a file", "a file in the place of another"] {
        let mut word = |what: &str| c.word(&format!("{what} of {way}"));
        let (bytes, kind, name) = (word("bytes"), word("type"), word("name"));
        let put = manager.call("PUT", &file_path).header("If-Match", "*");
        let put = put.header("Strongroom-File-Name", &format!("{name}.jpg"));
        put.body_of(&format!("image/{kind}"), bytes.repeat(2_000)).send().await.ok();
        let read = manager.get(&file_path).await;
        assert!(read.bytes == bytes.repeat(2_000).into_bytes(), "{way} comes back");
        let put = manager.call("PUT", &file_path).header("If-Match", "\"v1\"");
        let put = put.header("Strongroom-File-Name", &word("name of what is stale"));
        assert_eq!(put.body_of("a/b", word("bytes of what is stale")).send().await.status, 412);
        let put = manager.call("PUT", &file_path).header("If-Match", "*");
        let put = put.header("Content-Type", &word("what is no media type"));
        assert_eq!(put.send().await.status, 400);
    }
    let nowhere = format!("{path}/files/{}", c.word("unknown field for files"));
    assert_eq!(manager.get(&nowhere).await.status, 404);

    // Reading what was written.
    let all = manager.all(&records, 2).await;
    assert_eq!(all.len(), 5);
    manager.get(&path).await.ok();
    sent(&manager, "POST", &format!("{records}:lookup"), json!({"external_id": external_id})).await;
    let lookup = json!({"external_id": c.word("external id that is looked for in vain")});
    refused(&manager, "POST", &format!("{records}:lookup"), lookup.to_string()).await;
    owner.get("/audit").await.ok();

    // What is refused carries marked values too, wherever it can.
    let broken = format!("{{\"fields\": {{\"name\": \"{}", c.word("broken JSON"));
    refused(&manager, "POST", &records, broken).await;
    let mut bytes = c.word("bad UTF-8").into_bytes();
    bytes.push(0xff);
    refused(&manager, "POST", &records, bytes).await;
    for (name, body) in [
        ("unknown member", json!({c.word("unknown member"): 1, "fields": {}})),
        ("unknown field", json!({"fields": {c.word("unknown field"): c.word("its value")}})),
        ("wrong type", json!({"fields": {"name": {"x": c.word("value of a wrong type")}}})),
        ("wrong member type", json!({"fields": c.word("fields that are text")})),
        ("date", json!({"fields": {"phone": c.word("what is no number")}})),
        ("reference", json!({"fields": {"up": {"external_id": c.word("reference to nothing")}}})),
        ("subject", json!({"subject": c.word("what is no subject"), "fields": {}})),
        ("time", json!({"collected_at": c.word("what is no time"), "fields": {}})),
        ("purpose", json!({"purposes": [c.word("unknown purpose")], "fields": {}})),
        ("choice", json!({"fields": {"choice": c.word("what is no option")}})),
    ] {
        let _ = name;
        refused(&manager, "POST", &records, body.to_string()).await;
    }
    let class = json!({"name": "x", "template": c.word("unknown template")});
    refused(&owner, "POST", "/classes", class.to_string()).await;
    let user = json!({"name": "X", "email": c.word("user's bad e-mail"), "classes": ["clerk"]});
    refused(&owner, "POST", "/users", user.to_string()).await;
    let wrong = json!({"key": c.word("what is no seal key")});
    refused(&stage.nobody, "POST", "/v1/system/unlock", wrong.to_string()).await;
    let passphrase = json!({"passphrase": c.word("passphrase")});
    refused(&stage.nobody, "POST", "/v1/system/unlock", passphrase.to_string()).await;
    let token = json!({"token": c.word("what is no invitation")});
    refused(&stage.nobody, "POST", "/v1/invitations/redeem", token.to_string()).await;

    // Headers and addresses.
    let reason = c.word("reason");
    let call = manager.call("GET", &path).header("Strongroom-Reason", &reason);
    call.header("Strongroom-Purpose", &purpose).send().await.ok();
    let once = c.word("idempotency key") + "_and_more";
    let call = manager.call("POST", &records).header("Idempotency-Key", &once);
    call.json(&json!({"fields": {"text": c.word("text with a key")}})).send().await.ok();
    for name in [
        "If-Match",
        "Strongroom-Purpose",
        "Strongroom-Reason",
        "Idempotency-Key",
        "X-Unknown",
        "Cookie",
        "User-Agent",
        "X-Forwarded-For",
        "Referer",
    ] {
        let value = format!("%{}", c.word(&format!("header {name}")));
        manager.call("GET", &path).header(name, &value).send().await;
    }
    for path in [
        format!("{path}?{}=1", c.word("unknown query member")),
        format!("{path}?fields={}", c.word("unknown field of a query")),
        format!("{records}?cursor={}", c.word("what is no cursor")),
        format!("{records}?limit={}", c.word("what is no limit")),
        format!("{records}/{}", c.word("what is no id")),
        format!("/collections/{}/records", c.word("unknown collection")),
        format!("/classes/{}", c.word("unknown class")),
        format!("/v1/{}", c.word("unknown route")),
        format!("/v1/tenants/{}/users", c.word("what is no tenant")),
    ] {
        assert!(manager.get(&path).await.status >= 400, "{path}");
    }
    let stranger = manager.with_token(&c.word("what is no token"));
    assert_eq!(stranger.get(&path).await.status, 401);
    let odd = c.word("method").to_ascii_uppercase();
    assert!(manager.call(&odd, &path).send().await.status >= 400);

    // All of it as an archive, for somebody who can open it.
    let identity = Identity::generate(&SystemRng::new()).unwrap();
    let archive = json!({"recipients": [identity.recipient().to_string()]});
    sent(&owner, "POST", "/records:archive", archive).await;

    // An erasure and a deletion leave no more than the rest.
    let erase = json!({"target": {"subject": created["subject"]}, "ground": "subject_request"});
    let erasure = sent(&owner, "POST", "/erasures", erase).await;
    let other = all.iter().find(|record| record["subject"] != created["subject"]).unwrap();
    let gone = other["id"].as_str().unwrap();
    assert_eq!(manager.delete(&format!("{records}/{gone}")).await.status, 204);
    let mut ids = vec![
        ("tenant", tenant["id"].clone()),
        ("user", user["id"].clone()),
        ("collection", json!(collection)),
        ("field", json!(file)),
        ("class", json!(class)),
        ("subject", other["subject"].clone()),
        ("erasure", erasure["id"].clone()),
        ("receipt", erasure["receipt"].clone()),
    ];
    let living = all
        .iter()
        .find(|record| record["id"] != other["id"] && record["subject"] != created["subject"]);
    ids.push(("record", living.unwrap()["id"].clone()));
    ids.push(("key", key["id"].clone()));
    let ids = ids.into_iter().filter_map(|(name, id)| Some((name, id.as_str()?.to_owned())));
    Life { owner, manager, ids: ids.collect() }
}
