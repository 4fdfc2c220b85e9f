//! Attacks on the edge of the server: slow, endless, broken and too many, through real sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use strongroom_model::{ClearValue, FieldName, NoRandomness, Rng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::extract::{Body, FromBody};
use crate::problem::Problem;
use crate::{BODY_BYTES_MAX, Config, Limits, RunningServer, Server};

/// Longer than every bound of these tests, and shorter than anybody's patience.
const LONG: Duration = Duration::from_secs(10);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default, deserialize_with = "crate::json::members")]
    fields: Vec<(FieldName, ClearValue)>,
}

impl FromBody for Sample {}

/// Counts up, so that request ids differ.
struct Counting(AtomicU8);

impl Rng for Counting {
    fn fill(&self, into: &mut [u8]) -> Result<(), NoRandomness> {
        into.fill(self.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

async fn take(Body(sample): Body<Sample>) -> String {
    format!("{} fields", sample.fields.len())
}

async fn panics() -> String {
    panic!("the value is Sandra Sample")
}

fn samples() -> Router {
    Router::new()
        .route("/take", post(take))
        .route("/panics", get(panics))
        .route("/large", get(async || "x".repeat(64 * 1024 * 1024)))
        .route("/slow", get(async || sleep(Duration::from_millis(400)).await))
        .route("/endless", get(async || sleep(LONG * 6).await))
        .fallback(async || Problem::not_found())
}

fn limits() -> Limits {
    Limits {
        header_time: Duration::from_millis(300),
        idle_time: Duration::from_millis(300),
        body_grace: Duration::from_millis(300),
        write_time: Duration::from_millis(300),
        drain_time: Duration::from_secs(2),
        ..Limits::default()
    }
}

async fn start(limits: Limits) -> RunningServer {
    start_with(limits, samples()).await
}

async fn start_with(limits: Limits, router: Router) -> RunningServer {
    let config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), limits };
    Server::start_with(config, router, Arc::new(Counting(AtomicU8::new(1)))).await.unwrap()
}

async fn connect(server: &RunningServer) -> TcpStream {
    TcpStream::connect(server.local_addr()).await.unwrap()
}

/// Sends bytes and reads until the server closes.
async fn exchange(server: &RunningServer, request: &[u8]) -> String {
    let mut stream = connect(server).await;
    stream.write_all(request).await.unwrap();
    read_all(&mut stream).await
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        match timeout(LONG, stream.read(&mut part)).await.expect("the server closes") {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                break;
            }
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn posted(body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /take HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer}")).parse().unwrap()
}

fn problem(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], status(answer));
    let id = problem["request_id"].as_str().unwrap();
    assert!(id.starts_with("req_") && head.contains(&format!("strongroom-request: {id}")));
    problem
}

#[tokio::test]
async fn whoever_is_slow_with_headers_is_cut() {
    let server = start(limits()).await;
    for begun in ["", "G", "PRI * HT", "GET /slow HTTP/1.1\r\nHost: test\r\nX-Slow: "] {
        let mut stream = connect(&server).await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let answer = timeout(Duration::from_secs(3), read_all(&mut stream)).await;
        assert_eq!(answer.as_deref(), Ok(""), "{begun}");
    }
}

#[tokio::test]
async fn headers_that_come_a_byte_at_a_time_are_cut_too() {
    let server = start(limits()).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: test\r\nX-Slow: ").await.unwrap();
    let mut sent = 0;
    while stream.write_all(b"x").await.is_ok() {
        sent += 1;
        assert!(sent < 100, "it was never cut");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(sent < 40, "{sent}");
}

#[tokio::test]
async fn headers_that_are_too_many_or_too_long_are_refused() {
    let server = start(limits()).await;
    let many = "X: 1\r\n".repeat(101);
    let long = format!("X: {}\r\n", "x".repeat(40 * 1024));
    for headers in [many, long] {
        let request = format!("GET /slow HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
        assert_eq!(status(&exchange(&server, request.as_bytes()).await), 431);
    }
}

#[tokio::test]
async fn a_body_that_is_declared_too_long_is_refused_before_it_is_sent() {
    let server = start(limits()).await;
    let head = "POST /take HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                Content-Length: 99999999999\r\n\r\n{";
    let answer = exchange(&server, head.as_bytes()).await;
    assert_eq!((status(&answer), problem(&answer)["code"].as_str()), (413, Some("body_too_large")));
}

#[tokio::test]
async fn whoever_asks_before_sending_too_much_is_told_not_to() {
    let server = start(limits()).await;
    let head = "POST /take HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n";
    let answer = exchange(&server, head.as_bytes()).await;
    assert_eq!(status(&answer), 413, "{answer}");
}

#[tokio::test]
async fn a_body_one_byte_too_long_is_refused_and_its_sender_reads_why() {
    let server = start(Limits::default()).await;
    let fits = format!("{{\"fields\":{{\"a\":\"{}\"}}}}", "x".repeat(BODY_BYTES_MAX - 19));
    assert_eq!(fits.len(), BODY_BYTES_MAX);
    assert_eq!(status(&exchange(&server, &posted(fits.as_bytes())).await), 200);
    let answer = exchange(&server, &posted(format!("{fits} ").as_bytes())).await;
    assert_eq!(problem(&answer)["code"], "body_too_large");
}

#[tokio::test]
async fn an_endless_chunked_body_is_cut() {
    let server = start(limits()).await;
    let mut stream = connect(&server).await;
    let head = "POST /take HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let (mut reading, mut writing) = stream.split();
    let sending = async {
        let mut sent = 0;
        while writing.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
            assert!(sent < 64 * 1024 * 1024, "it was never cut");
        }
    };
    let mut answer = vec![0; 4096];
    let (_, answered) = tokio::join!(timeout(LONG, sending), reading.read(&mut answer));
    let answer = String::from_utf8_lossy(&answer[..answered.unwrap()]).into_owned();
    assert_eq!(status(&answer), 413);
}

#[tokio::test]
async fn a_body_that_trickles_is_cut() {
    let server = start(limits()).await;
    let mut stream = connect(&server).await;
    let body = posted(&[b' '; 1000]);
    stream.write_all(&body[..body.len() - 1000]).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let trickle = async {
        while writing.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let mut answer = vec![0; 4096];
    tokio::select! {
        () = trickle => panic!("it was cut without an answer"),
        answered = timeout(LONG, reading.read(&mut answer)) => {
            let length = answered.expect("an answer").unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            assert_eq!(status(&answer), 408);
        }
    }
}

#[tokio::test]
async fn whoever_does_not_read_is_cut() {
    let server = start(limits()).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(1500)).await;
    let answer = read_all(&mut stream).await;
    assert!(answer.len() < 64 * 1024 * 1024, "all of it came: {}", answer.len());
}

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be_are_refused() {
    let server = start(limits()).await;
    let nested = |depth: usize| {
        format!("{{\"fields\":{{\"a\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes()
    };
    for (body, expected) in [
        (b"{\"fields\":{\"a\":1}}".to_vec(), 200),
        (b"{}".to_vec(), 200),
        (nested(30), 200),
        (nested(31), 400),
        (nested(100_000), 400),
        (b"{\"fields\":{\"a\":\"\xff\"}}".to_vec(), 400),
        (b"{\"fields\":{\"a\":1,\"a\":2}}".to_vec(), 400),
        (b"{\"fields\":{\"a\":{\"b\":1,\"b\":2}}}".to_vec(), 400),
        (b"{\"fields\":{},\"fields\":{}}".to_vec(), 400),
        (b"{\"more\":1}".to_vec(), 400),
        (b"[{}]".to_vec(), 400),
        (b"{\"fields\":[]}".to_vec(), 400),
        (b"{\"fields\":{\"Not A Name\":1}}".to_vec(), 422),
        (b"{\"fields\":{\"a\":18446744073709551615}}".to_vec(), 422),
        (b"{\"fields\":{\"a\":1e999}}".to_vec(), 400),
        (b"{".to_vec(), 400),
        (b"".to_vec(), 400),
    ] {
        let answer = exchange(&server, &posted(&body)).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert_eq!(status(&answer), expected, "{shown}: {answer}");
        if expected != 200 {
            problem(&answer);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    let server = start(limits()).await;
    for (declared, expected) in [
        ("Content-Type: application/json; charset=utf-8\r\n", 200),
        ("Content-Type: application/merge-patch+json\r\n", 200),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
        ("", 415),
    ] {
        let request = format!(
            "POST /take HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{declared}Content-Length: 2\r\n\r\n{{}}"
        );
        assert_eq!(status(&exchange(&server, request.as_bytes()).await), expected, "{declared}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing_and_the_server_goes_on() {
    let server = start(limits()).await;
    for _ in 0..2 {
        let request = b"GET /panics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        let answer = exchange(&server, request).await;
        assert_eq!(problem(&answer)["code"], "internal");
        assert!(!answer.contains("Sandra"), "{answer}");
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_it_private() {
    let server = start(limits()).await;
    for path in ["/slow", "/nowhere", "/panics"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let answer = exchange(&server, request.as_bytes()).await;
        for header in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "x-robots-tag: noindex",
            "strongroom-request: req_",
        ] {
            assert!(answer.contains(header), "{path}: {header}: {answer}");
        }
        assert!(!answer.contains("server:"), "{answer}");
    }
}

#[tokio::test]
async fn absent_things_have_one_answer_but_for_the_request_s_id() {
    let server = start(limits()).await;
    let mut answers = Vec::new();
    for path in ["/nowhere", "/some/where/else?with=query"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let mut problem = problem(&exchange(&server, request.as_bytes()).await);
        problem["request_id"] = Value::Null;
        answers.push(problem);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_until_one_ends() {
    let server = start(Limits { connections_max: 1, header_time: LONG, ..limits() }).await;
    let first = connect(&server).await;
    sleep(Duration::from_millis(50)).await;
    let mut second = connect(&server).await;
    second.write_all(b"GET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(300), second.read(&mut byte)).await.is_err());
    drop(first);
    timeout(LONG, second.read_exact(&mut byte)).await.expect("its turn comes").unwrap();
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_no_others_begin() {
    let server = start(limits()).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let address = server.local_addr();
    let stopping = tokio::spawn(server.stop());
    let answer = read_all(&mut stream).await;
    assert_eq!(status(&answer), 200);
    timeout(LONG, stopping).await.expect("it stops").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_cuts_what_does_not_finish() {
    let limits = Limits { drain_time: Duration::from_millis(300), ..limits() };
    let server = start(limits).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let stopping = tokio::spawn(server.stop());
    assert_eq!(read_all(&mut stream).await, "");
    timeout(LONG, stopping).await.expect("it stops").unwrap();
}

#[tokio::test]
async fn work_that_has_begun_is_finished_when_the_caller_hangs_up() {
    let finished = Arc::new(AtomicBool::new(false));
    let flag = finished.clone();
    let work = async move || {
        sleep(Duration::from_millis(300)).await;
        flag.store(true, Ordering::SeqCst);
    };
    let server = start_with(limits(), Router::new().route("/work", get(work))).await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /work HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    drop(stream);
    server.stop().await;
    assert!(finished.load(Ordering::SeqCst));
}

#[tokio::test]
async fn http_2_is_answered_and_an_idle_connection_is_closed() {
    let server = start(limits()).await;
    let stream = TokioIo::new(connect(&server).await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        let request = Request::get("http://test/nowhere").body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 404);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "not_found");
    }
    timeout(LONG, connection).await.expect("it is closed").unwrap().ok();
}
