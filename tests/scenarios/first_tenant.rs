//! A tenant's first days: who sees what, who may change what, and what stands in the log of it.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Person, Server, fresh_key};

const HOUR: i64 = 60 * 60;

#[tokio::test]
async fn a_clerk_sees_masks_and_only_the_year_of_a_birthday() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let shown = clinic.clerk.get(&clinic.patient(0)).await;
    let record = shown.ok();
    assert_eq!(record["fields"], json!({}));
    assert_eq!(record["masked"]["name"], "M. H.");
    assert_eq!(record["masked"]["birth_date"], "1979");
    assert!(record["masked"]["phone"].as_str().unwrap().ends_with("0141"), "{record}");
    assert!(record["masked"]["email"].as_str().unwrap().ends_with("@halloran.example"), "{record}");
    assert!(record["masked"].get("note").is_none(), "{record}");
    let listed = clinic.clerk.get("/collections/patients/records").await;
    let found = clinic
        .clerk
        .post("/collections/patients/records:lookup", json!({"external_id": "P-1"}))
        .await;
    assert_eq!(found.ok(), record);
    assert_eq!(listed.ok()["data"][0], record);
    for answer in [shown, listed, found] {
        for person in Person::ALL {
            for secret in [person.name, person.email, person.phone, person.birth_date] {
                assert!(!answer.text().contains(secret), "{secret} in {}", answer.text());
            }
        }
        assert!(!answer.text().contains("calls herself"));
    }
}

#[tokio::test]
async fn a_manager_sees_the_same_record_in_the_clear() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    for (number, person) in Person::ALL.iter().enumerate() {
        let record = clinic.manager.get(&clinic.patient(number)).await.ok();
        assert_eq!(record["fields"], person.fields());
        assert_eq!(record["masked"], json!({}));
        assert_eq!(record["external_id"], person.external_id);
    }
}

#[tokio::test]
async fn a_privacy_officer_reads_masks_and_writes_nothing() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let record = clinic.officer.get(&clinic.patient(1)).await.ok();
    assert_eq!(record["fields"], json!({}));
    let patch = json!({"fields": {"note": "x"}});
    clinic.officer.patch_if(&clinic.patient(1), "*", patch).await.refused(403, "no_rule");
    let new = json!({"fields": {"name": "Nobody Else"}});
    clinic.officer.post("/collections/patients/records", new).await.refused(403, "no_rule");
    clinic.officer.delete(&clinic.patient(1)).await.refused(403, "no_rule");
}

#[tokio::test]
async fn a_patch_needs_the_present_version() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let path = clinic.patient(0);
    let tag = clinic.manager.get(&path).await.tag().to_owned();
    let patch = |note: &str| json!({"fields": {"note": note}});
    let missing = clinic.manager.call("PATCH", &path).json(&patch("none")).send().await;
    missing.refused(428, "version_required");
    let first = clinic.manager.patch_if(&path, &tag, patch("first")).await;
    assert_eq!(first.ok()["fields"]["note"], "first");
    assert_ne!(first.tag(), tag);
    let stale = clinic.manager.patch_if(&path, &tag, patch("second")).await;
    let problem = stale.refused(412, "version_stale");
    assert_eq!(format!("\"v{}\"", problem["current_version"]), first.tag());
    let now = clinic.manager.get(&path).await;
    assert_eq!(now.ok()["fields"]["note"], "first");
    assert_eq!(now.tag(), first.tag());
    let any = clinic.manager.patch_if(&path, "*", patch("third")).await;
    assert_eq!(any.ok()["fields"]["note"], "third");
}

#[tokio::test]
async fn of_two_changes_against_one_version_one_is_made() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let path = clinic.patient(0);
    let tag = clinic.manager.get(&path).await.tag().to_owned();
    let change = |number: usize| {
        let (caller, path, tag) = (clinic.manager.clone(), path.clone(), tag.clone());
        let body = json!({"fields": {"note": format!("change {number}")}});
        tokio::spawn(async move { caller.patch_if(&path, &tag, body).await })
    };
    let changes: Vec<_> = (0..8).map(change).collect();
    let mut made = Vec::new();
    for change in changes {
        let answer = change.await.unwrap();
        if answer.status == 200 {
            made.push(answer.json()["fields"]["note"].clone());
        } else {
            answer.refused(412, "version_stale");
        }
    }
    assert_eq!(made.len(), 1);
    assert_eq!(clinic.manager.get(&path).await.ok()["fields"]["note"], made[0]);
}

#[tokio::test]
async fn a_replayed_creation_gives_the_same_record_and_makes_no_second_one() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let key = fresh_key();
    let create = |name: &str| {
        let body = json!({"fields": {"name": name}});
        let call = clinic.clerk.call("POST", "/collections/patients/records");
        call.header("Idempotency-Key", &key).json(&body).send()
    };
    let first = create("Ursula Twice").await;
    assert_eq!(first.status, 201);
    let again = create("Ursula Twice").await;
    assert_eq!((again.status, again.id()), (201, first.id()));
    assert_eq!(again.header("location"), first.header("location"));
    create("Somebody Else").await.refused(422, "idempotency_key_reused");
    let all = clinic.tenant.owner.all("/collections/patients/records", 400).await;
    assert_eq!(all.len(), Person::ALL.len() + 1);
    let elsewhere = clinic.clerk.call("POST", "/collections/visits/records");
    let body = json!({"fields": {"patient": {"external_id": "P-1"}}});
    let elsewhere = elsewhere.header("Idempotency-Key", &key).json(&body).send().await;
    elsewhere.refused(422, "idempotency_key_reused");
    // The key is the caller's own: with somebody else's credential it is another request.
    let other = clinic.manager.call("POST", "/collections/visits/records");
    let other = other.header("Idempotency-Key", &key).json(&body).send().await;
    assert_eq!(other.status, 201, "{}", other.text());
}

#[tokio::test]
async fn creations_with_one_key_at_the_same_time_make_one_record() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let key = fresh_key();
    let creations: Vec<_> = (0..8)
        .map(|_| {
            let body = json!({"external_id": "P-9", "fields": {"name": "Ursula Twice"}});
            let call = clinic.manager.call("POST", "/collections/patients/records");
            tokio::spawn(call.header("Idempotency-Key", &key).json(&body).send())
        })
        .collect();
    let mut ids = Vec::new();
    for creation in creations {
        ids.push(creation.await.unwrap().id());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

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
    let until: strongroom_model::Timestamp =
        second["expires_at"].as_str().unwrap().parse().unwrap();
    let left = until.as_micros()
        - server.clock.in_seconds(0).parse::<strongroom_model::Timestamp>().unwrap().as_micros();
    server.clock.advance(left / 1_000_000);
    redeem(&second).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn an_order_belongs_to_the_customer_whom_it_names_by_external_id() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    for (visit, patient) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
        let record = clinic.manager.get(&clinic.visit(visit)).await.ok();
        assert_eq!(record["fields"]["patient"], clinic.patients[patient].as_str());
        assert_eq!(record["subject"], clinic.subjects[patient].as_str());
    }
    let theirs = clinic.manager.get(&format!("/subjects/{}/records", clinic.subjects[0])).await;
    let mut theirs: Vec<String> = theirs.ok()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry["collection"], entry["record"]))
        .collect();
    theirs.sort();
    let mut expected = vec![
        format!("\"patients\" \"{}\"", clinic.patients[0]),
        format!("\"visits\" \"{}\"", clinic.visits[0]),
        format!("\"visits\" \"{}\"", clinic.visits[1]),
    ];
    expected.sort();
    assert_eq!(theirs, expected);
    let nowhere = json!({"fields": {"patient": {"external_id": "P-77"}}});
    let refused = clinic.manager.post("/collections/visits/records", nowhere).await;
    assert_eq!(refused.refused(422, "invalid")["errors"][0]["pointer"], "/fields/patient");
}

#[tokio::test]
async fn an_upsert_creates_once_and_changes_afterwards() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let path = "/collections/patients/records:upsert";
    let body = |name: &str| json!({"external_id": "P-9", "fields": {"name": name}});
    let created = clinic.manager.put(path, body("Jonas Nine")).await;
    assert_eq!(created.status, 201);
    let changed = clinic.manager.put(path, body("Jonas Neun")).await;
    assert_eq!((changed.status, changed.id()), (200, created.id()));
    assert_ne!(changed.tag(), created.tag());
    let lookup = json!({"external_id": "P-9"});
    let found = clinic.manager.post("/collections/patients/records:lookup", lookup).await.ok();
    assert_eq!(found["fields"]["name"], "Jonas Neun");
    assert_eq!(found["id"], created.id().as_str());
    let create = clinic.manager.post("/collections/patients/records", body("Jonas Again")).await;
    create.refused(409, "external_id_taken");
    let lookup = json!({"external_id": "P-10"});
    let none = clinic.manager.post("/collections/patients/records:lookup", lookup).await;
    none.refused(404, "not_found");
}

#[tokio::test]
async fn a_list_is_walked_whole_in_pages_of_any_size() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let items: Vec<Value> = (0..40)
        .map(|number| {
            let name = format!("Patient Number{number}");
            json!({"external_id": format!("I-{number}"), "fields": {"name": name}})
        })
        .collect();
    let path = "/collections/patients/records:import";
    let done = clinic.manager.post_once(path, json!({"items": items})).await.ok();
    assert!(done["results"].as_array().unwrap().iter().all(|item| item["status"] == "created"));
    let path = "/collections/patients/records";
    let whole = clinic.manager.all(path, 1000).await;
    assert_eq!(whole.len(), 43);
    for limit in [1, 7, 42, 43, 44] {
        assert_eq!(clinic.manager.all(path, limit).await, whole, "pages of {limit}");
    }
    let page = clinic.manager.get(&format!("{path}?limit=5&fields=name")).await;
    let link = page.header("link").unwrap().to_owned();
    let next =
        link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).unwrap();
    assert_eq!(clinic.manager.get(next).await.ok()["data"].as_array().unwrap().len(), 5);
    assert!(next.contains("fields=name"), "{next}");
    assert!(clinic.manager.get(&format!("{path}?limit=43")).await.ok()["data"].is_array());
}

#[tokio::test]
async fn a_limit_above_the_cap_is_an_error_and_not_cut() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let lists = [
        "/users",
        "/api-keys",
        "/classes",
        "/collections",
        "/collections/patients/records",
        "/erasures",
        "/audit",
    ];
    for list in lists {
        let over = clinic.tenant.owner.get(&format!("{list}?limit=1001")).await;
        over.refused(400, "limit_too_large");
        clinic.tenant.owner.get(&format!("{list}?limit=1000")).await.ok();
    }
    server.operator().get("/v1/tenants?limit=1001").await.refused(400, "limit_too_large");
}

#[tokio::test]
async fn a_field_that_was_not_asked_for_is_not_opened() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let record = clinic.manager.get(&format!("{}?fields=name,phone", clinic.patient(0))).await;
    let person = Person::ALL[0];
    assert_eq!(record.ok()["fields"], json!({"name": person.name, "phone": person.phone}));
    let line = line_of(&clinic.tenant.owner, &record.lines()[0]).await;
    let collection = clinic.tenant.owner.get("/collections/patients").await.ok();
    let number = |name: &str| {
        let fields = collection["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap()["number"].clone()
    };
    assert_eq!(line["touches"][0]["record"], clinic.patients[0].as_str());
    assert_eq!(line["touches"][0]["clear"], json!([number("name"), number("phone")]));
    assert_eq!(line["touches"][0]["masked"], json!([]));
    let listed = clinic.clerk.get("/collections/patients/records?fields=birth_date").await;
    for (record, person) in listed.ok()["data"].as_array().unwrap().iter().zip(Person::ALL) {
        assert_eq!(record["masked"], json!({"birth_date": person.birth_date[..4]}));
    }
    let line = line_of(&clinic.tenant.owner, &listed.lines()[0]).await;
    assert_eq!(line["touches"][2]["masked"], json!([number("birth_date")]));
    assert_eq!(line["touches"][2]["clear"], json!([]));
    let unknown = clinic.manager.get(&format!("{}?fields=shoe_size", clinic.patient(0))).await;
    unknown.refused(422, "invalid");
}

#[tokio::test]
async fn a_revealable_field_comes_in_the_clear_only_when_it_is_named() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let terms = json!({"rules": [{
        "actions": ["read"], "view": "masked",
        "fields": [{"field": "phone", "view": "revealable"}, {"field": "email", "view": "hidden"}],
    }]});
    let class = json!({"name": "reception", "label": "Reception", "terms": terms});
    assert_eq!(clinic.tenant.owner.post("/classes", class).await.status, 201);
    let reception = clinic.tenant.key(&server, &["reception"]).await;
    let path = clinic.patient(0);
    let plain = reception.get(&path).await.ok();
    assert_eq!(plain["fields"], json!({}));
    assert!(plain["masked"]["phone"].is_string() && plain["masked"].get("email").is_none());
    let revealed = reception.get(&format!("{path}?reveal=phone")).await;
    assert_eq!(revealed.ok()["fields"], json!({"phone": Person::ALL[0].phone}));
    let line = line_of(&clinic.tenant.owner, &revealed.lines()[0]).await;
    assert_eq!(line["touches"][0]["clear"].as_array().unwrap().len(), 1);
    let greedy = reception.get(&format!("{path}?reveal=name,email,birth_date")).await.json();
    assert!(greedy.get("fields").is_none_or(|fields| *fields == json!({})), "{greedy}");
}

#[tokio::test]
async fn a_field_that_the_collection_does_not_have_is_refused() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let before = clinic.state().await;
    let body = json!({"fields": {"name": "Some Body", "shoe_size": "43"}});
    let refused = clinic.manager.post("/collections/patients/records", body).await;
    let problem = refused.refused(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/fields/shoe_size");
    let patch = json!({"fields": {"shoe_size": "43"}});
    clinic.manager.patch_if(&clinic.patient(0), "*", patch).await.refused(422, "invalid");
    assert_eq!(clinic.state().await, before);
}

#[tokio::test]
async fn what_a_clerk_read_masked_cannot_be_written_back_over_the_value() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let path = clinic.patient(0);
    let before = clinic.state().await;
    let read = clinic.clerk.get(&path).await;
    let masked = read.ok()["masked"].clone();
    let whole = clinic.clerk.patch_if(&path, read.tag(), json!({"fields": masked})).await;
    whole.refused(422, "invalid");
    for (name, mask) in masked.as_object().unwrap() {
        let patch = json!({"fields": {name: mask}});
        clinic.clerk.patch_if(&path, "*", patch).await.refused(422, "invalid");
        let upsert = json!({"external_id": "P-1", "fields": {name: mask}});
        let upsert = clinic.clerk.put("/collections/patients/records:upsert", upsert).await;
        upsert.refused(422, "invalid");
    }
    assert_eq!(clinic.state().await, before);
    let new = json!({"fields": {"phone": "+353 1 555 0199"}});
    clinic.clerk.patch_if(&path, "*", new).await.ok();
    let now = clinic.manager.get(&path).await.ok();
    assert_eq!(now["fields"]["phone"], "+353 1 555 0199");
}

#[tokio::test]
async fn a_deleted_record_is_hidden_at_once() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    assert_eq!(clinic.manager.delete(&clinic.visit(0)).await.status, 204);
    assert!(clinic.manager.get(&clinic.visit(0)).await.status >= 400);
    clinic.clerk.get(&clinic.visit(0)).await.refused(404, "not_found");
    assert_eq!(clinic.manager.all("/collections/visits/records", 400).await.len(), 3);
    let lookup = json!({"external_id": "V-0"});
    let found = clinic.manager.post("/collections/visits/records:lookup", lookup).await;
    found.refused(404, "not_found");
    assert!(clinic.manager.delete(&clinic.visit(0)).await.status >= 400);
    server.run_due_jobs().await;
    clinic.clerk.get(&clinic.visit(0)).await.refused(404, "not_found");
    for visit in 1..4 {
        clinic.manager.get(&clinic.visit(visit)).await.ok();
    }
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

#[tokio::test]
async fn every_answer_about_a_tenant_s_things_stands_in_its_log() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let (owner, manager) = (&clinic.tenant.owner, &clinic.manager);
    let subject = format!("/subjects/{}", clinic.subjects[0]);
    let create = json!({"external_id": "P-8", "fields": {"name": "Lena Log"}});
    let import = json!({"items": [{"external_id": "P-7", "fields": {"name": "Lars Log"}}]});
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

#[tokio::test]
async fn a_collection_of_two_purposes_wants_to_know_which_one() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let purposes = json!({"purposes": ["care", "billing"]});
    clinic.tenant.owner.patch_if("/collections/visits", "*", purposes).await.ok();
    let body = json!({"fields": {"patient": {"external_id": "P-1"}, "fee": "3.00"}});
    let read = |caller: &Caller, id: &str, purpose: Option<&str>| {
        let mut call = caller.call("GET", &format!("/collections/visits/records/{id}"));
        if let Some(purpose) = purpose {
            call = call.header("Strongroom-Purpose", purpose);
        }
        call.send()
    };
    let create = clinic.manager.call("POST", "/collections/visits/records");
    let made = create.header("Strongroom-Purpose", "billing").json(&body).send().await.id();
    let problem = read(&clinic.manager, &made, None).await.refused(400, "purpose_required");
    assert_eq!(problem["purposes"], json!(["billing", "care"]));
    let found = read(&clinic.manager, &made, Some("billing")).await;
    let line = line_of(&clinic.tenant.owner, &found.lines()[0]).await;
    assert_eq!(line["purpose"], "billing");
    assert!(read(&clinic.manager, &made, Some("marketing")).await.status >= 400);
    // A visit that was recorded for care alone is not for billing.
    assert!(read(&clinic.manager, &clinic.visits[0], Some("billing")).await.status >= 400);
}

/// Where a line of the log stands, as headers spell it.
fn place(entry: &Value) -> String {
    format!("{}.{}.{}", entry["node"], entry["n"], entry["tag"].as_str().unwrap())
}

async fn line_of(owner: &Caller, wanted: &str) -> Value {
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
