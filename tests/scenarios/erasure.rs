//! Erasing a record, a person, a collection, a tenant: what is gone, what stays, and what proves it.

use data_encoding::BASE64;
use serde_json::{Value, json};
use strongroom_audit::receipt::{self, ReceiptState, Scope};
use strongroom_tests::{Caller, Clinic, Person, Server, fresh_key};

/// The receipt of an erasure, verified offline with the key that the server publishes.
async fn verified(server: &Server, by: &Caller, erasure: &Value) -> receipt::Receipt {
    assert_eq!(erasure["state"], "erased", "{erasure}");
    let id = erasure["receipt"].as_str().unwrap();
    let shown = by.get(&format!("/receipts/{id}")).await.ok();
    assert_eq!(shown["id"], id);
    let key = server.nobody().get("/v1/system/receipt-key").await.ok();
    assert_eq!(key["algorithm"], "ed25519");
    let key = BASE64.decode(key["public_key"].as_str().unwrap().as_bytes()).unwrap();
    let key: [u8; 32] = key.try_into().unwrap();
    let signed = receipt::unarmour(shown["armored"].as_str().unwrap()).unwrap();
    for place in 0..signed.len() {
        let mut changed = signed.clone();
        changed[place] ^= 1;
        assert!(receipt::verify(&key, &changed).is_err(), "byte {place} may be changed");
    }
    assert!(receipt::verify(&[7; 32], &signed).is_err());
    assert!(receipt::verify(&key, &signed[..signed.len() - 1]).is_err());
    let verified = receipt::verify(&key, &signed).unwrap();
    assert_eq!(verified.id.to_string(), id);
    assert_eq!(verified.erasure.to_string(), erasure["id"].as_str().unwrap());
    assert_eq!(verified.state, ReceiptState::Erased);
    assert_eq!(verified.number_after, verified.number_before + 1);
    assert!(verified.holders.iter().any(|holder| holder.forgotten == holder.replicas));
    assert_eq!(shown["receipt"]["number_after"], verified.number_after);
    assert_eq!(shown["receipt"]["ground"], erasure["ground"]);
    verified
}

fn record_of(clinic: &Clinic, collection: &str, id: &str) -> Value {
    let _ = clinic;
    json!({"record": {"collection": collection, "id": id}})
}

/// What can be read of the clinic's other things, to be compared before and after.
async fn the_rest(clinic: &Clinic, gone: &[&String]) -> Vec<Value> {
    let mut rest = Vec::new();
    for collection in ["patients", "visits"] {
        let path = format!("/collections/{collection}/records");
        let found = clinic.manager.all(&path, 2).await;
        rest.extend(
            found.into_iter().filter(|record| !gone.iter().any(|id| record["id"] == id.as_str())),
        );
    }
    rest
}

#[tokio::test]
async fn an_erased_record_is_gone_and_everything_else_reads() {
    let mut server = Server::redb().await;
    let mut clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let gone = [&clinic.visits[0].clone()];
    let rest = the_rest(&clinic, &gone).await;
    let erasure = clinic.erase(&clinic.officer, record_of(&clinic, "visits", gone[0])).await;
    let receipt = verified(&server, &clinic.officer, &erasure).await;
    assert!(matches!(receipt.scope, Scope::Record(_, _)), "{:?}", receipt.scope);
    for restarted in [false, true] {
        if restarted {
            server.run_due_jobs().await;
            server.restart().await;
            clinic.moved(&server);
        }
        clinic.officer.get(&clinic.visit(0)).await.refused(410, "erased");
        clinic.tenant.owner.get(&clinic.visit(0)).await.refused(410, "erased");
        let there = clinic.clerk.get(&clinic.visit(0)).await;
        there.refused(404, "not_found");
        let never = format!("{}0", &clinic.visit(0)[..clinic.visit(0).len() - 1]);
        let never = clinic.clerk.get(&never).await;
        assert_eq!(there.without_request_id(), never.without_request_id());
        let lookup = json!({"external_id": "V-0"});
        let found = clinic.manager.post("/collections/visits/records:lookup", lookup).await;
        found.refused(404, "not_found");
        let patch = json!({"fields": {"fee": "9.00"}});
        assert!(clinic.manager.patch_if(&clinic.visit(0), "*", patch).await.status >= 400);
        assert_eq!(the_rest(&clinic, &[]).await, rest, "restarted: {restarted}");
        verified(&server, &clinic.officer, &erasure).await;
    }
}

#[tokio::test]
async fn the_answer_about_an_erased_record_names_the_receipt_to_those_who_may_know() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let target = record_of(&clinic, "visits", &clinic.visits[0]);
    let erasure = clinic.erase(&clinic.officer, target).await;
    let problem = clinic.officer.get(&clinic.visit(0)).await.refused(410, "erased");
    assert_eq!(problem["receipt"], erasure["receipt"], "{problem}");
}

#[tokio::test]
async fn an_erased_person_takes_their_records_in_every_collection_along() {
    let mut server = Server::redb().await;
    let mut clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let gone = [&clinic.patients[0].clone(), &clinic.visits[0].clone(), &clinic.visits[1].clone()];
    let rest = the_rest(&clinic, &gone).await;
    assert_eq!(rest.len(), 4);
    let subject = clinic.subjects[0].clone();
    let erasure = clinic.erase(&clinic.officer, json!({"subject": subject})).await;
    let receipt = verified(&server, &clinic.officer, &erasure).await;
    assert!(matches!(receipt.scope, Scope::Subject(_)), "{:?}", receipt.scope);
    for restarted in [false, true] {
        if restarted {
            server.run_due_jobs().await;
            server.restart().await;
            clinic.moved(&server);
        }
        for path in [clinic.patient(0), clinic.visit(0), clinic.visit(1)] {
            clinic.clerk.get(&path).await.refused(404, "not_found");
            clinic.manager.get(&path).await.refused(404, "not_found");
            let officer = clinic.officer.get(&path).await;
            assert!([404, 410].contains(&officer.status), "{}", officer.text());
        }
        let path = format!("/subjects/{subject}");
        clinic.clerk.get(&path).await.refused(404, "not_found");
        clinic.clerk.get(&format!("{path}/records")).await.refused(404, "not_found");
        for external_id in ["P-1", "V-0", "V-1"] {
            let collection = if external_id.starts_with('P') { "patients" } else { "visits" };
            let path = format!("/collections/{collection}/records:lookup");
            let lookup = clinic.manager.post(&path, json!({"external_id": external_id})).await;
            lookup.refused(404, "not_found");
        }
        let new = json!({"fields": {"patient": gone[0], "fee": "1.00"}});
        clinic.manager.post("/collections/visits/records", new).await.refused(422, "invalid");
        assert_eq!(the_rest(&clinic, &[]).await, rest, "restarted: {restarted}");
        verified(&server, &clinic.officer, &erasure).await;
    }
}

#[tokio::test]
async fn what_was_erased_is_410_for_those_who_may_know_and_404_for_the_rest() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let subject = &clinic.subjects[0];
    clinic.erase(&clinic.officer, record_of(&clinic, "visits", &clinic.visits[3])).await;
    clinic.erase(&clinic.officer, json!({"subject": subject})).await;
    clinic.erase(&clinic.officer, json!({"collection": "visits"})).await;
    for swept in [false, true] {
        if swept {
            server.run_due_jobs().await;
        }
        let gone = [
            clinic.visit(3),
            format!("/subjects/{subject}"),
            format!("/subjects/{subject}/records"),
            "/collections/visits".to_owned(),
            "/collections/visits/records".to_owned(),
        ];
        let mut wrong = Vec::new();
        for path in &gone {
            for (caller, status) in [(&clinic.officer, 410), (&clinic.clerk, 404)] {
                let answer = caller.get(path).await;
                if answer.status != status {
                    wrong.push(format!("{path}: {} instead of {status}", answer.status));
                }
            }
        }
        assert!(wrong.is_empty(), "swept: {swept}: {wrong:#?}");
    }
}

#[tokio::test]
async fn an_erased_collection_is_gone_and_the_others_stay() {
    let mut server = Server::redb().await;
    let mut clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let gone: Vec<&String> = clinic.visits.iter().collect();
    let rest = the_rest(&clinic, &gone).await;
    assert_eq!(rest.len(), 3);
    let erasure = clinic.erase(&clinic.officer, json!({"collection": "visits"})).await;
    let receipt = verified(&server, &clinic.officer, &erasure).await;
    assert!(matches!(receipt.scope, Scope::Collection(_)), "{:?}", receipt.scope);
    for restarted in [false, true] {
        if restarted {
            server.run_due_jobs().await;
            server.restart().await;
            clinic.moved(&server);
        }
        for path in ["/collections/visits/records".to_owned(), clinic.visit(0)] {
            clinic.clerk.get(&path).await.refused(404, "not_found");
            let officer = clinic.officer.get(&path).await;
            assert!([404, 410].contains(&officer.status), "{}", officer.text());
        }
        let lookup = json!({"external_id": "V-0"});
        let found = clinic.manager.post("/collections/visits/records:lookup", lookup).await;
        found.refused(404, "not_found");
        let patients = clinic.manager.all("/collections/patients/records", 400).await;
        assert_eq!(patients, rest, "restarted: {restarted}");
        let theirs = clinic.manager.get(&format!("/subjects/{}/records", clinic.subjects[0])).await;
        assert_eq!(theirs.ok()["data"].as_array().unwrap().len(), 1, "{}", theirs.text());
        // The name was of something that is gone, and is not given to something else.
        let again = json!({
            "name": "visits", "label": "Visits", "purposes": ["care"],
            "fields": [{"name": "on", "type": "date"}],
        });
        assert_eq!(clinic.tenant.owner.post("/collections", again).await.status, 409);
        verified(&server, &clinic.officer, &erasure).await;
    }
}

#[tokio::test]
async fn an_erased_tenant_is_gone_and_the_other_one_stays() {
    let mut server = Server::redb().await;
    let gone = Clinic::open(&server, "Harbour Street Clinic").await;
    let mut other = Clinic::open(&server, "Lindenhof Practice").await;
    let before = other.state().await;
    let target = json!({"tenant": gone.tenant.id});
    let body = json!({"target": target, "ground": "contract_ended"});
    let officer = gone.officer.post_once("/erasures", body.clone()).await;
    officer.refused(409, "owner_required");
    gone.manager.get(&gone.patient(0)).await.ok();
    let done = gone.tenant.owner.post_once("/erasures", body).await;
    assert_eq!(done.status, 201, "{}", done.text());
    let erasure = done.json();
    let receipt = verified(&server, &gone.tenant.owner, &erasure).await;
    assert_eq!(receipt.scope, Scope::Tenant);
    assert_eq!(receipt.tenant.to_string(), gone.tenant.id);
    for restarted in [false, true] {
        if restarted {
            server.run_due_jobs().await;
            server.restart().await;
            other.moved(&server);
        }
        for caller in [&gone.tenant.owner, &gone.manager, &gone.clerk, &gone.officer] {
            let caller = server.again(caller);
            for path in [gone.patient(0), gone.visit(0), "/collections/patients/records".to_owned()]
            {
                let answer = caller.get(&path).await;
                assert!([401, 403, 404, 410].contains(&answer.status), "{}", answer.text());
                for person in Person::ALL {
                    assert!(!answer.text().contains(person.name));
                }
            }
            let new = json!({"fields": {"name": "Too Late"}});
            let late = caller.post("/collections/patients/records", new).await;
            assert!([401, 403, 404, 409, 410].contains(&late.status), "{}", late.text());
        }
        assert_eq!(other.state().await, before, "restarted: {restarted}");
        let operator = server.operator().get(&format!("/v1/tenants/{}", gone.tenant.id)).await;
        assert!([200, 404, 410].contains(&operator.status), "{}", operator.text());
        if operator.status == 200 {
            assert_eq!(operator.json()["state"], "erased");
        }
    }
    let owner = server.again(&gone.tenant.owner);
    verified(&server, &owner, &erasure).await;
}

#[tokio::test]
async fn a_deleted_record_has_a_receipt_after_the_next_batch() {
    let mut server = Server::redb().await;
    let mut clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    assert_eq!(clinic.manager.delete(&clinic.visit(2)).await.status, 204);
    server.run_due_jobs().await;
    let erasures = clinic.officer.all("/erasures", 10).await;
    assert_eq!(erasures.len(), 1);
    verified(&server, &clinic.officer, &erasures[0]).await;
    server.restart().await;
    clinic.moved(&server);
    clinic.officer.get(&clinic.visit(2)).await.refused(410, "erased");
    clinic.manager.get(&clinic.visit(1)).await.ok();
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let before = clinic.state().await;
    for (target, records) in [
        (record_of(&clinic, "visits", &clinic.visits[0]), 1),
        (json!({"subject": clinic.subjects[0]}), 3),
        (json!({"collection": "visits"}), 4),
        (json!({"tenant": clinic.tenant.id}), 7),
    ] {
        let body = json!({"target": target, "ground": "subject_request", "dry_run": true});
        let preview = clinic.tenant.owner.post("/erasures", body).await;
        assert_eq!(preview.status, 200, "{}", preview.text());
        assert_eq!(preview.json()["would_erase"]["records"], records, "{target}");
        assert_eq!(preview.json()["retained"], json!([]));
    }
    assert_eq!(clinic.state().await, before);
}

#[tokio::test]
async fn a_second_request_finds_the_first_erasure() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    for target in [
        record_of(&clinic, "visits", &clinic.visits[3]),
        json!({"subject": clinic.subjects[0]}),
        json!({"collection": "visits"}),
    ] {
        let first = clinic.erase(&clinic.officer, target.clone()).await;
        let second = clinic.erase(&clinic.tenant.owner, target.clone()).await;
        assert_eq!(first, second);
        let path = format!("/erasures/{}", first["id"].as_str().unwrap());
        assert_eq!(clinic.officer.get(&path).await.ok(), first);
    }
    assert_eq!(clinic.officer.all("/erasures", 1).await.len(), 3);
}

#[tokio::test]
async fn a_replayed_erasure_is_the_same_one() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let key = fresh_key();
    let erase = |subject: &String| {
        let body = json!({"target": {"subject": subject}, "ground": "subject_request"});
        let call = clinic.officer.call("POST", "/erasures");
        call.header("Idempotency-Key", &key).json(&body).send()
    };
    let first = erase(&clinic.subjects[0]).await;
    let again = erase(&clinic.subjects[0]).await;
    assert_eq!(first.ok(), again.ok());
    erase(&clinic.subjects[1]).await.refused(422, "idempotency_key_reused");
    clinic.manager.get(&clinic.patient(1)).await.ok();
}

#[tokio::test]
async fn an_external_id_can_be_used_again_after_its_record_is_erased() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let person = json!({"external_id": "person-1"});
    let subject = clinic.manager.post("/subjects", person.clone()).await.id();
    clinic.manager.post("/subjects", person.clone()).await.refused(409, "external_id_taken");
    clinic.erase(&clinic.officer, json!({"subject": clinic.subjects[0]})).await;
    clinic.erase(&clinic.officer, json!({"subject": subject})).await;
    let again = json!({"external_id": "P-1", "fields": {"name": "Mira Again"}});
    let made = clinic.tenant.record("patients", again).await;
    assert_ne!(made["id"], clinic.patients[0].as_str());
    assert_ne!(made["subject"], clinic.subjects[0].as_str());
    let visit = json!({"external_id": "V-0", "fields": {"patient": {"external_id": "P-1"}}});
    let visit = clinic.tenant.record("visits", visit).await;
    assert_eq!(visit["subject"], made["subject"]);
    assert_ne!(clinic.manager.post("/subjects", person).await.id(), subject);
}

#[tokio::test]
async fn only_those_who_may_erase_erase() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let before = clinic.state().await;
    for caller in [&clinic.clerk, &clinic.manager] {
        for target in [
            record_of(&clinic, "visits", &clinic.visits[0]),
            json!({"subject": clinic.subjects[0]}),
            json!({"collection": "visits"}),
            json!({"tenant": clinic.tenant.id}),
        ] {
            let body = json!({"target": target, "ground": "subject_request"});
            caller.post_once("/erasures", body.clone()).await.refused(403, "no_rule");
            let mut body = body;
            body["dry_run"] = json!(true);
            caller.post("/erasures", body).await.refused(403, "no_rule");
        }
        caller.get("/erasures").await.refused(403, "no_rule");
    }
    assert_eq!(clinic.state().await, before);
}

#[tokio::test]
async fn erasures_at_the_same_time_all_end_with_their_own_receipts() {
    let server = Server::redb().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let erase = |target: Value| {
        let officer = clinic.officer.clone();
        let body = json!({"target": target, "ground": "subject_request"});
        tokio::spawn(async move { officer.post_once("/erasures", body).await })
    };
    let tasks = [
        erase(record_of(&clinic, "visits", &clinic.visits[0])),
        erase(json!({"subject": clinic.subjects[0]})),
        erase(json!({"subject": clinic.subjects[1]})),
        erase(json!({"collection": "visits"})),
    ];
    for task in tasks {
        let answer = task.await.unwrap();
        // The record may have gone with the person or the collection before its own turn came.
        assert!([201, 404, 410].contains(&answer.status), "{}", answer.text());
    }
    server.run_due_jobs().await;
    let erasures = clinic.officer.all("/erasures", 10).await;
    assert!(erasures.len() >= 3, "{erasures:?}");
    let mut receipts = Vec::new();
    for erasure in &erasures {
        // In one batch several numbers may be passed at once by nobody: each batch forgets one.
        verified(&server, &clinic.officer, erasure).await;
        receipts.push(erasure["receipt"].clone());
    }
    receipts.dedup();
    assert_eq!(receipts.len(), erasures.len());
    let left = clinic.manager.all("/collections/patients/records", 10).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["fields"], Person::ALL[2].fields());
}

#[tokio::test]
async fn a_creation_does_not_slip_past_an_erasure() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    for round in 0..8 {
        let body = json!({"external_id": format!("R-{round}"), "fields": {"name": "Rosa Race"}});
        let patient = clinic.tenant.record("patients", body).await;
        let creations: Vec<_> = (0..6)
            .map(|_| {
                let manager = clinic.manager.clone();
                let body = json!({"fields": {"patient": patient["id"], "fee": "2.00"}});
                tokio::spawn(async move { manager.post("/collections/visits/records", body).await })
            })
            .collect();
        clinic.erase(&clinic.officer, json!({"subject": patient["subject"]})).await;
        for creation in creations {
            let answer = creation.await.unwrap();
            if answer.status == 201 {
                let path = format!("/collections/visits/records/{}", answer.id());
                clinic.manager.get(&path).await.refused(404, "not_found");
            } else {
                assert!([404, 410, 422].contains(&answer.status), "{}", answer.text());
            }
        }
    }
    let visits = clinic.manager.all("/collections/visits/records", 400).await;
    assert_eq!(visits.len(), 4);
}
