//! Whatever cannot be meant: every piece of it gets its problem document and changes nothing.

use serde_json::{Value, json};
use strongroom_tests::{Call, Caller, Clinic, Server, fresh_key};

/// Stands in bad input where a program might be tempted to repeat it.
const MARK: &str = "zq7-marked-9xk";

const PATIENTS: &str = "/collections/patients/records";
const VISITS: &str = "/collections/visits/records";
const IMPORT: &str = "/collections/patients/records:import";
const UPSERT: &str = "/collections/patients/records:upsert";
const LOOKUP: &str = "/collections/patients/records:lookup";

/// A request and what has to come of it.
struct Case {
    name: String,
    call: Call,
    status: u16,
    code: &'static str,
}

/// Cases, collected.
struct Cases<'c> {
    by: &'c Caller,
    all: Vec<Case>,
}

impl<'c> Cases<'c> {
    fn new(by: &'c Caller) -> Self {
        Self { by, all: Vec::new() }
    }

    fn add(&mut self, name: &str, call: Call, status: u16, code: &'static str) {
        self.all.push(Case { name: name.to_owned(), call, status, code });
    }

    /// A request with any bytes.
    fn raw(
        &mut self,
        method: &str,
        path: &str,
        body: impl Into<Vec<u8>>,
        status: u16,
        code: &'static str,
    ) {
        let body: Vec<u8> = body.into();
        let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let call = self.ready(method, path).raw(body);
        self.add(&format!("{method} {path} {start}"), call, status, code);
    }

    /// A request with JSON.
    fn json(&mut self, method: &str, path: &str, body: &Value, status: u16, code: &'static str) {
        self.raw(method, path, serde_json::to_vec(body).unwrap(), status, code);
    }

    /// 422 for these bodies.
    fn meaningless(&mut self, method: &str, path: &str, bodies: &[Value]) {
        for body in bodies {
            self.json(method, path, body, 422, "invalid");
        }
    }

    /// 400 for these bodies.
    fn unreadable(&mut self, method: &str, path: &str, bodies: &[Value]) {
        for body in bodies {
            self.json(method, path, body, 400, "invalid_json");
        }
    }

    /// A request without a body.
    fn bare(&mut self, method: &str, path: &str, status: u16, code: &'static str) {
        let call = self.ready(method, path);
        self.add(&format!("{method} {path}"), call, status, code);
    }

    fn ready(&self, method: &str, path: &str) -> Call {
        let call = self.by.call(method, path);
        let call = if path.ends_with(":import") || path.ends_with("/erasures") {
            call.header("Idempotency-Key", &fresh_key())
        } else {
            call
        };
        if method == "PATCH" || method == "PUT" { call.header("If-Match", "*") } else { call }
    }

    /// Sends everything, and compares what comes back with the table and the clinic with itself.
    async fn check(self, clinic: &Clinic) {
        let before = clinic.state().await;
        let count = self.all.len();
        let mut wrong = Vec::new();
        for Case { name, call, status, code } in self.all {
            let answer = call.send().await;
            if (answer.status, answer.code().as_str()) != (status, code) {
                wrong.push(format!("{name}\n   want {status} {code}\n   have {}", answer.text()));
            }
            if answer.text().contains(MARK) {
                wrong.push(format!("{name}\n   repeats what was sent: {}", answer.text()));
            }
        }
        assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
        assert_eq!(clinic.state().await, before, "something was changed");
    }
}

async fn clinic() -> (Server, Clinic) {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    (server, clinic)
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn what_is_no_json_of_the_route_s_shape_is_400() {
    let (_server, clinic) = clinic().await;
    let mut cases = Cases::new(&clinic.tenant.owner);
    for (method, path) in [
        ("POST", PATIENTS.to_owned()),
        ("PATCH", clinic.patient(0)),
        ("PUT", UPSERT.to_owned()),
        ("POST", LOOKUP.to_owned()),
        ("POST", IMPORT.to_owned()),
        ("POST", "/subjects".to_owned()),
        ("POST", "/erasures".to_owned()),
        ("POST", "/users".to_owned()),
        ("PATCH", format!("/users/{}", clinic.tenant.owner_id)),
        ("POST", "/api-keys".to_owned()),
        ("POST", "/classes".to_owned()),
        ("PUT", "/classes/clerk".to_owned()),
        ("POST", "/collections".to_owned()),
        ("PATCH", "/collections/patients".to_owned()),
        ("POST", "/v1/tenants".to_owned()),
        ("POST", "/v1/system/unlock".to_owned()),
        ("POST", "/v1/invitations/redeem".to_owned()),
    ] {
        let marked = format!("{{\"{MARK}\": \"{MARK}\"}}");
        let unclosed = format!("{{\"fields\": {{\"name\": \"{MARK}");
        let deep = format!("{{\"fields\": {{\"name\": {}}}}}", nested(31));
        let deeper = format!("{{\"fields\": {}", "{\"a\":".repeat(3_000));
        let bad_utf8 = [b"{\"fields\": {\"name\": \"".as_slice(), b"\xc3\x28", b"\"}}"].concat();
        let overlong = [b"{\"fields\": {\"name\": \"".as_slice(), b"\xc0\xaf", b"\"}}"].concat();
        for body in [
            "",
            " ",
            "{",
            "}",
            "[]",
            "null",
            "true",
            "42",
            "\"text\"",
            "{]",
            "{\"a\" 1}",
            "{'a': 1}",
            "{\"a\": 1,}",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            "{\"a\": NaN}",
            "{\"a\": 01}",
            "{/**/}",
            "{\"a\": 1e999}",
            "{\"a\": \"\\ud800\"}",
            "{\"a\": \"\\x\"}",
            "{\"a\": \"\u{1}\"}",
            &marked,
            &unclosed,
            &deep,
            &deeper,
            &nested(33),
            &nested(8_000),
        ] {
            cases.raw(method, &path, body, 400, "invalid_json");
        }
        for body in [bad_utf8, overlong, vec![0xff, 0xfe, b'{', 0, b'}', 0], vec![0; 100]] {
            cases.raw(method, &path, body, 400, "invalid_json");
        }
    }
    cases.check(&clinic).await;
}

#[tokio::test]
async fn unknown_members_wrong_types_and_keys_that_stand_twice_are_400() {
    let (_server, clinic) = clinic().await;
    let mut cases = Cases::new(&clinic.tenant.owner);
    let fields = json!({"name": "Nora New"});
    for (method, path) in [("POST", PATIENTS), ("PUT", UPSERT)] {
        cases.unreadable(
            method,
            path,
            &[
                json!({"external_id": "N", "fields": fields, MARK: 1}),
                json!({"external_id": 5, "fields": fields}),
                json!({"external_id": ["N"], "fields": fields}),
                json!({"external_id": "N", "fields": null}),
                json!({"external_id": "N", "fields": []}),
                json!({"external_id": "N", "fields": MARK}),
                json!({"external_id": "N"}),
                json!({"external_id": "N", "fields": fields, "assignees": {}}),
                json!({"external_id": "N", "fields": fields, "assignees": null}),
                json!({"external_id": "N", "fields": fields, "purposes": "care"}),
                json!({"external_id": "N", "fields": fields, "id": "rec_0"}),
                json!({"external_id": "N", "fields": fields, "version": 7}),
            ],
        );
        for twice in [
            r#"{"external_id":"N","external_id":"M","fields":{}}"#.to_owned(),
            r#"{"external_id":"N","fields":{},"fields":{}}"#.to_owned(),
            format!(r#"{{"external_id":"N","fields":{{"name":"{MARK}","name":"b"}}}}"#),
            format!(r#"{{"external_id":"N","fields":{{"name":"{MARK}","na\u006de":"b"}}}}"#),
            r#"{"external_id":"N","fields":{"note":{"a":1,"a":2}}}"#.to_owned(),
        ] {
            cases.raw(method, path, twice, 400, "invalid_json");
        }
    }
    cases.unreadable(
        "PATCH",
        &clinic.patient(0),
        &[
            json!({"fields": {}, "external_id": "N"}),
            json!({"fields": null}),
            json!({"assignees": null}),
            json!({"assignees": "nobody"}),
            json!({MARK: {}}),
        ],
    );
    cases.raw(
        "PATCH",
        &clinic.patient(0),
        r#"{"fields":{"note":"a","note":"b"}}"#,
        400,
        "invalid_json",
    );
    cases.unreadable("POST", LOOKUP, &[json!({"external_id": 1}), json!({}), json!({"id": "x"})]);
    cases.unreadable(
        "POST",
        IMPORT,
        &[
            json!({"items": {}}),
            json!({"items": [5]}),
            json!({"items": [[]]}),
            json!({"items": [{"external_id": "N", "fields": {}, MARK: 1}]}),
            json!({"items": null}),
            json!({}),
        ],
    );
    cases.unreadable("POST", "/erasures", &[
        json!({"target": {"subject": clinic.subjects[0], "tenant": clinic.tenant.id}, "ground": "unlawfully_collected"}),
        json!({"target": {}, "ground": "subject_request"}),
        json!({"target": {"planet": "Earth"}, "ground": "subject_request"}),
        json!({"target": {"subject": clinic.subjects[0]}, "ground": MARK}),
        json!({"target": {"subject": clinic.subjects[0]}}),
        json!({"target": {"record": {"collection": "patients", "id": clinic.patients[0], "x": 1}}, "ground": "subject_request"}),
        json!({"target": {"record": ["patients", clinic.patients[0]]}, "ground": "subject_request"}),
        json!({"target": {"subject": clinic.subjects[0]}, "ground": "subject_request", "dry_run": "yes"}),
    ]);
    cases.unreadable(
        "POST",
        "/users",
        &[
            json!({"name": "Nora", "classes": "clerk"}),
            json!({"name": "Nora"}),
            json!({"name": 5, "classes": []}),
            json!({"name": "Nora", "classes": ["clerk"], "state": "active"}),
        ],
    );
    cases.unreadable(
        "PATCH",
        &format!("/users/{}", clinic.tenant.owner_id),
        &[
            json!({"state": "ghost"}),
            json!({"state": null}),
            json!({"name": null}),
            json!({"email": "nora@new.example"}),
        ],
    );
    cases.unreadable("POST", "/classes", &[
        json!({"name": "n", "label": "N", "terms": {"rules": [{"actions": ["fly"]}]}}),
        json!({"name": "n", "label": "N", "terms": {"rules": [{"actions": ["read"], "view": "all"}]}}),
        json!({"name": "n", "label": "N", "terms": {"rules": [{"actions": ["read"], MARK: 1}]}}),
        json!({"name": "n", "label": "N", "terms": {"rules": [{"actions": ["read"], "rows": "some"}]}}),
        json!({"name": "n", "label": "N", "terms": []}),
        json!({"name": "n", "label": "N", "terms": {"owner": "yes"}}),
    ]);
    cases.unreadable("POST", "/collections", &[
        json!({"name": "n", "label": "N", "purposes": ["care"], "fields": [{"name": "a", "type": "soul"}]}),
        json!({"name": "n", "label": "N", "purposes": ["care"], "fields": [{"name": "a"}]}),
        json!({"name": "n", "label": "N", "purposes": ["care"], "fields": {"a": "text"}}),
        json!({"name": "n", "label": "N", "purposes": ["care"], "fields": [], "number": 7}),
        json!({"name": "n", "label": "N", "purposes": ["care"], "fields": [{"name": "a", "type": "text", "mask": "some"}]}),
    ]);
    cases.unreadable("POST", "/api-keys", &[
        json!({"label": "n", "classes": ["clerk"]}),
        json!({"label": "n", "classes": ["clerk"], "expires_at": 1_800_000_000}),
        json!({"label": "n", "classes": ["clerk"], "expires_at": "2026-03-03T00:00:00Z", "token": "srk_x"}),
    ]);
    cases.check(&clinic).await;
}

#[tokio::test]
async fn what_can_be_read_but_not_meant_is_422() {
    let (server, clinic) = clinic().await;
    let mut cases = Cases::new(&clinic.tenant.owner);
    let patient = |fields: Value| json!({"external_id": "N", "fields": fields});
    let text = |bytes: usize| "x".repeat(bytes);
    for (method, path) in [("POST", PATIENTS), ("PUT", UPSERT)] {
        cases.meaningless(method, path, &[
            patient(json!({"name": 5})),
            patient(json!({"name": ["Nora"]})),
            patient(json!({"name": {"first": "Nora"}})),
            patient(json!({"name": true})),
            patient(json!({"name": text(16 * 1024 + 1)})),
            patient(json!({"note": text(16 * 1024 + 1)})),
            patient(json!({"email": MARK})),
            patient(json!({"email": "a@b@c"})),
            patient(json!({"email": ""})),
            patient(json!({"email": format!("{MARK} x@example.org")})),
            patient(json!({"phone": MARK})),
            patient(json!({"phone": "12"})),
            patient(json!({"phone": "123456789012345678901"})),
            patient(json!({"phone": 5_550_100})),
            patient(json!({"birth_date": "2026-02-30"})),
            patient(json!({"birth_date": "1979-4-23"})),
            patient(json!({"birth_date": "23.04.1979"})),
            patient(json!({"birth_date": "1979-04-23T00:00:00Z"})),
            patient(json!({"birth_date": 19_790_423})),
            patient(json!({"birth_date": MARK})),
            patient(json!({"shoe_size": MARK})),
            patient(json!({MARK: "x"})),
            patient(json!({"": "x"})),
            json!({"external_id": "", "fields": {}}),
            json!({"external_id": text(257), "fields": {}}),
            json!({"external_id": "a\nb", "fields": {}}),
            json!({"external_id": "a\u{0}b", "fields": {}}),
            json!({"external_id": "N", "fields": {}, "subject": MARK}),
            json!({"external_id": "N", "fields": {}, "subject": clinic.patients[0]}),
            json!({"external_id": "N", "fields": {}, "subject": clinic.subjects[0].to_uppercase()}),
            json!({"external_id": "N", "fields": {}, "subject": "sub_00000000000000000000000000"}),
            json!({"external_id": "N", "fields": {}, "collected_at": "yesterday"}),
            json!({"external_id": "N", "fields": {}, "collected_at": "2026-02-30T00:00:00Z"}),
            json!({"external_id": "N", "fields": {}, "purposes": ["Bad Purpose"]}),
            json!({"external_id": "N", "fields": {}, "purposes": ["marketing"]}),
            json!({"external_id": "N", "fields": {}, "assignees": [MARK]}),
            json!({"external_id": "N", "fields": {}, "assignees": [clinic.subjects[0]]}),
            json!({"external_id": "N", "fields": {}, "source": text(201)}),
        ]);
    }
    let visit = |fields: Value| json!({"fields": fields});
    cases.meaningless(
        "POST",
        VISITS,
        &[
            visit(json!({"patient": MARK})),
            visit(json!({"patient": clinic.visits[0]})),
            visit(json!({"patient": clinic.subjects[0]})),
            visit(json!({"patient": {"external_id": MARK}})),
            visit(json!({"patient": {"external_id": 5}})),
            visit(json!({"patient": {"id": clinic.patients[0]}})),
            visit(json!({"patient": {}})),
            visit(json!({"patient": [clinic.patients[0]]})),
            visit(json!({"patient": 5})),
            visit(json!({"fee": 12.5})),
            visit(json!({"fee": "1e3"})),
            visit(json!({"fee": "12,50"})),
            visit(json!({"fee": ".5"})),
            visit(json!({"fee": "1234567890123456789012345678901234567"})),
            visit(json!({"fee": u64::MAX})),
            visit(json!({"on": i64::MIN})),
            visit(json!({"on": "99999-01-01"})),
        ],
    );
    cases.meaningless(
        "PATCH",
        &clinic.patient(0),
        &[
            json!({"fields": {"birth_date": "2026-02-30"}}),
            json!({"fields": {"shoe_size": null}}),
            json!({"fields": {"phone": MARK, "note": "this one would be fine"}}),
            json!({"assignees": [MARK]}),
        ],
    );
    let many: Vec<Value> =
        (0..501).map(|n| json!({"external_id": n.to_string(), "fields": {}})).collect();
    cases.meaningless("POST", IMPORT, &[json!({"items": []}), json!({"items": many})]);
    let soon = server.clock.in_seconds(3600);
    let key = |label: &str, classes: Value, ends: &str| json!({"label": label, "classes": classes, "expires_at": ends});
    cases.meaningless(
        "POST",
        "/api-keys",
        &[
            key("Bad Label", json!(["clerk"]), &soon),
            key("n", json!([MARK]), &soon),
            key("n", json!(["no_such_class"]), &soon),
            key("n", json!(["clerk"]), "tomorrow"),
            key("n", json!(["clerk"]), &server.clock.in_seconds(-1)),
            key("n", json!(["clerk"]), &server.clock.in_seconds(0)),
            key("n", json!(["clerk"]), &server.clock.in_seconds(367 * 24 * 3600)),
        ],
    );
    cases.meaningless(
        "POST",
        "/users",
        &[
            json!({"name": "", "classes": ["clerk"]}),
            json!({"name": text(201), "classes": ["clerk"]}),
            json!({"name": "a\u{7}b", "classes": ["clerk"]}),
            json!({"name": "Nora", "email": MARK, "classes": ["clerk"]}),
            json!({"name": "Nora", "classes": ["no_such_class"]}),
            json!({"name": "Nora", "classes": ["Bad Class"]}),
        ],
    );
    cases.meaningless(
        "PATCH",
        &format!("/users/{}", clinic.tenant.owner_id),
        &[json!({"state": "invited"}), json!({"classes": ["no_such_class"]})],
    );
    let class = |terms: Value| json!({"name": "n", "label": "N", "terms": terms});
    cases.meaningless(
        "POST",
        "/classes",
        &[
            class(json!({"administrative": ["read"]})),
            class(json!({"administrative": ["operate"]})),
            class(json!({"rules": [{"actions": ["erase"]}]})),
            class(json!({"rules": [{"actions": []}]})),
            class(json!({"conditions": {"window": {
                "zone": "Mars/Olympus", "weekdays": [1], "from_minute": 0, "until_minute": 60,
            }}})),
            json!({"name": "n", "label": "N", "template": "no_such_template"}),
            json!({"name": "n", "label": "N", "template": "clerk", "terms": {}}),
            json!({"name": "n", "label": "N"}),
            json!({"name": "n", "terms": {}}),
            json!({"name": "Bad Name", "template": "clerk"}),
        ],
    );
    let collection =
        |fields: Value| json!({"name": "n", "label": "N", "purposes": ["care"], "fields": fields});
    let of = |kind: Value| collection(json!([{"name": "a", "type": kind}]));
    cases.meaningless("POST", "/collections", &[
        collection(json!([{"name": "a", "type": "text"}, {"name": "a", "type": "date"}])),
        collection(json!([{"name": "Bad Name", "type": "text"}])),
        of(json!({"choice": []})),
        of(json!({"choice": [{"name": "x", "label": "X"}, {"name": "x", "label": "Y"}]})),
        of(json!({"list": {"list": "text"}})),
        of(json!({"reference": "Bad Name"})),
        collection(json!([{"name": "a", "type": "date", "mask": "last_four"}])),
        collection(json!([{"name": "a", "type": "date", "scope": true}])),
        collection(json!([{"name": "a", "type": "text", "category": "no term"}])),
        json!({"name": "n", "label": "N", "purposes": ["Bad Purpose"], "fields": []}),
        json!({"name": "n", "label": "N", "purposes": ["care"], "subject": {"through": "nothing"}, "fields": []}),
        json!({"name": "N", "label": "N", "purposes": ["care"], "fields": []}),
    ]);
    cases.meaningless(
        "PATCH",
        "/collections/patients",
        &[
            json!({"retire_fields": ["no_such_field"]}),
            json!({"masks": {"birth_date": "last_four"}}),
            json!({"relabel": {"no_such_field": "X"}}),
            json!({"add_fields": [{"name": "name", "type": "text"}]}),
        ],
    );
    cases.check(&clinic).await;
}

#[tokio::test]
async fn what_the_state_does_not_allow_is_409() {
    let (_server, clinic) = clinic().await;
    let mut cases = Cases::new(&clinic.tenant.owner);
    let taken = json!({"external_id": "P-1", "fields": {"name": "Somebody Else"}});
    cases.json("POST", PATIENTS, &taken, 409, "external_id_taken");
    let class = json!({"name": "clerk", "template": "clerk"});
    cases.json("POST", "/classes", &class, 409, "name_taken");
    let owner = json!({"label": "Owner", "terms": {}});
    cases.json("PUT", "/classes/owner", &owner, 409, "owner_class");
    let call = clinic.tenant.owner.call("DELETE", "/classes/clerk").header("If-Match", "*");
    cases.add("a class that somebody has", call, 409, "class_in_use");
    let collection = json!({"name": "patients", "label": "P", "purposes": ["care"], "fields": []});
    cases.json("POST", "/collections", &collection, 409, "name_taken");
    let user = json!({"name": "Odd", "email": "ODETTE@owner.example", "classes": ["clerk"]});
    cases.json("POST", "/users", &user, 409, "email_taken");
    cases.check(&clinic).await;
}

#[tokio::test]
async fn a_bad_address_is_404_or_405() {
    let (server, clinic) = clinic().await;
    let mut cases = Cases::new(&clinic.tenant.owner);
    let id = &clinic.patients[0];
    for wrong in [
        clinic.subjects[0].clone(),
        id.to_uppercase(),
        id[..id.len() - 1].to_owned(),
        format!("{id}0"),
        id.replacen("rec_", "rec-", 1),
        id.replacen("rec_", "", 1),
        "rec_zzzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
        "rec_80000000000000000000000000".to_owned(),
        "rec_00000000000000000000000000".to_owned(),
        "rec_ooooooooooooooooooooooooo0".to_owned(),
        clinic.visits[0].clone(),
        MARK.to_owned(),
        "%00".to_owned(),
        "%ff".to_owned(),
        "%2e%2e%2f".to_owned(),
        "..%2f..%2fusers".to_owned(),
        "x".repeat(4000),
        "🔑".to_owned(),
    ] {
        cases.bare("GET", &format!("{PATIENTS}/{wrong}"), 404, "not_found");
        cases.bare("DELETE", &format!("{PATIENTS}/{wrong}"), 404, "not_found");
        let patch = json!({"fields": {"note": MARK}});
        cases.json("PATCH", &format!("{PATIENTS}/{wrong}"), &patch, 404, "not_found");
        cases.bare("GET", &format!("/users/{wrong}"), 404, "not_found");
        cases.bare("GET", &format!("/erasures/{wrong}"), 404, "not_found");
        cases.bare("GET", &format!("/receipts/{wrong}"), 404, "not_found");
        cases.bare("GET", &format!("/api-keys/{wrong}"), 404, "not_found");
        cases.bare("GET", &format!("/collections/{wrong}"), 404, "not_found");
        cases.bare("GET", &format!("/classes/{wrong}"), 404, "not_found");
        cases.bare("GET", &format!("/v1/tenants/{wrong}"), 404, "not_found");
        cases.bare("GET", &format!("/v1/tenants/{wrong}/users"), 404, "not_found");
        if wrong != clinic.subjects[0] {
            cases.bare("GET", &format!("/subjects/{wrong}"), 404, "not_found");
        }
    }
    for nowhere in
        ["/v1/nothing", "/v1/tenants/", "/v1//whoami", "/v1/whoami/", "/v1/Whoami", "/v1/system"]
    {
        cases.bare("GET", nowhere, 404, "not_found");
    }
    for (method, path) in [
        ("PUT", PATIENTS),
        ("DELETE", "/collections/patients"),
        ("POST", "/v1/whoami"),
        ("PATCH", "/v1/system/status"),
        ("GET", LOOKUP),
        ("POST", UPSERT),
    ] {
        cases.bare(method, path, 405, "method_not_allowed");
    }
    cases.check(&clinic).await;
    let allowed = clinic.tenant.owner.call("PUT", PATIENTS).send().await;
    assert_eq!(allowed.header("allow"), Some("GET, HEAD, POST"));
    server.nobody().get("/v1/nothing").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_bad_query_is_refused_and_not_ignored() {
    let (server, clinic) = clinic().await;
    let other = Clinic::open(&server, "Lindenhof Practice").await;
    let cursor = |page: Value| page["next"].as_str().unwrap().to_owned();
    let owner = &clinic.tenant.owner;
    let mine = cursor(owner.get(&format!("{PATIENTS}?limit=1")).await.ok());
    let theirs = cursor(other.tenant.owner.get(&format!("{PATIENTS}?limit=1")).await.ok());
    let visits = cursor(owner.get(&format!("{VISITS}?limit=1")).await.ok());
    let users = cursor(owner.get("/classes?limit=1").await.ok());
    let log = cursor(owner.get("/audit?limit=1").await.ok());
    let mut flipped = mine.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let mut cases = Cases::new(owner);
    for list in [PATIENTS, "/users", "/classes", "/api-keys", "/collections", "/erasures", "/audit"]
    {
        for limit in ["0", "-1", "+1", "1.5", "ten", "", "0x10", MARK] {
            cases.bare("GET", &format!("{list}?limit={limit}"), 400, "invalid_query");
        }
        cases.bare("GET", &format!("{list}?limit=99999999999999999999"), 400, "limit_too_large");
        cases.bare("GET", &format!("{list}?limit=1001"), 400, "limit_too_large");
        cases.bare("GET", &format!("{list}?limit=1&limit=2"), 400, "invalid_query");
        cases.bare("GET", &format!("{list}?{MARK}=1"), 400, "invalid_query");
        cases.bare("GET", &format!("{list}?offset=1"), 400, "invalid_query");
        for bad in [
            &theirs,
            &flipped,
            &mine[1..].to_owned(),
            &mine.to_lowercase(),
            &format!("{mine}A"),
            &MARK.to_owned(),
            &"A".repeat(1025),
        ] {
            cases.bare("GET", &format!("{list}?cursor={bad}"), 422, "invalid");
        }
        for bad in [&visits, &users, &log, &mine] {
            let own = [(PATIENTS, &mine), ("/classes", &users), ("/audit", &log)];
            if !own.contains(&(list, bad)) {
                cases.bare("GET", &format!("{list}?cursor={bad}"), 422, "invalid");
            }
        }
    }
    for (query, status, code) in [
        ("fields=shoe_size", 422, "invalid"),
        ("reveal=shoe_size", 422, "invalid"),
        ("fields=", 400, "invalid_query"),
        ("fields=name,,phone", 400, "invalid_query"),
        ("fields=Name", 400, "invalid_query"),
        ("fields=name&fields=phone", 400, "invalid_query"),
        ("fields=name%20", 400, "invalid_query"),
        ("fields=%ff", 400, "invalid_query"),
        ("field=name", 400, "invalid_query"),
        ("fields[]=name", 400, "invalid_query"),
    ] {
        cases.bare("GET", &format!("{PATIENTS}?{query}"), status, code);
        cases.bare("GET", &format!("{}?{query}", clinic.patient(0)), status, code);
    }
    cases.bare("GET", &format!("{}?limit=5", clinic.patient(0)), 400, "invalid_query");
    cases.bare("GET", "/v1/whoami?x=1", 400, "invalid_query");
    cases.check(&clinic).await;
    assert_eq!(owner.get(&format!("{PATIENTS}?cursor={mine}")).await.status, 200);
    // A cursor leads on for a day. The key outlives it by a minute.
    let ends = server.clock.in_seconds(24 * 60 * 60 + 60);
    let key = json!({"label": "long", "classes": ["clerk"], "expires_at": ends});
    let key = owner.post("/api-keys", key).await.ok()["token"].as_str().unwrap().to_owned();
    server.clock.advance(24 * 60 * 60 + 1);
    let late = owner.with_token(&key).get(&format!("{PATIENTS}?cursor={mine}")).await;
    late.refused(422, "invalid");
}

#[tokio::test]
async fn a_bad_header_is_refused_and_not_ignored() {
    let (_server, clinic) = clinic().await;
    let owner = &clinic.tenant.owner;
    let mut cases = Cases::new(owner);
    let patch = json!({"fields": {"note": "changed"}});
    let path = clinic.patient(0);
    for tag in [
        "v1",
        "\"1\"",
        "1",
        "W/\"v1\"",
        "\"v1",
        "\"v-1\"",
        "\"v99999999999999999999\"",
        "\"v1\", \"v2\"",
        "**",
        "",
        MARK,
        "\"v\"",
    ] {
        let call = owner.call("PATCH", &path).header("If-Match", tag).json(&patch);
        cases.add(&format!("If-Match: {tag}"), call, 400, "invalid_header");
    }
    let twice = owner.call("PATCH", &path).header("If-Match", "*").header("If-Match", "*");
    cases.add("If-Match twice", twice.json(&patch), 400, "invalid_header");
    for (method, path, body) in [
        ("PATCH", path.clone(), patch.clone()),
        ("PATCH", "/collections/patients".to_owned(), json!({"label": "L"})),
        ("PATCH", format!("/users/{}", clinic.tenant.owner_id), json!({"name": "N"})),
        ("PUT", "/classes/clerk".to_owned(), json!({"label": "L", "terms": {}})),
    ] {
        let call = owner.call(method, &path).json(&body);
        cases.add(&format!("{method} {path} without If-Match"), call, 428, "version_required");
        let call = owner.call(method, &path).header("If-Match", "\"v99\"").json(&body);
        cases.add(&format!("{method} {path} stale"), call, 412, "version_stale");
    }
    let create = json!({"fields": {"name": "Nora New"}});
    for key in [
        "short",
        &"x".repeat(256),
        &format!("{}!", "x".repeat(22)),
        &format!("{} {}", "x".repeat(11), "x".repeat(11)),
        "",
    ] {
        let call = owner.call("POST", PATIENTS).header("Idempotency-Key", key).json(&create);
        cases.add(&format!("Idempotency-Key: {key}"), call, 400, "invalid_header");
    }
    let import = json!({"items": [{"external_id": "N", "fields": {}}]});
    cases.add(
        "import without a key",
        owner.call("POST", IMPORT).json(&import),
        400,
        "idempotency_key_required",
    );
    let erase = json!({"target": {"subject": clinic.subjects[0]}, "ground": "subject_request"});
    cases.add(
        "erasure without a key",
        owner.call("POST", "/erasures").json(&erase),
        400,
        "idempotency_key_required",
    );
    for purpose in ["No Such!", "", "ü", "care,billing"] {
        let call = owner.call("GET", &path).header("Strongroom-Purpose", purpose);
        cases.add(&format!("Strongroom-Purpose: {purpose}"), call, 400, "invalid_header");
    }
    for reason in ["%", "%zz", "%ff%fe", "%00", "", &"x".repeat(513), &"%41".repeat(513)] {
        let call = owner.call("POST", PATIENTS).header("Strongroom-Reason", reason).json(&create);
        cases.add(&format!("Strongroom-Reason: {reason}"), call, 400, "invalid_header");
    }
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", ""]
    {
        let call = owner.call("POST", PATIENTS).body_of(kind, b"{\"fields\":{}}");
        cases.add(&format!("Content-Type: {kind}"), call, 415, "unsupported_media_type");
    }
    cases.check(&clinic).await;
}

#[tokio::test]
async fn a_bad_token_is_401_and_says_no_more() {
    let (server, clinic) = clinic().await;
    let good = clinic.clerk.token().to_owned();
    let session = clinic.tenant.owner.token().to_owned();
    let invited = json!({"name": "Nora", "classes": ["owner"]});
    let invited = clinic.tenant.owner.post("/users", invited).await.ok();
    let invitation = invited["invitation"]["token"].as_str().unwrap().to_owned();
    let mut tokens = vec![
        String::new(),
        "x".to_owned(),
        MARK.to_owned(),
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        format!(" {good}"),
        good.to_uppercase(),
        good.replacen("srk_", "srs_", 1),
        good.replacen("srk_", "sri_", 1),
        session.replacen("srs_", "srk_", 1),
        invitation.clone(),
        invitation.replacen("sri_", "srs_", 1),
        good.replacen("srk_", "", 1),
        "srk_".to_owned(),
        format!("srk_{}", "A".repeat(80)),
        "A".repeat(10_000),
    ];
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        tokens.push(String::from_utf8(bytes).unwrap());
    }
    let mut answers = Vec::new();
    let before = clinic.state().await;
    for token in &tokens {
        let caller = clinic.clerk.with_token(token);
        answers.push(caller.get(&clinic.patient(0)).await);
        let body = json!({"fields": {"name": "Nora New"}});
        answers.push(caller.post(PATIENTS, body).await);
        answers.push(caller.get("/v1/whoami").await);
    }
    let nobody = clinic.clerk.nobody();
    for value in [
        String::new(),
        "Bearer".to_owned(),
        format!("Basic {good}"),
        good.clone(),
        format!("Bearer{good}"),
        format!("Bearer {good} {good}"),
        format!("Bearer {good}, Bearer {good}"),
    ] {
        let call = nobody.call("GET", &clinic.patient(0)).header("Authorization", &value);
        answers.push(call.send().await);
    }
    let twice = clinic.clerk.call("GET", &clinic.patient(0));
    answers.push(twice.header("Authorization", &format!("Bearer {good}")).send().await);
    answers.push(nobody.get(&clinic.patient(0)).await);
    let first = answers[0].without_request_id();
    for answer in &answers {
        answer.refused(401, "unauthenticated");
        assert_eq!(answer.without_request_id(), first);
        assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    }
    assert_eq!(clinic.state().await, before);
    for token in tokens.iter().filter(|token| **token != invitation) {
        let body = json!({"token": token});
        let redeemed = server.nobody().post("/v1/invitations/redeem", body).await;
        redeemed.refused(401, "unauthenticated");
    }
    clinic.clerk.get(&clinic.patient(0)).await.ok();
    server.redeem(&invitation).await;
}

#[tokio::test]
async fn an_oversized_body_is_413_before_it_is_read_as_json() {
    let (server, clinic) = clinic().await;
    let mut cases = Cases::new(&clinic.tenant.owner);
    let mib = 1024 * 1024;
    let body = |bytes: usize| {
        let mut body = b"{\"fields\": {\"name\": \"".to_vec();
        body.resize(bytes, b'x');
        body
    };
    cases.raw("POST", PATIENTS, body(mib + 1), 413, "body_too_large");
    cases.raw("POST", PATIENTS, body(mib), 400, "invalid_json");
    cases.raw("PATCH", &clinic.patient(0), body(3 * mib), 413, "body_too_large");
    cases.raw("POST", IMPORT, body(mib + 1), 400, "invalid_json");
    cases.raw("POST", IMPORT, body(8 * mib + 1), 413, "body_too_large");
    cases.check(&clinic).await;
    for path in ["/v1/system/unlock", "/v1/invitations/redeem"] {
        let large = server.nobody().call("POST", path).raw(body(16 * 1024 + 1)).send().await;
        large.refused(413, "body_too_large");
    }
}

#[tokio::test]
async fn a_bad_item_of_an_import_leaves_the_others() {
    let (_server, clinic) = clinic().await;
    let item = |id: &str, fields: Value| json!({"external_id": id, "fields": fields});
    let items = json!({"items": [
        item("I-0", json!({"name": "Ida Zero"})),
        item("I-1", json!({"birth_date": MARK})),
        item("I-2", json!({"name": "Ida Two", "shoe_size": "43"})),
        {"fields": {"name": "Ida Nobody"}},
        item("P-1", json!({"name": "Not Mira"})),
        item("I-0", json!({"name": "Ida Twice"})),
        item("I-6", json!({"name": "Ida Six", "email": "no address"})),
        {"external_id": "I-7", "fields": {"name": "Ida Seven"}, "subject": "sub_00000000000000000000000000"},
        item("I-8", json!({"name": "Ida Eight"})),
    ]});
    let done = clinic.manager.post_once(IMPORT, items.clone()).await;
    let results = done.ok()["results"].clone();
    let word = |place: usize| results[place]["status"].as_str().unwrap().to_owned();
    let words: Vec<String> = (0..9).map(word).collect();
    assert_eq!(words[..5], ["created", "failed", "failed", "failed", "exists"], "{results}");
    assert!(["exists", "failed"].contains(&words[5].as_str()), "{results}");
    assert_eq!(words[6..], ["failed", "failed", "created"], "{results}");
    assert_eq!(results[4]["id"], clinic.patients[0].as_str());
    for (place, pointer) in [
        (1, "/fields/birth_date"),
        (2, "/fields/shoe_size"),
        (3, "/external_id"),
        (6, "/fields/email"),
        (7, "/subject"),
    ] {
        assert_eq!(results[place]["index"], place);
        assert_eq!(results[place]["errors"][0]["pointer"], pointer, "{results}");
    }
    assert!(!done.text().contains(MARK));
    let lookup = async |id: &str| clinic.manager.post(LOOKUP, json!({"external_id": id})).await;
    assert_eq!(lookup("I-0").await.ok()["fields"]["name"], "Ida Zero");
    assert_eq!(lookup("I-8").await.ok()["fields"]["name"], "Ida Eight");
    assert_eq!(lookup("P-1").await.ok()["fields"]["name"], "Mira Halloran");
    for missing in ["I-1", "I-2", "I-6", "I-7"] {
        lookup(missing).await.refused(404, "not_found");
    }
    let before = clinic.state().await;
    let again = clinic.manager.post_once(IMPORT, items).await.ok();
    assert_eq!(again["results"][0]["status"], "exists");
    assert_eq!(again["results"][8]["id"], results[8]["id"]);
    assert_eq!(clinic.state().await, before);
}
