//! The development server: fixed tokens, a seed, nothing kept, nothing real.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use harness::{Place, Ran, Server};
use serde_json::Value;

/// The seed that the page shows.
fn documented_seed() -> String {
    let page = include_str!("../../../docs/cli.md");
    let seed = page.split("```toml\n").find(|block| block.starts_with("# seed.toml")).unwrap();
    seed.split("```").next().unwrap().to_owned()
}

fn start(place: &Place, more: &str) -> (Server, Value) {
    let printed = place.path("printed");
    let mut command = place.command(&format!("serve --dev --store memory: {more}"));
    command.stdout(File::create(&printed).unwrap());
    let server = Server::start(&mut command, "listening on ");
    (server, serde_json::from_str(&std::fs::read_to_string(printed).unwrap()).unwrap())
}

fn by(place: &Place, server: &Server, token: &str, command: &str) -> Ran {
    place.write("token", token);
    place.run(&format!("{command} --server {} --token-file token", server.address()))
}

/// What the server answers to bytes that are sent as they are.
fn raw(server: &Server, request: &str) -> String {
    let address = server.address();
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn the_documented_seed_is_there_for_the_tokens_that_everybody_knows() {
    let place = Place::new();
    place.write("seed.toml", &documented_seed());
    let (server, shown) = start(&place, "--seed seed.toml");
    assert_eq!(shown["address"], server.address());
    assert!(!server.address().ends_with(":7800"));
    let tenant = &shown["tenants"][0];
    assert_eq!(tenant["short"], "sample");
    assert_eq!(tenant["records"], serde_json::json!({"customers": 1, "orders": 1}));
    assert_eq!(tenant["tokens"]["owner"], "dev-sample-owner");
    for (class, token) in tenant["tokens"].as_object().unwrap() {
        let who = by(&place, &server, token.as_str().unwrap(), "whoami").well().json();
        assert_eq!(who["tenant"], tenant["id"]);
        assert_eq!(who["classes"][0]["name"], class.as_str());
    }
    place.write("look-up", "{\"external_id\": \"C-1\"}");
    let customers = "records list customers --purpose service";
    let seen = by(&place, &server, "dev-sample-manager", customers).well().json();
    assert_eq!(seen["data"][0]["fields"]["birth_date"], "1990-02-03");
    let masked = by(&place, &server, "dev-sample-clerk", customers).well().json();
    assert!(!masked.to_string().contains("Sample"), "{masked}");
    let orders = by(&place, &server, "dev-sample-manager", "records list orders").well().json();
    assert_eq!(orders["data"][0]["subject"], seen["data"][0]["subject"]);
    let tenants = by(&place, &server, "dev-operator", "tenants list").well().json();
    assert_eq!(tenants["data"][0]["id"], tenant["id"]);
    by(&place, &server, "dev-sample-nobody", "whoami").fails(3, "unauthenticated");
    by(&place, &server, "dev-operator", "records list customers").fails(4, "");
    assert_eq!(server.stop("TERM").0, 0);

    // The next one is new, and takes the same tokens.
    let (again, other) = start(&place, "");
    assert_ne!(other["tenants"][0]["id"], tenant["id"]);
    by(&place, &again, "dev-sample-owner", customers).fails(4, "");
    by(&place, &again, "dev-sample-owner", "whoami").well();
    assert_eq!(again.stop("INT").0, 0);
    let left: Vec<_> = std::fs::read_dir(place.path("")).unwrap().collect();
    assert_eq!(left.len(), 4, "seed.toml, printed, token, look-up: {left:?}");
}

#[test]
fn a_development_server_says_what_it_is() {
    let place = Place::new();
    let mut command = place.command("serve --dev");
    let server = Server::start(command.stdout(std::process::Stdio::null()), "NOT FOR REAL DATA");
    let (_, said) = server.stop("TERM");
    assert!(said.contains("Everybody knows these tokens"), "{said}");
}

#[test]
fn whatever_is_kept_or_can_be_reached_from_elsewhere_is_refused() {
    let place = Place::new();
    place.run("init --store redb:store --seal-key-file key").well();
    for (more, said) in [
        ("--store redb:store", "serves no store that is kept"),
        ("--store sled:store", "serves no store that is kept"),
        ("--store rocks:store", "names no store"),
        ("--store memory: --listen 0.0.0.0:0", "loopback"),
        ("--store memory: --listen [::]:0", "loopback"),
        ("--store memory: --listen 192.0.2.1:80 --behind-proxy", "loopback"),
        ("--store memory: --behind-proxy", "proxy"),
        ("--store memory: --tls-cert key --tls-key key", "--tls-cert"),
        ("--store memory: --seal-key-file key", "key"),
        ("--store memory: --holder store/holder", "holder"),
    ] {
        place.run(&format!("serve --dev {more}")).fails(2, said);
    }
    // Also where the file or the environment says it.
    place.write("strongroom.toml", "[serve]\nstore = \"redb:store\"\n");
    place.run("serve --dev").fails(2, "kept");
    place.run("serve --store memory: --seed seed.toml").fails(2, "--dev");
    place.run("serve --store memory:").fails(2, "memory:");
}

#[test]
fn the_known_tokens_are_worth_nothing_elsewhere() {
    let place = Place::new();
    place.run("init --store redb:store --seal-key-file key").well();
    let real = place.start("serve --store redb:store --seal-key-file key --listen 127.0.0.1:0");
    for token in ["dev-operator", "dev-sample-owner"] {
        by(&place, &real, token, "whoami").fails(3, "unauthenticated");
    }
    assert_eq!(real.stop("TERM").0, 0);

    let (server, _) = start(&place, "");
    let ask = |host: &str| {
        raw(
            &server,
            &format!(
                "GET /v1/whoami HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer dev-operator\r\n\
                 Connection: close\r\n\r\n"
            ),
        )
    };
    assert!(ask("127.0.0.1").starts_with("HTTP/1.1 200"), "{}", ask("127.0.0.1"));
    assert!(ask("localhost:1").starts_with("HTTP/1.1 200"));
    let lured = ask("evil.example");
    assert!(lured.starts_with("HTTP/1.1 4") && !lured.contains("operator"), "{lured}");
}

#[test]
fn one_connection_carries_many_requests_and_their_bodies() {
    let place = Place::new();
    place.write("seed.toml", &documented_seed());
    let (server, shown) = start(&place, "--seed seed.toml");
    let tenant = shown["tenants"][0]["id"].as_str().unwrap();
    let body = r#"{"external_id": "C-2", "fields": {"name": "Second Sample"}}"#;
    let path = format!("/v1/tenants/{tenant}/collections/customers/records");
    let head = "Host: 127.0.0.1\r\nAuthorization: Bearer dev-sample-owner\r\n";
    let post = format!(
        "POST {path} HTTP/1.1\r\n{head}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = format!("GET {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n");
    let answer = raw(&server, &format!("{post}{get}"));
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{answer}");
    assert!(answer.contains("C-2") && answer.contains("C-1"), "{answer}");
}

#[test]
fn a_seed_that_does_not_fit_ends_the_start() {
    let place = Place::new();
    let refused = |name: &str, seed: &str, said: &str| {
        place.write(name, seed);
        place.run(&format!("serve --dev --seed {name}")).fails(1, said);
    };
    place.run("serve --dev --seed nowhere.toml").fails(1, "nowhere.toml");
    refused("a.toml", "tenants = 1", "line 1");
    refused("a.json", "{\"tenants\": [{\"name\": \"A\"}]}", "short");
    let seed = documented_seed();
    refused("b.toml", &seed.replace("\"C-1\" }, total", "\"C-9\" }, total"), "`O-1` of `orders`");
    refused("c.toml", &seed.replace("1990-02-03", "\"soon\""), "/fields/birth_date");
    refused("d.toml", &seed.replace("type = \"date\"", "type = \"day\""), "day");
    let twice = seed.replace("[[tenants.records.orders]]", "[[tenants.records.customers]]\nexternal_id = \"C-1\"\nfields = { name = \"B\" }\n[[tenants.records.orders]]");
    refused("e.toml", &twice, "`C-1` of `customers`");
}
