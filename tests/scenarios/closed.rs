//! What fails, fails closed: where a line, a change or a fact cannot be had, nothing is shown or done.

use serde_json::json;
use strongroom_tests::{Clinic, Fault, Person, Reply, Server};

const PATIENTS: &str = "/collections/patients/records";

fn shows_nothing(answer: &Reply) {
    let problem = answer.refused(503, "unavailable");
    assert_eq!(problem["retryable"], true);
    assert!(answer.header("retry-after").is_some());
    assert!(answer.lines().is_empty(), "it promises a line: {:?}", answer.lines());
    for person in Person::ALL {
        assert!(!answer.text().contains(person.name) && !answer.text().contains(person.email));
    }
}

#[tokio::test]
async fn a_read_whose_line_cannot_be_written_shows_nothing() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    server.faults.set(Fault::Append);
    let one = clinic.manager.get(&clinic.patient(0)).await;
    let list = clinic.manager.get(PATIENTS).await;
    let lookup = format!("{PATIENTS}:lookup");
    let found = clinic.manager.post(&lookup, json!({"external_id": "P-1"})).await;
    for answer in [one, list, found] {
        shows_nothing(&answer);
    }
    server.faults.set(Fault::None);
    let read = clinic.manager.get(&clinic.patient(0)).await;
    assert_eq!(read.ok()["fields"]["name"], Person::ALL[0].name);
    assert!(!read.lines().is_empty());
}

#[tokio::test]
async fn a_change_that_cannot_be_made_durable_is_refused_and_not_there_afterwards() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let before = clinic.state().await;
    server.faults.set(Fault::Commit);
    let owner = &clinic.tenant.owner;
    let made = owner.post(PATIENTS, json!({"external_id": "N", "fields": {"name": "Nora"}})).await;
    shows_nothing(&made);
    let changed = owner.patch_if(&clinic.patient(0), "*", json!({"fields": {"note": "x"}})).await;
    shows_nothing(&changed);
    shows_nothing(&owner.delete(&clinic.patient(0)).await);
    let erasure = json!({"target": {"subject": clinic.subjects[0]}, "ground": "subject_request"});
    shows_nothing(&owner.post_once("/erasures", erasure).await);
    server.faults.set(Fault::None);
    assert_eq!(clinic.state().await, before);
}

#[tokio::test]
async fn without_its_store_the_server_lets_nobody_in_and_lives() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    server.faults.set(Fault::Everything);
    for caller in [&clinic.tenant.owner, &clinic.clerk, &clinic.manager, &clinic.officer] {
        for path in ["/v1/whoami", PATIENTS, "/users", "/audit"] {
            shows_nothing(&caller.get(path).await);
        }
    }
    shows_nothing(&server.operator().get("/v1/tenants").await);
    server.nobody().get("/v1/whoami").await.refused(401, "unauthenticated");
    assert_eq!(server.nobody().get("/v1/system/health").await.status, 200);
    server.faults.set(Fault::None);
    clinic.clerk.get("/v1/whoami").await.ok();
}
