//! The command line and a server that speak TLS: whom it believes, and what it says of whom it does not.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use harness::{Place, Server};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

/// An authority whose certificate lies in a file of the place.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(place: &Place, file: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new(Vec::new()).unwrap();
        wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wanted.distinguished_name.push(DnType::CommonName, file);
        place.write(file, &wanted.self_signed(&key).unwrap().pem());
        Self { issuer: Issuer::new(wanted, key) }
    }

    /// Writes `cert.pem` and `key.pem`: for this name, from and until so many days from now.
    fn certify(&self, place: &Place, name: &str, from: i64, until: i64) {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new(vec![name.to_owned()]).unwrap();
        wanted.not_before = in_days(from).into();
        wanted.not_after = in_days(until).into();
        place.write("cert.pem", &wanted.signed_by(&key, &self.issuer).unwrap().pem());
        place.write("key.pem", &key.serialize_pem());
        let owner = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(place.path("key.pem"), owner).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "certificates are looked at by the system's clock")]
fn in_days(days: i64) -> SystemTime {
    let span = Duration::from_secs(days.unsigned_abs() * 86_400);
    if days < 0 { SystemTime::now() - span } else { SystemTime::now() + span }
}

fn installed() -> Place {
    let place = Place::new();
    place.write("strongroom.toml", "output = \"json\"\n[serve]\nstore = \"redb:store\"\n");
    place.run("init --seal-key-file key").well();
    place
}

fn serve(place: &Place) -> Server {
    place.start(
        "serve --seal-key-file key --listen 127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem",
    )
}

/// The address under another name or scheme.
fn as_name(server: &Server, start: &str) -> String {
    format!("{start}:{}", server.address().rsplit(':').next().unwrap())
}

fn finding(report: &Value, check: &str) -> (String, String) {
    let found = report["checks"].as_array().unwrap().iter().find(|found| found["check"] == check);
    let found = found.unwrap_or_else(|| panic!("{check}: {report:#}"));
    (found["state"].as_str().unwrap().to_owned(), found["why"].as_str().unwrap().to_owned())
}

#[test]
fn a_server_is_believed_whose_certificate_comes_from_an_authority_that_is_named() {
    let place = installed();
    Authority::new(&place, "ca.pem").certify(&place, "localhost", -1, 60);
    Authority::new(&place, "other-ca.pem");
    let server = serve(&place);
    assert!(server.address().starts_with("https://"));
    let address = as_name(&server, "https://localhost");
    let status = |flags: &str| place.run(&format!("status --server {flags}"));

    let seen = status(&format!("{address} --ca-file ca.pem")).well().json();
    assert_eq!(seen["locked"], false);
    let mut command = place.command(&format!("status --server {address}"));
    command.env("STRONGROOM_CA_FILE", "ca.pem");
    harness::finish(&mut command, "").well();

    status(&address).fails(1, "an authority that is not known here");
    status(&address).fails(1, "--ca-file");
    status(&format!("{address} --ca-file other-ca.pem")).fails(1, "not known here");
    let by_address = as_name(&server, "https://127.0.0.1");
    status(&format!("{by_address} --ca-file ca.pem")).fails(1, "for another name");
    // The server's own certificate is not one of an authority.
    status(&format!("{address} --ca-file cert.pem")).fails(1, "not known here");
    // Plain HTTP to a server that speaks TLS, which the token would have gone to.
    status(&as_name(&server, "http://127.0.0.1")).fails(6, "perhaps it speaks TLS");

    for (file, content, said) in [
        ("empty.pem", "", "no certificate as PEM"),
        (
            "text.pem",
            "-----BEGIN CERTIFICATE-----\nä\n-----END CERTIFICATE-----\n",
            "cannot be read",
        ),
        (
            "wrong.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "authority",
        ),
    ] {
        place.write(file, content);
        status(&format!("{address} --ca-file {file}")).fails(1, said);
    }
    status(&format!("{address} --ca-file nowhere.pem")).fails(1, "nowhere.pem");
    assert_eq!(place.run("config check --ca-file empty.pem").exit, 8);
    assert_eq!(server.stop("TERM").0, 0);
}

#[test]
fn a_certificate_that_signs_itself_is_said_to_be_the_wrong_kind() {
    let place = installed();
    let key = KeyPair::generate().unwrap();
    let mut wanted = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    wanted.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    place.write("cert.pem", &wanted.self_signed(&key).unwrap().pem());
    place.write("key.pem", &key.serialize_pem());
    let server = serve(&place);
    let address = as_name(&server, "https://localhost");
    for named in ["", " --ca-file cert.pem"] {
        let ran = place.run(&format!("status --server {address}{named}"));
        ran.fails(1, "its certificate is one of an authority");
    }
    assert_eq!(server.stop("TERM").0, 0);
}

#[test]
fn what_answers_without_tls_or_with_a_certificate_out_of_its_time_is_not_believed() {
    let place = installed();
    let authority = Authority::new(&place, "ca.pem");
    for (from, until, said) in [(-60, -1, "has ended"), (1, 60, "not valid yet")] {
        authority.certify(&place, "localhost", from, until);
        let server = serve(&place);
        let address = as_name(&server, "https://localhost");
        let asked = format!("--server {address} --ca-file ca.pem");
        place.run(&format!("status {asked}")).fails(1, said);
        let report = place.run(&format!("doctor {asked}")).json();
        let (state, why) = finding(&report, "server");
        assert!(state == "fail" && why.contains(said), "{state} {why}");
        assert_eq!(server.stop("TERM").0, 0);
    }
    let plain = place.start("serve --seal-key-file key --listen 127.0.0.1:0");
    let address = as_name(&plain, "https://127.0.0.1");
    place.run(&format!("status --server {address} --ca-file ca.pem")).fails(1, "speaks no TLS");
    assert_eq!(plain.stop("TERM").0, 0);
}

#[test]
fn the_doctor_tells_how_long_the_certificate_is_still_good() {
    let place = installed();
    let authority = Authority::new(&place, "ca.pem");
    for (days, state) in [(40, "ok"), (10, "warn"), (2, "fail")] {
        authority.certify(&place, "localhost", -1, days);
        let server = serve(&place);
        let address = as_name(&server, "https://localhost");
        let asked = format!("doctor --server {address} --ca-file ca.pem");
        let report = place.run(&asked).json();
        let (found, why) = finding(&report, "certificate");
        assert!(found == state && why.contains(&format!("in {} days", days - 1)), "{found} {why}");
        assert_eq!(server.stop("TERM").0, 0);
    }
}

#[test]
fn a_token_and_data_travel_by_tls() {
    let place = installed();
    Authority::new(&place, "ca.pem").certify(&place, "localhost", -1, 60);
    place.write(
        "strongroom.toml",
        "output = \"json\"\nca_file = \"ca.pem\"\n[serve]\nstore = \"redb:store2\"\nholder = \"holder2\"\n",
    );
    place.run("init --seal-key-file key2 --invitation-file invitation").well();
    let server = place.start(
        "serve --seal-key-file key2 --listen 127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem",
    );
    let address = as_name(&server, "https://localhost");
    let invitation = std::fs::read_to_string(place.path("invitation")).unwrap();
    let login = format!("login --token-file token --server {address}");
    place.run_with(&login, &invitation).well();
    let me = place.run(&format!("whoami --token-file token --server {address}")).well().json();
    assert!(me["tenant"].as_str().unwrap().starts_with("ten_0000"), "{me}");
    let made = place.run(&format!(
        "tenants create --name Clinic --owner-name Odette --owner-email odette@owner.example \
         --token-file token --server {address}"
    ));
    assert!(made.well().out.contains("ten_"));
    assert_eq!(server.stop("TERM").0, 0);
}
