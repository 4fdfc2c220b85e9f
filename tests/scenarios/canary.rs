//! A marked value through every door: afterwards it is nowhere on the disk and nowhere in the log.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use strongroom_model::Rng as _;
use strongroom_tests::{
    Caller, Finding, Logs, Needle, Server, fresh_key, search_bytes, search_folder,
};

/// Hands out marked values and remembers them.
#[derive(Default)]
struct Canaries {
    needles: Vec<Needle>,
}

impl Canaries {
    /// A value that fits wherever text does, also where only small letters and digits do.
    fn word(&mut self, name: &str) -> String {
        let mut bytes = [0; 20];
        strongroom_crypto::SystemRng::new().fill(&mut bytes).unwrap();
        let word: String = bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        self.needles.push(Needle::new(name, word.as_bytes()));
        word
    }

    /// Digits. With the last one they pass the check of card numbers.
    fn digits(&mut self, name: &str) -> String {
        let mut bytes = [0; 15];
        strongroom_crypto::SystemRng::new().fill(&mut bytes).unwrap();
        let mut digits: Vec<u32> = bytes.iter().map(|byte| u32::from(byte % 9) + 1).collect();
        let sum: u32 = digits
            .iter()
            .rev()
            .enumerate()
            .map(|(place, digit)| match (place % 2, *digit) {
                (0, digit) if digit > 4 => 2 * digit - 9,
                (0, digit) => 2 * digit,
                (_, digit) => digit,
            })
            .sum();
        digits.push((10 - sum % 10) % 10);
        let text: String = digits.iter().map(ToString::to_string).collect();
        self.needles.push(Needle::new(name, text.as_bytes()));
        text
    }

    /// A token: as text, and the secret part of it as bytes.
    fn token(&mut self, name: &str, token: &str) {
        self.needles.push(Needle::new(name, token.as_bytes()));
        let (_, body) = token.split_once('_').unwrap();
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).unwrap();
        self.needles.push(Needle::new(format!("{name}, its secret"), &bytes[32..56]));
    }
}

/// Every field type that holds what a person chose.
fn fields(canaries: &mut Canaries, way: &str) -> Value {
    let mut word = |what: &str| canaries.word(&format!("{what} by {way}"));
    let mut fields = json!({
        "text": word("text"),
        "name": format!("{} {}", word("first name"), word("last name")),
        "email": format!("{}@{}.example", word("mailbox"), word("domain")),
        "national_id": word("national id"),
        "tax_id": word("tax id"),
        "credential": word("credential"),
        "address": {
            "lines": [word("address line"), word("second line")], "city": word("city"),
            "region": word("region"), "postal_code": word("postal code"), "country": word("country"),
        },
        "list": [word("list item"), word("second item")],
        "scope": word("scope attribute"),
    });
    let json_key = word("key of json");
    fields["json"] = json!({json_key: [word("value of json")]});
    fields["phone"] = json!(format!("+49 {}", canaries.digits(&format!("phone by {way}"))));
    fields["card"] = json!(canaries.digits(&format!("card by {way}")));
    fields["decimal"] = json!(canaries.digits(&format!("decimal by {way}")));
    fields
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

/// Writes marked values by every way there is, and gives the needles.
async fn live(server: &Server) -> Vec<Needle> {
    let mut canaries = Canaries::default();
    let c = &mut canaries;
    c.needles.push(Needle::new("the seal key as text", server.seal_key().as_bytes()));
    let digits = server.seal_key().strip_prefix(strongroom_crypto::seal_key::FILE_PREFIX).unwrap();
    let seal = HEXLOWER.decode(digits.as_bytes()).unwrap();
    c.needles.push(Needle::new("the seal key", &seal[..32]));
    c.token("the operator's session", server.operator().token());

    // Tenant, owner, users.
    let email = |c: &mut Canaries, who: &str| {
        format!("{}@post.example", c.word(&format!("{who}'s e-mail")))
    };
    let body = json!({
        "name": c.word("tenant's name"),
        "owner": {"name": c.word("owner's name"), "email": email(c, "owner")},
    });
    let tenant = sent(&server.operator(), "POST", "/v1/tenants", body).await;
    let invitation = tenant["invitation"]["token"].as_str().unwrap();
    c.token("the owner's invitation", invitation);
    let token = server.redeem(invitation).await;
    c.token("the owner's session", &token);
    let home = format!("/v1/tenants/{}", tenant["id"].as_str().unwrap());
    let owner = server.at(&home, &token);
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
    let ends = server.clock.in_seconds(3600);
    let body = json!({"label": c.word("key's label"), "classes": ["manager"], "expires_at": ends});
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
    let key = json!({"key": c.word("what is no seal key")});
    refused(&server.nobody(), "POST", "/v1/system/unlock", key.to_string()).await;
    let passphrase = json!({"passphrase": c.word("passphrase")});
    refused(&server.nobody(), "POST", "/v1/system/unlock", passphrase.to_string()).await;
    let token = json!({"token": c.word("what is no invitation")});
    refused(&server.nobody(), "POST", "/v1/invitations/redeem", token.to_string()).await;

    // Headers and addresses.
    let reason = c.word("reason");
    let call = manager.call("GET", &path).header("Strongroom-Reason", &reason);
    call.header("Strongroom-Purpose", &purpose).send().await.ok();
    let key = c.word("idempotency key") + "_and_more";
    let call = manager.call("POST", &records).header("Idempotency-Key", &key);
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

    // An erasure and a deletion leave no more than the rest.
    let erase = json!({"target": {"subject": created["subject"]}, "ground": "subject_request"});
    sent(&owner, "POST", "/erasures", erase).await;
    let other = all.iter().find(|record| record["subject"] != created["subject"]).unwrap();
    let gone = other["id"].as_str().unwrap();
    assert_eq!(manager.delete(&format!("{records}/{gone}")).await.status, 204);
    server.run_due_jobs().await;
    canaries.needles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marked_value_is_found_nowhere_on_disk_and_in_no_log() {
    let logs = Logs::keep();
    let mut server = Server::redb().await;
    let mut needles = live(&server).await;
    assert!(needles.len() > 200, "{} needles", needles.len());

    // The search is able to find: once on the disk, once in the log, and under another spelling.
    let mut control = Canaries::default();
    let (on_disk, in_log) = (control.word("on disk"), control.word("in the log"));
    needles.extend(control.needles);
    tracing::trace!(target: "strongroom_tests", text = %in_log, "control");
    let folder = server.folder().to_owned();
    std::fs::write(folder.join("store").join("control"), format!("..{on_disk}..")).unwrap();
    let hidden = HEXLOWER.encode(on_disk.as_bytes());
    std::fs::write(folder.join("control"), hidden).unwrap();
    let check = |what: &str, findings: Vec<Finding>, controls: usize| {
        let (control, leaks): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .partition(|found| found.needle == "on disk" || found.needle == "in the log");
        assert_eq!(control.len(), controls, "{what}: the search is blind: {control:?}");
        assert!(leaks.is_empty(), "{what}: {} findings: {leaks:#?}", leaks.len());
    };

    // While it runs, after a restart, and when it has stopped.
    let look = || {
        let (findings, bytes) = search_folder(&folder, &needles);
        assert!(bytes > 100_000, "{bytes} bytes on disk");
        findings
    };
    check("the disk of a running server", look(), 2);
    server.restart().await;
    server.run_due_jobs().await;
    check("the disk after a restart", look(), 2);
    server.stop().await;
    check("the disk of a stopped server", look(), 2);
    let log = logs.so_far();
    let text = String::from_utf8_lossy(&log);
    for heard in ["/collections/{collection}/records:import", "hyper", "control"] {
        assert!(text.contains(heard), "nothing of {heard} in {} bytes of log", log.len());
    }
    check("the log", search_bytes("the log", &log, &needles), 1);
}
