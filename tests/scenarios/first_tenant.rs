//! A tenant's first days: who sees what of a record, and who may change it.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Person, Server, fresh_key};

use crate::log::line_of;

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
