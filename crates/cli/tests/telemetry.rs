//! Traces: what a collector gets to see of requests, and that no request waits for it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking, and waits by the system's clock; not every test needs all of the harness"
)]

mod harness;
#[path = "harness/collector.rs"]
mod telemetry_collector;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use harness::{Place, Server};
use telemetry_collector::{Collector, Manner, Span};

/// A value that stands in a field of a record, and others in whatever else a caller sends.
const CANARY: &str = "canary-4f9d3a7be2";
/// Longer than anything here may take, far below a collector that never answers.
const PATIENCE: Duration = Duration::from_secs(30);

const PEOPLE: &str = r#"{"name": "people", "label": "People", "purposes": ["care"], "fields": [
    {"name": "name", "type": "name"}, {"name": "note", "type": "text"}]}"#;

/// A server whose traces go to this address, with an operator who has signed in.
struct World {
    place: Place,
    server: Server,
}

impl World {
    fn new(flags: &str) -> Self {
        let place = Place::new();
        place.write("strongroom.toml", "output = \"json\"\n[serve]\nstore = \"redb:store\"\n");
        place.run("init --seal-key-file key --invitation-file invitation").well();
        let server =
            place.start(&format!("serve --seal-key-file key --listen 127.0.0.1:0 {flags}"));
        let address = server.address();
        let login =
            format!("login --token-file token --invitation-file invitation --server {address}");
        place.run(&login).well();
        Self { place, server }
    }

    fn run(&self, command: &str) -> String {
        let address = self.server.address();
        self.place.run(&format!("{command} --token-file token --server {address}")).well().out
    }

    /// Sends a request as it is, and gives the answer.
    fn raw(&self, request: &str) -> String {
        let address = self.server.address();
        let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn status_with(&self, headers: &str) {
        let answer = self.raw(&format!(
            "GET /v1/system/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n"
        ));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn find(hay: &[u8], needle: &str) -> bool {
    hay.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn a_collector_sees_methods_routes_and_steps_and_nothing_of_anybody() {
    let collector = Collector::new(Manner::Takes);
    let world = World::new(&format!("--otlp-endpoint {}", collector.url()));
    world.run("tenants create --name Clinic --owner-name Odette --owner-email o@o.example --secret-file owner");
    let invitation = std::fs::read_to_string(world.place.path("owner")).unwrap();
    std::fs::remove_file(world.place.path("token")).unwrap();
    let address = world.server.address();
    let login = format!("login --token-file token --server {address}");
    world.place.run_with(&login, &invitation).well();
    world.place.write("people.json", PEOPLE);
    world.run("collections create --file people.json");
    world.place.write("one.json", &format!("{{\"fields\": {{\"name\": \"{CANARY}-name\"}}}}"));
    let made = world.run("records create people --file one.json --reason canary-4f9d3a7be2-reason");
    let record = serde_json::from_str::<serde_json::Value>(&made).unwrap()["id"].clone();
    let record = record.as_str().unwrap();
    let read = world.run(&format!("records read people {record} --purpose care"));
    assert!(read.contains(CANARY));
    for request in [
        format!("GET /v1/{CANARY}-path?{CANARY}=1 HTTP/1.1"),
        format!("GET /v1/system/status?{CANARY}-query={CANARY} HTTP/1.1"),
        format!("{} /v1/system/status HTTP/1.1", CANARY.to_uppercase()),
    ] {
        world.raw(&format!(
            "{request}\r\nHost: {CANARY}.example\r\nConnection: close\r\nUser-Agent: {CANARY}\r\n\
             Authorization: Bearer {CANARY}\r\nStrongroom-Purpose: {CANARY}\r\nbaggage: a={CANARY}\r\n\
             tracestate: a={CANARY}\r\nX-Forwarded-For: {CANARY}\r\n\r\n"
        ));
    }
    let token = std::fs::read_to_string(world.place.path("token")).unwrap();
    assert_eq!(world.server.stop("TERM").0, 0);

    let taken = collector.taken();
    assert!(!taken.is_empty());
    for (head, body) in &taken {
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/x-protobuf"), "{head}");
        // The search finds what is there.
        assert!(find(body, "strongroom.request_id"));
        for secret in [CANARY, &CANARY.to_uppercase(), record, token.trim(), "ten_0", "people"] {
            assert!(!find(body, secret) && !head.contains(secret), "{secret}");
        }
    }
    let spans = collector.spans();
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let route = "/v1/tenants/{tenant}/collections/{collection}/records/{record}";
    let read = of(&format!("GET {route}"));
    let [read] = read.as_slice() else { panic!("{spans:#?}") };
    assert_eq!(read.kind, 2, "a server's");
    assert_eq!(read.attribute("http.request.method"), Some("GET"));
    assert_eq!(read.attribute("http.route"), Some(route));
    assert_eq!(read.attribute("http.response.status_code"), Some("200"));
    assert!(read.attribute("strongroom.request_id").unwrap().starts_with("req_"));
    assert!(read.attribute("strongroom.audit").unwrap().matches('.').count() == 2);
    assert!(!read.is_error && read.parent.is_empty());
    let below = |parent: &Span| {
        let steps =
            spans.iter().filter(|span| span.trace == parent.trace && span.parent == parent.id);
        steps.map(|span| span.name.as_str()).collect::<BTreeSet<_>>()
    };
    assert_eq!(below(read), BTreeSet::from(["append", "decide", "open"]));
    let created = of("POST /v1/tenants/{tenant}/collections/{collection}/records");
    let steps = below(created[0]);
    assert!(["commit", "decide"].iter().all(|step| steps.contains(step)), "{steps:?}");
    let unmatched = of("GET");
    assert_eq!(unmatched.len(), 1);
    assert_eq!(unmatched[0].attribute("strongroom.code"), Some("not_found"));
    assert_eq!(of("HTTP /v1/system/status")[0].attribute("http.request.method"), Some("_OTHER"));

    // Nothing but these, and nothing within them that a library has said.
    let known = BTreeSet::from([
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "strongroom.request_id",
        "strongroom.code",
        "strongroom.audit",
    ]);
    for span in &spans {
        assert_eq!(span.events, 0, "{span:?}");
        for (name, value) in &span.attributes {
            assert!(known.contains(name.as_str()), "{name} = {value}");
        }
    }
}

#[test]
fn only_a_trusted_proxy_says_to_which_trace_a_request_belongs() {
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let header = format!("traceparent: 00-{trace}-{parent}-01\r\ntracestate: a={CANARY}\r\n");
    let check = |flags: &str, headers: &str| {
        let collector = Collector::new(Manner::Takes);
        let world = World::new(&format!("--otlp-endpoint {} {flags}", collector.url()));
        world.status_with(headers);
        assert_eq!(world.server.stop("TERM").0, 0);
        let spans = collector.spans();
        assert!(collector.taken().iter().all(|(_, body)| !find(body, CANARY)));
        let found = spans.iter().filter(|span| span.name == "GET /v1/system/status");
        found.map(|span| (hex(&span.trace), hex(&span.parent))).collect::<Vec<_>>()
    };
    let in_it = (trace.to_owned(), parent.to_owned());
    assert_eq!(check("--trusted-proxy 127.0.0.0/8", &header), [in_it]);
    let outside = check("", &header);
    assert!(outside.len() == 1 && outside[0].0 != trace && outside[0].1.is_empty(), "{outside:?}");
    let outside = check("--trusted-proxy 10.0.0.0/8", &header);
    assert!(outside.len() == 1 && outside[0].0 != trace, "{outside:?}");
    // A proxy that does not trace this one, two words of it, and one that is none.
    let unwanted = header.replace("-01\r", "-00\r");
    assert_eq!(check("--trusted-proxy 127.0.0.0/8", &unwanted), []);
    for odd in [
        format!("{header}{header}"),
        header.replace("4bf9", "zzzz"),
        format!("{header}x").replace("-01", "-01-1"),
    ] {
        let headers = odd.trim_end_matches('x');
        let outside = check("--trusted-proxy 127.0.0.0/8", headers);
        assert!(outside.len() == 1 && outside[0].0 != trace, "{headers} {outside:?}");
    }
}

#[test]
fn a_share_of_none_sends_nothing() {
    let collector = Collector::new(Manner::Takes);
    let world = World::new(&format!("--otlp-endpoint {} --trace-share 0", collector.url()));
    world.status_with("");
    assert_eq!(world.server.stop("TERM").0, 0);
    assert_eq!(collector.spans().len(), 0);
}

#[test]
fn a_collector_that_is_away_refuses_or_hangs_hurts_no_request_and_no_stop() {
    let refuses = Collector::new(Manner::Refuses);
    let hangs = Collector::new(Manner::Hangs);
    for url in [refuses.url(), hangs.url(), "http://127.0.0.1:1".to_owned()] {
        let world = World::new(&format!("--otlp-endpoint {url} --no-rate-limits"));
        let begun = Instant::now();
        // More spans than one batch holds, so that a batch is under way.
        for _ in 0..600 {
            world.status_with("");
        }
        let (exit, said) = world.server.stop("TERM");
        assert_eq!(exit, 0, "{url}");
        assert!(begun.elapsed() < PATIENCE, "{url}: {:?}", begun.elapsed());
        assert!(said.contains("stopped"), "{url}: {said}");
    }
    assert!(!refuses.taken().is_empty() && !hangs.taken().is_empty());
}

#[test]
fn traces_go_to_this_machine_or_by_tls() {
    let place = Place::new();
    for (flags, said) in [
        ("--otlp-endpoint http://192.0.2.1:4318", "loopback"),
        ("--otlp-endpoint https://a@collector.example", "without user"),
        ("--otlp-endpoint http://127.0.0.1:4318/v1/traces", "path"),
        ("--otlp-endpoint nonsense", "nonsense"),
        ("--otlp-endpoint https://collector.example --otlp-ca-file nowhere", "nowhere"),
        ("--trace-share 1.5", "from 0 to 1"),
        ("--trace-share NaN", "from 0 to 1"),
    ] {
        let ran = place.run(&format!("serve --store redb:a {flags}"));
        assert!(ran.exit != 0 && ran.err.contains(said), "{flags}: {}", ran.err);
        let ran = place.run(&format!("config check --output json {flags}"));
        assert!(ran.exit == 8 && ran.out.contains("\"telemetry\""), "{flags}: {}", ran.out);
    }
    place.write(
        "strongroom.toml",
        "[telemetry]\notlp_endpoint = \"https://c.example\"\ntrace_share = 0.25\n",
    );
    place.run("config check").well();
    let shown = place.run("config show --output json").well().json();
    assert_eq!(shown["telemetry"]["trace_share"], 0.25);
    let shown = place.run("config show --output json --trace-share 0.5").well().json();
    assert_eq!(shown["telemetry"]["trace_share"], 0.5);
    place.run("serve --dev").fails(2, "--otlp-endpoint");
}
