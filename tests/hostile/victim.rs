//! The server that is attacked: its process, its address, and what it takes of the machine.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio_rustls::TlsConnector;

use strongroom_tests::program::{self, Installation};

/// How often it is looked whether the server listens already, and how often at most.
const LOOK_EVERY: Duration = Duration::from_millis(3);
const LOOKS_MAX: u32 = 10_000;
/// How many connections the server takes from one address by default.
pub(crate) const CONNECTIONS_PER_ADDRESS: usize = 256;

/// How many file descriptors it has, as far as the test may give them.
const DESCRIPTORS: u32 = 4096;

/// A server with default bounds, a tenant, and a record to ask for.
pub(crate) struct Victim {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The token of an API key that may everything in its tenant.
    pub(crate) token: String,
    /// Another one, so that whoever attacks is not counted with those who behave.
    pub(crate) attackers: String,
    /// The path of a collection's records.
    pub(crate) records: String,
    /// The path of a record.
    pub(crate) record: String,
    /// Whom a client trusts that speaks TLS with it, if it does.
    tls: Option<RootCertStore>,
    installation: Installation,
}

impl Victim {
    /// Starts one that speaks plain HTTP.
    pub(crate) async fn start() -> Self {
        Self::start_with(false, DESCRIPTORS).await
    }

    /// Starts one that has so many file descriptors.
    pub(crate) async fn start_with_descriptors(descriptors: u32) -> Self {
        Self::start_with(false, descriptors).await
    }

    /// Starts one that speaks TLS.
    pub(crate) async fn start_with_tls() -> Self {
        Self::start_with(true, DESCRIPTORS).await
    }

    async fn start_with(secured: bool, descriptors: u32) -> Self {
        let installation = Installation::make();
        let first = installation.start();
        let people = installation.settle(&first).await;
        let owner = people.owner(&first);
        let records = format!("{}/collections/people/records", owner.home());
        let made = owner.post(&records, json!({"fields": {"name": "Sandra Sample"}})).await.id();
        let token = owner.token().to_owned();
        let body = json!({
            "label": "attacker", "classes": ["owner"],
            "expires_at": owner.get("/v1/whoami").await.ok()["expires_at"],
        });
        let attackers = owner.post("/api-keys", body).await.ok();
        let attackers = attackers["token"].as_str().unwrap().to_owned();
        first.kill();
        let tls = secured.then(|| certify(installation.folder()));
        let (child, address) = serve(&installation, secured, descriptors);
        let record = format!("{records}/{made}");
        Self { child, address, token, attackers, records, record, tls, installation }
    }

    /// How to speak this protocol (RFC 7301) with it under TLS, if it speaks that.
    pub(crate) fn tls(&self, protocol: &str) -> Option<TlsConnector> {
        let roots = self.tls.clone()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        // Handshakes are to be whole ones.
        config.resumption = Resumption::disabled();
        Some(TlsConnector::from(Arc::new(config)))
    }

    /// How many KiB of memory it has at present.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// How many sockets it has open, those that it listens on among them.
    pub(crate) fn sockets(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let targets = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// What it has written, which is its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.installation.path("hostile.log")).unwrap()
    }

    /// Fails if it has ended.
    pub(crate) fn must_live(&self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        assert!(!status.contains("\nState:\tZ"), "the server has ended: {}", self.log());
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the program with nothing but what it needs: every bound is its default.
fn serve(installation: &Installation, secured: bool, descriptors: u32) -> (Child, SocketAddr) {
    // A shell in between, which the program replaces, bounds its descriptors.
    let mut command = Command::new("/bin/sh");
    command.env_clear().current_dir(installation.folder()).stdin(Stdio::null());
    command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$@\""), "sh"]);
    command.arg(program::binary()).args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--store",
        &installation.store_url(),
    ]);
    command.args(["--holder", &installation.text("holder")]);
    command.args(["--seal-key-file", &installation.text("seal.key")]);
    if secured {
        command.args(["--tls-cert", "chain.pem", "--tls-key", "key.pem"]);
    }
    let log = installation.path("hostile.log");
    command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    for _ in 0..LOOKS_MAX {
        let said = fs::read_to_string(&log).unwrap();
        let listening = said.lines().find_map(|line| line.strip_prefix("listening on "));
        if let Some(url) = listening.filter(|_| said.ends_with('\n')) {
            let address = url.rsplit('/').next().unwrap().parse();
            return (child, address.unwrap_or_else(|_| panic!("no address: {url}")));
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the server ended with {status}: {said}");
        }
        thread::sleep(LOOK_EVERY);
    }
    panic!("the server does not listen");
}

/// Makes a certificate, and gives whom a client trusts that trusts it alone.
fn certify(folder: &Path) -> RootCertStore {
    let made = rcgen::generate_simple_self_signed(["vault.example".to_owned()]).unwrap();
    fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    roots
}
