//! Attacks on the edge of the server: slow, endless, broken and too many, through real sockets.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Extension, Path as PathPart};
use axum::http::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::Value;
use strongroom_model::{ClearValue, FieldName, NoRandomness, Rng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::admin::Inspected;
use crate::door::{Notes, OpenDesk};
use crate::extract::{Body, FromBody};
use crate::metrics::StoreCounts;
use crate::problem::Problem;
use crate::rates::RateLimits;
use crate::{
    BODY_BYTES_MAX, Config, Edge, Limits, Rates, RunningServer, Server, StartError, TlsError,
    TlsFiles,
};

/// An address that the system completes with a port.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
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
    start_at(limits, Edge::default(), router, Arc::new(Looked::default())).await
}

async fn start_at(
    limits: Limits,
    edge: Edge,
    router: Router,
    looked: Arc<Looked>,
) -> RunningServer {
    let config = Config { listen: LOOPBACK, limits };
    let rng = Arc::new(Counting(AtomicU8::new(1)));
    Server::start_with(config, edge, OpenDesk::new(router), looked, rng).await.unwrap()
}

/// Stands in for the vault behind health and metrics.
#[derive(Default)]
struct Looked {
    locked: AtomicBool,
    away: AtomicBool,
    asked: AtomicBool,
}

#[async_trait]
impl Inspected for Looked {
    fn locked(&self) -> bool {
        self.locked.load(Ordering::SeqCst)
    }

    async fn reachable(&self) -> bool {
        self.asked.store(true, Ordering::SeqCst);
        !self.away.load(Ordering::SeqCst)
    }

    fn store(&self) -> StoreCounts {
        StoreCounts { commit_groups: 3, append_groups: 4, syncs: 5 }
    }
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

async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        match timeout(LONG, stream.read(&mut part)).await.expect("the server closes") {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(error) => {
                let cut = [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof];
                assert!(cut.contains(&error.kind()), "{error}");
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
            "x-frame-options: DENY",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
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

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back() {
    let rates = Rates { address: NonZeroU32::MIN, ..Rates::default() };
    let counting = Arc::new(RateLimits::new(rates));
    let ask = async move |Extension(notes): Extension<Arc<Notes>>| {
        counting.stranger(notes.address).map_err(Problem::from)
    };
    let server = start_with(limits(), Router::new().route("/counted", get(ask))).await;
    let request = b"GET /counted HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let mut refused = None;
    for n in 0..20 {
        let answer = exchange(&server, request).await;
        if status(&answer) == 200 {
            assert!(refused.is_none(), "refused and then let in, within a moment");
        } else {
            refused.get_or_insert((n, answer));
        }
    }
    let (n, answer) = refused.expect("a refusal");
    assert_eq!((n, status(&answer)), (5, 429));
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    let problem = problem(&answer);
    assert_eq!(problem["code"], "too_many_requests");
    assert_eq!(problem["retryable"], true);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(status(&exchange(&server, request).await), 200);
}

async fn asked(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

fn with_admin() -> Edge {
    Edge { admin: Some(LOOPBACK), ..Edge::default() }
}

#[tokio::test]
async fn a_server_that_is_locked_or_without_its_store_lives_and_is_not_ready() {
    let looked = Arc::new(Looked::default());
    let server = start_at(limits(), with_admin(), samples(), looked.clone()).await;
    let admin = server.admin_addr().unwrap();
    for (locked, away, expected, reason) in [
        (false, false, 200, "ok"),
        (true, false, 503, "locked"),
        (false, true, 503, "the store does not answer"),
        (true, true, 503, "locked"),
    ] {
        looked.locked.store(locked, Ordering::SeqCst);
        looked.away.store(away, Ordering::SeqCst);
        let answer = asked(admin, "/readyz").await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(answer.ends_with(&format!("{reason}\n")), "{answer}");
        looked.asked.store(false, Ordering::SeqCst);
        for path in ["/livez", "/startupz"] {
            assert_eq!(status(&asked(admin, path).await), 200);
        }
        assert!(!looked.asked.load(Ordering::SeqCst), "the store was asked whether we live");
    }
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready_and_says_so_until_it_has_stopped() {
    let server = start_at(limits(), with_admin(), samples(), Arc::new(Looked::default())).await;
    let admin = server.admin_addr().unwrap();
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let stopping = tokio::spawn(server.stop());
    sleep(Duration::from_millis(50)).await;
    let answer = asked(admin, "/readyz").await;
    assert!(status(&answer) == 503 && answer.ends_with("stopping\n"), "{answer}");
    assert_eq!(status(&read_all(&mut stream).await), 200);
    timeout(LONG, stopping).await.expect("it stops").unwrap();
    assert!(TcpStream::connect(admin).await.is_err());
}

#[tokio::test]
async fn the_routes_of_the_two_listeners_are_apart() {
    let server = start_at(limits(), with_admin(), samples(), Arc::new(Looked::default())).await;
    let admin = server.admin_addr().unwrap();
    for path in ["/livez", "/readyz", "/startupz", "/metrics"] {
        assert_eq!(status(&asked(server.local_addr(), path).await), 404, "{path}");
    }
    for path in ["/slow", "/panics", "/v1/system/status"] {
        assert_eq!(status(&asked(admin, path).await), 404, "{path}");
    }
    assert!(start(limits()).await.admin_addr().is_none());
}

/// The labels that metrics may have, and the values that each may have beside numbers.
const LABELS: [(&str, &[&str]); 6] = [
    ("http_route", &["/things/{thing}", "/take", "/panics", "unmatched"]),
    (
        "http_request_method",
        &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"],
    ),
    ("http_response_status_code", &[]),
    ("le", &["+Inf"]),
    ("bound", &["credential", "tenant", "address", "proof"]),
    ("outcome", &["loaded", "refused"]),
];

#[tokio::test]
async fn metrics_have_no_label_but_those_of_the_list() {
    let thing = async |PathPart(thing): PathPart<String>| format!("{} letters", thing.len());
    let router = samples().route("/things/{thing}", get(thing));
    let server = start_at(limits(), with_admin(), router, Arc::new(Looked::default())).await;
    for request in [
        "GET /things/rec_sandra?ask=sandra HTTP/1.1\r\nHost: test",
        "GET /sandra HTTP/1.1\r\nHost: test",
        "SANDRA /things/sandra HTTP/1.1\r\nHost: sandra",
        "GET /panics HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer sandra",
        "POST /take HTTP/1.1\r\nHost: test\r\nStrongroom-Purpose: sandra",
    ] {
        exchange(&server, format!("{request}\r\nConnection: close\r\n\r\n").as_bytes()).await;
    }
    let page = asked(server.admin_addr().unwrap(), "/metrics").await;
    let (head, page) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(!page.to_lowercase().contains("sandra"), "{page}");
    assert!(page.contains(
        "http_server_request_duration_seconds_count{http_route=\"/things/{thing}\",\
         http_request_method=\"GET\",http_response_status_code=\"200\"} 1\n"
    ));
    assert!(page.contains("strongroom_store_syncs_total 5\n"), "{page}");
    let mut labels = 0;
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok(), "{line}");
        let Some((_, inside)) = series.split_once('{') else { continue };
        for label in inside.strip_suffix("\"}").unwrap().split("\",") {
            let (name, value) = label.split_once("=\"").unwrap();
            let (_, values) = LABELS.iter().find(|(known, _)| *known == name).expect(line);
            let is_number = name != "http_route" && value.parse::<f64>().is_ok();
            assert!(is_number || values.contains(&value), "{line}");
            labels += 1;
        }
    }
    assert!(labels > 100, "{labels}");
}

/// Makes a certificate for `vault.example` and writes it where the files are.
fn certify(files: &TlsFiles) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["vault.example".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn files_in(folder: &Path) -> TlsFiles {
    TlsFiles { certificate: folder.join("chain.pem"), key: folder.join("key.pem") }
}

fn with_tls(files: &TlsFiles) -> Edge {
    Edge { tls: Some(files.clone()), ..with_admin() }
}

/// Shakes hands as a client that trusts this certificate.
async fn secured(
    server: &RunningServer,
    trusted: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("vault.example").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, connect(server).await).await
}

const ASKED_ONCE: &[u8] = b"GET /nowhere HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn tls_of_both_versions_is_spoken_and_browsers_are_told_to_stay_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    let certificate = certify(&files);
    let server = start_at(limits(), with_tls(&files), samples(), Arc::new(Looked::default())).await;
    for version in [&TLS12, &TLS13] {
        let mut stream = secured(&server, &certificate, version, &["http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        stream.write_all(ASKED_ONCE).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert_eq!(status(&answer), 404);
        assert!(answer.contains("strict-transport-security: max-age=63072000"), "{answer}");
    }
    assert!(secured(&server, &certificate, &TLS13, &["gopher"]).await.is_err());
    let plain = start(limits()).await;
    assert!(!exchange(&plain, ASKED_ONCE).await.contains("strict-transport-security"));
}

#[tokio::test]
async fn http_2_is_agreed_on_under_tls() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    let certificate = certify(&files);
    let server = start_at(limits(), with_tls(&files), samples(), Arc::new(Looked::default())).await;
    let stream = secured(&server, &certificate, &TLS13, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://vault.example/x").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 404);
}

#[tokio::test]
async fn whoever_does_not_shake_hands_is_cut_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    let certificate = certify(&files);
    let bounds = Limits { handshake_time: Duration::from_millis(300), ..limits() };
    let server = start_at(bounds, with_tls(&files), samples(), Arc::new(Looked::default())).await;
    let mut silent = connect(&server).await;
    let mut plain = connect(&server).await;
    plain.write_all(ASKED_ONCE).await.unwrap();
    assert!(secured(&server, &certificate, &TLS13, &[]).await.is_ok());
    assert_eq!(timeout(Duration::from_secs(3), read_all(&mut silent)).await.as_deref(), Ok(""));
    assert!(!read_all(&mut plain).await.contains("HTTP"));
    let page = asked(server.admin_addr().unwrap(), "/metrics").await;
    assert!(page.contains("strongroom_tls_handshake_failures_total 2\n"), "{page}");
}

#[tokio::test]
async fn a_changed_certificate_is_shown_and_open_connections_stay() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    let first = certify(&files);
    let bounds = Limits {
        certificate_interval: Duration::from_millis(50),
        idle_time: LONG,
        header_time: LONG,
        ..limits()
    };
    let server = start_at(bounds, with_tls(&files), samples(), Arc::new(Looked::default())).await;
    let mut open = secured(&server, &first, &TLS13, &[]).await.unwrap();
    let second = certify(&files);
    let shown = async {
        while secured(&server, &second, &TLS13, &[]).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, shown).await.expect("the second is shown");
    assert!(secured(&server, &first, &TLS13, &[]).await.is_err());
    open.write_all(ASKED_ONCE).await.unwrap();
    assert_eq!(status(&read_all(&mut open).await), 404);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_in(folder.path());
    let first = certify(&files);
    let key = std::fs::read(&files.key).unwrap();
    let server = start_at(limits(), with_tls(&files), samples(), Arc::new(Looked::default())).await;
    let other = files_in(tempfile::tempdir().unwrap().keep().as_path());
    certify(&other);
    let others = std::fs::read(&other.certificate).unwrap();
    for bad in [&b""[..], b"nonsense", &others, &key, &vec![b'x'; 2 * 1024 * 1024]] {
        std::fs::write(&files.certificate, bad).unwrap();
        server.reload_certificate();
        assert!(secured(&server, &first, &TLS13, &[]).await.is_ok());
    }
    std::fs::remove_file(&files.certificate).unwrap();
    server.reload_certificate();
    assert!(secured(&server, &first, &TLS13, &[]).await.is_ok());
    let page = asked(server.admin_addr().unwrap(), "/metrics").await;
    assert!(page.contains("strongroom_tls_reloads_total{outcome=\"refused\"} 6\n"), "{page}");
    let second = certify(&files);
    server.reload_certificate();
    assert!(secured(&server, &second, &TLS13, &[]).await.is_ok());
    std::fs::remove_dir_all(other.key.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_server_without_a_usable_certificate_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { listen: LOOPBACK, limits: limits() };
    let rng = Arc::new(Counting(AtomicU8::new(1)));
    let edge = with_tls(&files_in(folder.path()));
    let started = Server::start_with(
        config,
        edge,
        OpenDesk::new(samples()),
        Arc::new(Looked::default()),
        rng,
    )
    .await;
    assert!(matches!(started, Err(StartError::Tls(TlsError::Unreadable(..)))));
}

#[tokio::test]
async fn a_request_for_another_host_is_misdirected() {
    let edge = Edge { hosts: vec!["vault.example".parse().unwrap()], ..Edge::default() };
    let server = start_at(limits(), edge, samples(), Arc::new(Looked::default())).await;
    for (host, expected) in [
        ("Host: vault.example:7800\r\n", 404),
        ("Host: other.example\r\n", 421),
        ("Host: other.example\r\nX-Forwarded-Host: vault.example\r\n", 421),
        ("Host: vault.example\r\nHost: other.example\r\n", 421),
        ("", 421),
    ] {
        let request = format!("GET /nowhere HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        let answer = exchange(&server, request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{host}");
        problem(&answer);
    }
}

#[tokio::test]
async fn a_forwarded_address_is_taken_from_a_named_proxy_alone() {
    let shown = async |Extension(notes): Extension<Arc<Notes>>| notes.address.to_string();
    let router = || Router::new().route("/address", get(shown));
    let behind = Edge { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Edge::default() };
    let looked = Arc::new(Looked::default());
    for (edge, expected) in [(Edge::default(), "127.0.0.1"), (behind, "203.0.113.9")] {
        let server = start_at(limits(), edge, router(), looked.clone()).await;
        let request = b"GET /address HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
            X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n\r\n";
        let answer = exchange(&server, request).await;
        assert!(answer.ends_with(expected), "{answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_may_wait_longer_than_headers_may_take() {
    let bounds = Limits {
        header_time: Duration::from_millis(300),
        idle_time: Duration::from_millis(1500),
        ..limits()
    };
    let server = start(bounds).await;
    let request = b"GET /nowhere HTTP/1.1\r\nHost: test\r\n\r\n";
    let mut stream = connect(&server).await;
    let mut part = [0; 4096];
    for _ in 0..2 {
        stream.write_all(request).await.unwrap();
        assert!(timeout(LONG, stream.read(&mut part)).await.unwrap().unwrap() > 0);
        sleep(Duration::from_millis(900)).await;
    }
    // Once it has begun, the next request has no longer than the first.
    stream.write_all(b"GET /nowhere HTTP/1.1\r\nX: ").await.unwrap();
    let cut = timeout(Duration::from_millis(800), stream.read(&mut part)).await;
    assert!(matches!(cut.expect("it is cut"), Ok(0) | Err(_)));
    let mut idle = connect(&server).await;
    idle.write_all(request).await.unwrap();
    assert!(idle.read(&mut part).await.unwrap() > 0);
    let closed = timeout(Duration::from_secs(4), idle.read(&mut part)).await;
    assert!(matches!(closed.expect("it is closed"), Ok(0) | Err(_)));
}
