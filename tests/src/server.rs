//! A real server in the test's own process: real accept loop, real store, a clock that stands
//! still.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use strongroom_adversary::Evidence;
use strongroom_api::{Config, Edge, Limits, RunningServer, SealProof, UnlockError, Unlocker};
use strongroom_crypto::{Key, SystemRng, seal_key};
use strongroom_keyring::{FileHolder, Grade, Holder, HolderId, Keyring, MemoryHolder, SealMethod};
use strongroom_model::{Clock, InstallId};
use strongroom_storage::{BlobUrl, LinePosition, LineRange, OpenError, Store, StoreUrl};
use strongroom_vault::backups::{BackupPlace, FolderPlace, Places};
use strongroom_vault::{Vault, system, tenants};
use tempfile::TempDir;

use crate::client::plain_http;
use crate::faults::{Faults, Faulty};
use crate::recorder::Recorder;
use crate::{Caller, ManualClock, Tenant};

/// The name of the provider's first operator.
const OPERATOR: &str = "Olga Operator";
/// Before so much of their session has passed, people who stay make another: it lasts twelve hours.
const STAY_SECONDS: i64 = 11 * 60 * 60;
/// What the place for backups of a server is called whose writes are recorded.
const BACKUPS: &str = "nightly";
/// How often opening a store is tried again while the last of an earlier server lets go of it.
const OPEN_TRIES: u32 = 200;

/// The size of the largest file that a test's server takes.
pub const LARGEST_FILE: u64 = 2 * 1024 * 1024;

/// Where a server keeps its things.
pub enum Home {
    /// Nowhere: they are gone with the server.
    Memory,
    /// In a folder: the store in `store`, the holder in `holder`, files in `files`.
    Folder(TempDir),
}

/// A server, with its first operator signed in.
pub struct Server {
    /// The clock by which it goes.
    pub clock: Arc<ManualClock>,
    /// Breaks and mends its store.
    pub faults: Arc<Faults>,
    home: Home,
    url: StoreUrl,
    /// Everything that was written to its store, if that is recorded.
    evidence: Option<Arc<Mutex<Evidence>>>,
    seal: String,
    http: reqwest::Client,
    parts: Option<Parts>,
    operator: String,
}

struct Parts {
    running: RunningServer,
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    keyring: Arc<Keyring>,
}

struct SealUnlocker;

#[async_trait]
impl Unlocker for SealUnlocker {
    async fn unlock(&self, vault: &Vault, proof: SealProof<'_>) -> Result<(), UnlockError> {
        let SealProof::Key(text) = proof else { return Err(UnlockError::WrongKey) };
        let key = seal_key::parse_file(text.expose()).map_err(|_| UnlockError::WrongKey)?;
        let _unlocked = system::unlock(vault, &key).await?;
        Ok(())
    }
}

impl Server {
    /// A server that keeps nothing.
    pub async fn memory() -> Self {
        Self::start(Home::Memory, StoreUrl::Memory, false).await
    }

    /// A server over a redb store and a file holder in a folder of their own.
    pub async fn redb() -> Self {
        let folder = TempDir::new().unwrap();
        let url = StoreUrl::Redb(folder.path().join("store"));
        Self::start(Home::Folder(folder), url, false).await
    }

    /// A server over this store, with its file holder, and its backups in `backups`, in a folder. What is
    /// written to the store is recorded.
    pub async fn recorded(folder: TempDir, url: StoreUrl) -> Self {
        std::fs::create_dir(folder.path().join("backups")).unwrap();
        Self::start(Home::Folder(folder), url, true).await
    }

    async fn start(home: Home, url: StoreUrl, is_recorded: bool) -> Self {
        let clock = Arc::new(ManualClock::new());
        let rng = Arc::new(SystemRng::new());
        let install = InstallId::new(clock.now(), &*rng).unwrap();
        let seal = Key::generate(&*rng).unwrap();
        let (store, holder): (Arc<dyn Store>, Arc<dyn Holder>) = match &home {
            Home::Memory => (
                strongroom_storage::create(&StoreUrl::Memory).unwrap(),
                Arc::new(MemoryHolder::new(HolderId([3; 16]), install, 1)),
            ),
            Home::Folder(folder) => {
                let holder = FileHolder::create(
                    &holder_of(folder),
                    install,
                    1,
                    Grade::Logical,
                    SealMethod::KeyFile,
                    &*rng,
                );
                let url = url.clone();
                let store =
                    tokio::task::spawn_blocking(move || strongroom_storage::create(&url)).await;
                (store.unwrap().unwrap(), Arc::new(holder.unwrap()))
            }
        };
        let evidence = is_recorded.then(|| {
            let evidence = Evidence::new(*install.as_bytes());
            Arc::new(Mutex::new(evidence))
        });
        let store = recorded(store, evidence.as_ref());
        let holders = vec![holder];
        Keyring::create(store.clone(), holders.clone(), &seal, install, clock.clone(), rng)
            .await
            .unwrap();
        let text = seal_key::write_file(&seal).expose().trim().to_owned();
        let mut server = Self {
            clock,
            faults: Arc::default(),
            home,
            url,
            evidence,
            seal: text,
            http: plain_http(),
            parts: None,
            operator: String::new(),
        };
        server.run(store, holders).await;
        let vault = &server.parts().vault;
        system::unlock(vault, &seal).await.unwrap();
        let operator = tenants::Owner { name: OPERATOR.parse().unwrap(), email: None };
        let invitation = system::plant(vault, operator).await.unwrap();
        let redeemed = server.redeem(invitation.token.expose()).await;
        server.operator = redeemed;
        server
    }

    async fn run(&mut self, inner: Arc<dyn Store>, holders: Vec<Arc<dyn Holder>>) {
        let store: Arc<dyn Store> = Arc::new(Faulty { inner, faults: self.faults.clone() });
        let rng = Arc::new(SystemRng::new());
        let keyring = Keyring::open(store.clone(), holders, self.clock.clone(), rng.clone());
        let keyring = Arc::new(keyring.await.unwrap());
        let vault = Vault::new(store.clone(), keyring.clone(), self.clock.clone(), rng.clone());
        let vault = Arc::new(vault);
        let files = match &self.home {
            Home::Memory => BlobUrl::Memory,
            Home::Folder(folder) => BlobUrl::Folder(folder.path().join("files")),
        };
        vault.keep_files(files.open().unwrap(), LARGEST_FILE);
        if let (Some(_), Home::Folder(folder)) = (&self.evidence, &self.home) {
            let place: Arc<dyn BackupPlace> =
                Arc::new(FolderPlace::new(folder.path().join("backups")));
            vault.name_backup_places(Places::from([(BACKUPS.parse().unwrap(), place)]));
        }
        // Tests ask as fast as they can.
        let limits = Limits { rates: None, ..Limits::default() };
        let config = Config { listen: ([127, 0, 0, 1], 0).into(), limits };
        let edge = Edge { admin: Some(([127, 0, 0, 1], 0).into()), ..Edge::default() };
        let unlocker = Arc::new(SealUnlocker);
        let running = strongroom_api::Server::start_at(config, edge, vault.clone(), unlocker, rng)
            .await
            .unwrap();
        self.parts = Some(Parts { running, store, vault, keyring });
    }

    fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("a running server")
    }

    /// Stops the server gently, and starts it again over what it left in its folder: locked.
    pub async fn restart_locked(&mut self) {
        self.stop().await;
        let Home::Folder(folder) = &self.home else { panic!("a server in memory leaves nothing") };
        let (url, holder) = (self.url.clone(), holder_of(folder));
        let store = tokio::task::spawn_blocking(move || open_when_free(&url)).await.unwrap();
        let holders: Vec<Arc<dyn Holder>> =
            vec![Arc::new(FileHolder::open(&holder, None).unwrap())];
        self.run(recorded(store, self.evidence.as_ref()), holders).await;
    }

    /// The same, and unlocks it over HTTP.
    pub async fn restart(&mut self) {
        self.restart_locked().await;
        let unlocked =
            self.operator().post("/v1/system/unlock", json!({"key": self.seal})).await.ok();
        assert_eq!(unlocked["locked"], false);
    }

    /// Stops the server gently; its folder stays.
    pub async fn stop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        parts.running.stop().await;
        parts.keyring.lock();
        // Connections that wait for a server that is gone are of no use to the next one.
        self.http = plain_http();
    }

    /// Does the server's own work, as it does by itself every minute.
    pub async fn run_due_jobs(&self) {
        self.parts().vault.run_due_jobs().await.unwrap();
    }

    /// Lets time pass while the first operator and these people stay signed in, each by invitations that
    /// they make for themselves.
    pub async fn pass(&mut self, seconds: i64, people: &mut [&mut Caller]) {
        let mut left = seconds;
        while left > 0 {
            let step = left.min(STAY_SECONDS);
            self.clock.advance(step);
            left -= step;
            let operator = self.stay(&self.operator()).await;
            operator.token().clone_into(&mut self.operator);
            for person in people.iter_mut() {
                **person = self.stay(person).await;
            }
        }
    }

    /// A new session of somebody who may manage users, before the old one ends.
    pub async fn stay(&self, person: &Caller) -> Caller {
        let myself = person.get("/v1/whoami").await.ok()["user"].clone();
        let path = format!("/users/{}/invitation", myself.as_str().unwrap());
        let again = person.post(&path, json!({})).await;
        assert_eq!(again.status, 201, "{}", again.text());
        person.with_token(&self.redeem(again.json()["token"].as_str().unwrap()).await)
    }

    /// The rows that it keeps, past all rights.
    pub fn store(&self) -> &dyn Store {
        &*self.parts().store
    }

    /// The keys that it has, past all rights.
    pub fn keyring(&self) -> &Keyring {
        &self.parts().keyring
    }

    /// Everything that was written to the store, and all lines of its log; it is recorded.
    pub async fn evidence(&self) -> Evidence {
        let recorded = self.evidence.as_ref().expect("a server whose writes are recorded");
        let mut evidence = recorded.lock().unwrap().clone();
        let mut after = LinePosition::START;
        loop {
            let range = LineRange::all(after, strongroom_storage::PAGE_MAX);
            let lines = self.parts().store.read_lines(&range).await.unwrap();
            let Some((last, _)) = lines.last() else { return evidence };
            after = *last;
            for (_, line) in &lines {
                evidence.line(line);
            }
        }
    }

    /// Has the adversary look through bytes of any kind.
    pub fn look_through(&self, bytes: &[u8]) {
        self.evidence.as_ref().expect("a recorder").lock().unwrap().bytes(bytes);
    }

    /// The metrics, as they are shown to whoever runs the server.
    pub async fn metrics(&self) -> String {
        let admin = self.parts().running.admin_addr().unwrap();
        let answer = self.http.get(format!("http://{admin}/metrics")).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// The folder in which store and holder lie.
    pub fn folder(&self) -> &Path {
        match &self.home {
            Home::Folder(folder) => folder.path(),
            Home::Memory => panic!("a server in memory has no folder"),
        }
    }

    /// The key that unlocks it, as text.
    pub fn seal_key(&self) -> &str {
        &self.seal
    }

    /// The first operator.
    pub fn operator(&self) -> Caller {
        self.nobody().with_token(&self.operator)
    }

    /// Somebody without a credential, in front of the provider's door.
    pub fn nobody(&self) -> Caller {
        self.caller("/v1/provider", None)
    }

    /// Somebody with a token, in front of a tenant's door.
    pub fn at(&self, home: &str, token: &str) -> Caller {
        self.caller(home, Some(token))
    }

    pub(crate) fn caller(&self, home: &str, token: Option<&str>) -> Caller {
        let base = format!("http://{}", self.parts().running.local_addr());
        Caller::new(self.http.clone(), base, home.to_owned(), token.map(str::to_owned))
    }

    /// The same caller, at the address that the server has now.
    #[must_use]
    pub fn again(&self, caller: &Caller) -> Caller {
        self.caller(caller.home(), Some(caller.token()))
    }

    /// Redeems an invitation and gives the session's token.
    pub async fn redeem(&self, invitation: &str) -> String {
        let body = json!({"token": invitation});
        let redeemed = self.nobody().post("/v1/invitations/redeem", body).await;
        assert_eq!(redeemed.status, 201, "{}", redeemed.text());
        redeemed.json()["session"]["token"].as_str().unwrap().to_owned()
    }

    /// Makes a tenant and signs its owner in.
    pub async fn tenant(&self, name: &str) -> Tenant {
        Tenant::new(self, name).await
    }
}

fn holder_of(folder: &TempDir) -> PathBuf {
    folder.path().join("holder")
}

fn recorded(store: Arc<dyn Store>, evidence: Option<&Arc<Mutex<Evidence>>>) -> Arc<dyn Store> {
    match evidence {
        Some(evidence) => Arc::new(Recorder::new(store, evidence.clone(), false)),
        None => store,
    }
}

fn open_when_free(url: &StoreUrl) -> Arc<dyn Store> {
    for _ in 0..OPEN_TRIES {
        match strongroom_storage::open(url) {
            Err(OpenError::InUse(_)) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("a server that was stopped keeps its store")
}
