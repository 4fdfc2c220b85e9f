//! The reason that a caller gives stands in the log, and dies with the person whom it is about.

use serde_json::json;
use strongroom_tests::{Clinic, Server};

#[tokio::test]
async fn a_reason_is_read_in_the_log_until_its_person_is_erased() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let reason = "asked%20by%20Mira%20on%20the%20phone%3A%20%C3%A9";
    let call = clinic.manager.call("GET", &clinic.patient(0));
    call.header("Strongroom-Reason", reason).send().await.ok();
    let call = clinic.manager.call("GET", "/collections/patients/records");
    call.header("Strongroom-Reason", "monthly%20list").send().await.ok();

    let reasons = async || {
        let lines = clinic.officer.all("/audit", 100).await;
        let mut reasons: Vec<String> =
            lines.iter().filter_map(|line| line["reason"].as_str().map(str::to_owned)).collect();
        reasons.sort();
        reasons
    };
    assert_eq!(reasons().await, ["asked by Mira on the phone: é", "monthly list"]);

    clinic.erase(&clinic.officer, json!({"subject": clinic.subjects[0]})).await;
    assert_eq!(reasons().await, ["monthly list"]);
}

#[tokio::test]
async fn a_reason_that_cannot_be_read_is_refused() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let long = "x".repeat(513);
    for wrong in ["%zz", "%ff", long.as_str()] {
        let call = clinic.manager.call("GET", &clinic.patient(0));
        call.header("Strongroom-Reason", wrong).send().await.refused(400, "invalid_header");
    }
}
