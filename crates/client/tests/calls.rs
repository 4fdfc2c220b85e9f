//! What a call sends, when it sends it again, and what it makes of the answer.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a test fails by panicking")]

mod fake;

use fake::{Answered, Fake, tenant};
use strongroom_client::{
    ClientError, IfMatch, NewRecord, NewSubject, ProblemCode, RecordChange, Shown,
};
use strongroom_model::RecordId;

const RECORD: &str = r#"{"id":"rec_00000000000000000000000001","collection":"customers","version":3,
    "fields":{"name":"Canary"},"masked":{"phone":"•••• 4321"},"later":1}"#;

fn record() -> RecordId {
    "rec_00000000000000000000000001".parse().unwrap()
}

#[tokio::test]
async fn a_read_states_who_asks_and_what_for_and_nothing_in_its_url_names_a_person() {
    let fake = Fake::start(|_, _| Answered::Json(200, RECORD.to_owned()));
    let client =
        fake.client().for_purpose(&"sales".parse().unwrap()).because("on request").unwrap();
    let shown = Shown {
        fields: vec!["name".parse().unwrap(), "phone".parse().unwrap()],
        reveal: vec!["phone".parse().unwrap()],
    };
    let answer =
        client.at(tenant()).record(&"customers".parse().unwrap(), record(), &shown).await.unwrap();
    assert_eq!((answer.version, answer.audit.as_deref()), (Some(3), Some("1.2.aa")));
    assert_eq!(answer.value.fields["name"], "Canary");
    assert!(!format!("{answer:?} {client:?}").contains("Canary"));
    let asked = &fake.asked()[0];
    let tenant = strongroom_model::TenantId::from_bytes([1; 16]);
    assert_eq!(
        asked.line,
        format!(
            "GET /v1/tenants/{tenant}/collections/customers/records/{}?fields=name%2Cphone&reveal=phone \
             HTTP/1.1",
            record()
        )
    );
    assert_eq!(asked.header("authorization"), "Bearer srk_token");
    assert_eq!(asked.header("strongroom-purpose"), "sales");
    assert_eq!(asked.header("strongroom-reason"), "on%20request");
    assert_eq!(asked.header("idempotency-key"), "");
}

#[tokio::test]
async fn a_creation_is_sent_again_with_the_same_key_and_the_next_one_with_another() {
    let fake = Fake::start(|place, _| match place {
        0 => Answered::Problem(503, "conflict", true),
        1 => Answered::HangUp,
        _ => Answered::Json(201, RECORD.to_owned()),
    });
    let client = fake.client();
    let customers = "customers".parse().unwrap();
    for _ in 0..2 {
        client.at(tenant()).create_record(&customers, &NewRecord::default()).await.unwrap();
    }
    let keys: Vec<_> =
        fake.asked().iter().map(|asked| asked.header("idempotency-key").to_owned()).collect();
    assert_eq!(keys.len(), 4);
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
    assert!(keys.iter().all(|key| key.len() == 22), "{keys:?}");
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_not_sent_again() {
    let fake = Fake::start(|_, _| Answered::HangUp);
    let change = RecordChange::default();
    let error = fake
        .client()
        .at(tenant())
        .change_record(&"customers".parse().unwrap(), record(), &change, IfMatch::Version(7))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert_eq!(fake.asked().len(), 1);
    assert_eq!(fake.asked()[0].header("if-match"), "\"v7\"");
    assert_eq!(fake.asked()[0].body, r#"{"fields":{}}"#);
}

#[tokio::test]
async fn retries_end() {
    let fake = Fake::start(|_, _| Answered::Problem(503, "conflict", true));
    let error =
        fake.client().at(tenant()).create_subject(&NewSubject::default()).await.unwrap_err();
    assert_eq!(error.problem().unwrap().code, ProblemCode::Conflict);
    assert_eq!(fake.asked().len(), 6);
}

#[tokio::test]
async fn a_locked_server_and_a_final_problem_are_reported_at_once() {
    for (status, code, retryable) in [(503, "locked", true), (412, "version_stale", false)] {
        let fake = Fake::start(move |_, _| Answered::Problem(status, code, retryable));
        let error = fake.client().whoami().await.unwrap_err();
        let problem = error.problem().unwrap();
        assert_eq!((problem.status, problem.code.as_str()), (status, code));
        assert_eq!(problem.request_id.as_deref(), Some("req_1"));
        assert_eq!(fake.asked().len(), 1);
    }
}

#[tokio::test]
async fn the_token_does_not_follow_a_redirect() {
    let other = Fake::start(|_, _| Answered::Json(200, "{}".to_owned()));
    let port = other.port;
    let fake = Fake::start(move |_, _| {
        Answered::Raw(format!(
            "HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ))
    });
    let error = fake.client().whoami().await.unwrap_err();
    assert!(matches!(error, ClientError::Unintelligible { status: 307, .. }), "{error}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn what_is_no_answer_of_this_api_is_an_error_that_does_not_quote_it() {
    for raw in [
        "HTTP/1.1 200 X\r\ncontent-length: 8\r\nconnection: close\r\n\r\n<canary>",
        "HTTP/1.1 500 X\r\ncontent-length: 8\r\nconnection: close\r\n\r\n<canary>",
        "HTTP/1.1 200 X\r\ncontent-length: 16\r\nconnection: close\r\n\r\n{\"id\":\"canary1\"}",
    ] {
        let fake = Fake::start(move |_, _| Answered::Raw(raw.to_owned()));
        let error = fake.client().whoami().await.unwrap_err();
        assert!(matches!(error, ClientError::Unintelligible { .. }), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let fake = Fake::start(|_, _| Answered::HangUp);
    let client = Fake { port, ..fake }.client();
    let Err(error) = client.status().await else { panic!("something answered") };
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}
