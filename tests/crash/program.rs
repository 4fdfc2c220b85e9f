//! The program as it is built: made installations, servers that run and can be killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::Caller;
use tempfile::TempDir;

/// How often it is looked whether a server listens already, and how long it may take.
const LOOK_EVERY: Duration = Duration::from_millis(3);
const LOOKS_MAX: u32 = 10_000;

/// The program: the one that `STRONGROOM_BIN` names, or the one that was built beside this test.
#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
pub(crate) fn binary() -> PathBuf {
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
pub(crate) struct Installation {
    folder: TempDir,
    invitation: String,
}

/// A server that runs in a process of its own.
pub(crate) struct Running {
    child: Child,
    /// Where it answers.
    pub(crate) address: String,
}

/// An owner of a tenant, and the provider's operator.
pub(crate) struct People {
    home: String,
    owner: String,
}

impl Installation {
    /// Makes one with `strongroom init`.
    pub(crate) fn make() -> Self {
        let folder = TempDir::new().unwrap();
        let mut made = Self { folder, invitation: String::new() };
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
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder that holds all of it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn store_url(&self) -> String {
        format!("redb:{}", self.text("store"))
    }

    /// Copies store and holder aside.
    pub(crate) fn copy_to(&self, aside: &str) {
        let aside = self.path(aside);
        fs::create_dir(&aside).unwrap();
        copy(&self.path("store"), &aside.join("store"));
        copy(&self.path("holder"), &aside.join("holder"));
    }

    /// Puts back what was copied aside.
    pub(crate) fn put_back(&self, aside: &str) {
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
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn knows(&self, flag: &str) -> bool {
        String::from_utf8_lossy(&self.run(&["serve", "--help"]).stdout).contains(flag)
    }

    /// What `serve` is told.
    pub(crate) fn serving(&self) -> Vec<String> {
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
    pub(crate) fn begin(&self) -> Child {
        let arguments = self.serving();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // What it says goes to a file: nobody reads a pipe while the server works.
        let says = File::create(self.path("stderr")).unwrap();
        self.command(&arguments).stdout(Stdio::null()).stderr(says).spawn().unwrap()
    }

    /// Starts the server, unlocked, and waits until it listens.
    pub(crate) fn start(&self) -> Running {
        let mut child = self.begin();
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
    pub(crate) async fn settle(&self, server: &Running) -> People {
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
        People { home, owner: key }
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

async fn redeem(nobody: &Caller, invitation: &str) -> String {
    let answer = nobody.post("/v1/invitations/redeem", json!({"token": invitation})).await;
    let answer: Value = answer.ok();
    answer["session"]["token"].as_str().unwrap().to_owned()
}

impl People {
    /// The owner, at the address that the server has now.
    pub(crate) fn owner(&self, server: &Running) -> Caller {
        Caller::of(&server.address, &self.home, Some(&self.owner))
    }
}

impl Running {
    /// Kills it with a signal that it cannot catch.
    pub(crate) fn kill(mut self) {
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
