//! The program as it is built: made installations, servers that run and can be killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::Caller;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How often it is looked whether a server listens already, and how long it may take.
const LOOK_EVERY: Duration = Duration::from_millis(3);
const LOOKS_MAX: u32 = 10_000;

/// The program: the one that `STRONGROOM_BIN` names, or the one that was built beside this test.
#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
pub fn binary() -> PathBuf {
    let path = std::env::var("STRONGROOM_BIN").map_or_else(
        |_| {
            let test = std::env::current_exe().unwrap();
            test.parent().and_then(Path::parent).unwrap().join("strongroom")
        },
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "the program is not at `{}`: run `cargo build --release -p strongroom-cli`, or name it in \
         STRONGROOM_BIN",
        path.display()
    );
    path
}

/// An installation in a folder of its own: `store`, `holder`, `seal.key`.
pub struct Installation {
    folder: TempDir,
    engine: String,
    invitation: String,
}

/// A server that runs in a process of its own.
pub struct Running {
    child: Child,
    /// Where it answers.
    pub address: String,
}

/// An owner of a tenant, and the provider's operator.
pub struct People {
    home: String,
    owner: String,
    operator: String,
}

impl Installation {
    /// Makes one with `strongroom init`.
    pub fn make() -> Self {
        Self::make_on("redb")
    }

    /// The same with its store on another engine.
    pub fn make_on(engine: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut made = Self { folder, engine: engine.to_owned(), invitation: String::new() };
        let done = made.run(&[
            "init",
            "--store",
            &made.store_url(),
            "--holder",
            &made.text("holder"),
            "--seal-key-file",
            &made.text("seal.key"),
            "--invitation-file",
            &made.text("invitation"),
        ]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::read_to_string(made.path("invitation"))
            .unwrap()
            .trim()
            .clone_into(&mut made.invitation);
        fs::remove_file(made.path("invitation")).unwrap();
        made
    }

    /// A file or folder of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder that holds all of it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The store, as `--store` takes it.
    pub fn store_url(&self) -> String {
        format!("{}:{}", self.engine, self.text("store"))
    }

    /// Copies store and holder aside.
    pub fn copy_to(&self, aside: &str) {
        let aside = self.path(aside);
        fs::create_dir(&aside).unwrap();
        copy(&self.path("store"), &aside.join("store"));
        copy(&self.path("holder"), &aside.join("holder"));
    }

    /// Puts back what was copied aside.
    pub fn put_back(&self, aside: &str) {
        fs::remove_dir_all(self.path("store")).unwrap();
        fs::remove_file(self.path("holder")).unwrap();
        copy(&self.path(aside).join("store"), &self.path("store"));
        copy(&self.path(aside).join("holder"), &self.path("holder"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        // Nothing of the tester's own settings.
        command.env_clear().current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command on the store, whose server does not run.
    pub fn run_at_rest(&self, command: &str, flags: &[&str]) -> Output {
        let (store, holder, key) = (self.store_url(), self.text("holder"), self.text("seal.key"));
        let place = ["--store", &store, "--holder", &holder, "--seal-key-file", &key];
        self.run(&[&[command], &place[..], flags].concat())
    }

    /// Begins a command, and does not wait for it; nobody hears what it says.
    pub fn begin_command(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn knows(&self, flag: &str) -> bool {
        String::from_utf8_lossy(&self.run(&["serve", "--help"]).stdout).contains(flag)
    }

    /// The first operator's invitation.
    pub fn invitation(&self) -> &str {
        &self.invitation
    }

    /// What the server has said since it was started last: its log.
    pub fn said(&self) -> Vec<u8> {
        fs::read(self.path("stderr")).unwrap()
    }

    /// What `serve` is told.
    pub fn serving(&self) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["serve", "--listen", "127.0.0.1:0", "--store"].map(str::to_owned).to_vec();
        arguments.extend([
            self.store_url(),
            "--holder".to_owned(),
            self.text("holder"),
            "--seal-key-file".to_owned(),
            self.text("seal.key"),
        ]);
        // These tests ask as fast as they can, where the program bounds that.
        if self.knows("--no-rate-limits") {
            arguments.push("--no-rate-limits".to_owned());
        }
        arguments
    }

    /// Begins to start the server, and does not wait for it.
    pub fn begin(&self) -> Child {
        self.begin_with(&[])
    }

    fn begin_with(&self, flags: &[&str]) -> Child {
        self.spawn(&mut self.server_command(flags))
    }

    fn server_command(&self, flags: &[&str]) -> Command {
        let mut arguments = self.serving();
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.command(&arguments)
    }

    fn spawn(&self, command: &mut Command) -> Child {
        // What it says goes to a file: nobody reads a pipe while the server works.
        let says = File::create(self.path("stderr")).unwrap();
        command.stdout(Stdio::null()).stderr(says).spawn().unwrap()
    }

    /// Starts the server, unlocked, and waits until it listens.
    pub fn start(&self) -> Running {
        self.start_with(&[])
    }

    /// The same, told more.
    pub fn start_with(&self, flags: &[&str]) -> Running {
        self.listening(self.begin_with(flags))
    }

    /// The same with file systems of its own, which these words of a shell mount in the folder of the
    /// installation. Not every machine allows that.
    pub fn start_mounted(&self, mount: &str, flags: &[&str]) -> Running {
        let server = self.server_command(flags);
        let mut command = Command::new("unshare");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.args(["-rm", "sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
        command.arg(server.get_program()).args(server.get_args());
        self.listening(self.spawn(&mut command))
    }

    fn listening(&self, mut child: Child) -> Running {
        for _ in 0..LOOKS_MAX {
            let said = fs::read_to_string(self.path("stderr")).unwrap();
            let listening = said.lines().find_map(|line| line.strip_prefix("listening on "));
            if let Some(address) = listening.filter(|_| said.ends_with('\n')) {
                assert!(!address.contains("locked"), "it is locked: {said}");
                return Running { child, address: address.to_owned() };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}: {said}");
            }
            thread::sleep(LOOK_EVERY);
        }
        panic!("the server does not listen");
    }

    /// Signs the operator in, makes a tenant with a collection `people`, and a key of its owner.
    pub async fn settle(&self, server: &Running) -> People {
        let nobody = Caller::of(&server.address, "/v1/provider", None);
        let operator = nobody.with_token(&redeem(&nobody, &self.invitation).await);
        let body = json!({"name": "Harbour Street Clinic", "owner": {"name": "Odette Owner"}});
        let tenant = operator.post("/v1/tenants", body).await.ok();
        let home = format!("/v1/tenants/{}", tenant["id"].as_str().unwrap());
        let session = redeem(&nobody, tenant["invitation"]["token"].as_str().unwrap()).await;
        let owner = Caller::of(&server.address, &home, Some(&session));
        let mine = owner.get("/v1/whoami").await.ok()["expires_at"].clone();
        // The session ends in twelve hours; a key lasts for the longest campaign.
        let ends = mine.as_str().unwrap().parse::<strongroom_model::Timestamp>().unwrap();
        let ends = ends.plus_seconds(100 * 24 * 60 * 60).to_string();
        let body = json!({"label": "campaign", "classes": ["owner"], "expires_at": ends});
        let key = owner.post("/api-keys", body).await.ok()["token"].as_str().unwrap().to_owned();
        let body = json!({
            "name": "people", "label": "People", "purposes": ["care"],
            "fields": [{"name": "name", "type": "name"}, {"name": "note", "type": "text"}],
        });
        assert_eq!(owner.post("/collections", body).await.status, 201);
        People { home, owner: key, operator: operator.token().to_owned() }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Redeems an invitation and gives the session's token.
pub async fn redeem(nobody: &Caller, invitation: &str) -> String {
    let answer = nobody.post("/v1/invitations/redeem", json!({"token": invitation})).await;
    let answer: Value = answer.ok();
    answer["session"]["token"].as_str().unwrap().to_owned()
}

impl People {
    /// The owner, at the address that the server has now.
    pub fn owner(&self, server: &Running) -> Caller {
        Caller::of(&server.address, &self.home, Some(&self.owner))
    }

    /// The operator, at the address that the server has now, for as long as their session lasts.
    pub fn operator(&self, server: &Running) -> Caller {
        Caller::of(&server.address, "/v1/provider", Some(&self.operator))
    }
}

impl Running {
    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it shows health and metrics, as its installation has heard it say.
    pub fn admin(&self, installation: &Installation) -> String {
        for _ in 0..LOOKS_MAX {
            let said = String::from_utf8(installation.said()).unwrap();
            let line = said.lines().find_map(|line| line.strip_prefix("health and metrics on "));
            if let Some(address) = line {
                return address.to_owned();
            }
            thread::sleep(LOOK_EVERY);
        }
        panic!("the server shows no health");
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    /// Kills it with a signal that it cannot catch.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
