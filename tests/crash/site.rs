//! A server and a folder in which the program is run against it, so that either is killed at any moment.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::Caller;
use strongroom_tests::program::{Installation, People, Running, binary};
use tempfile::TempDir;
use tokio::time::Instant;

/// How often it is looked how far a program has come, and how long a step of it may take.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const STEP_MAX: Duration = Duration::from_mins(30);

/// A server with a collection, and a folder beside it in which the program is run.
pub(crate) struct Site {
    pub(crate) installation: Installation,
    pub(crate) people: People,
    pub(crate) server: Option<Running>,
    pub(crate) folder: TempDir,
}

impl Site {
    /// A new server with a collection of these fields, each record of which is about a person of its own.
    pub(crate) async fn make(collection: &str, fields: &[(&str, &str)]) -> Self {
        let installation = Installation::make();
        let server = installation.start();
        let people = installation.settle(&server).await;
        let owner = people.owner(&server);
        let fields: Vec<Value> =
            fields.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let body = json!({
            "name": collection, "label": collection, "purposes": ["sales"], "subject": "own",
            "fields": fields,
        });
        assert_eq!(owner.post("/collections", body).await.status, 201);
        let folder = TempDir::new().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, owner.token()).unwrap();
        fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
        Self { installation, people, server: Some(server), folder }
    }

    pub(crate) fn owner(&self) -> Caller {
        self.people.owner(self.server.as_ref().unwrap())
    }

    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(binary());
        command.env_clear().current_dir(self.folder.path()).stdin(Stdio::null());
        let said = File::create(self.folder.path().join("said")).unwrap();
        command.stdout(Stdio::null()).stderr(said).args(arguments);
        let address = self.server.as_ref().unwrap().address.as_str();
        command.args(["--token-file", "token", "--server", address]);
        command.spawn().unwrap()
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// Waits until a checkpoint says that a program has come so far.
    pub(crate) fn wait_for(&self, child: &mut Child, checkpoint: &str, at: &str, far_enough: u64) {
        let begun = Instant::now();
        loop {
            let text = fs::read(self.folder.path().join(checkpoint)).unwrap_or_default();
            let come: Value = serde_json::from_slice(&text).unwrap_or_default();
            if come.pointer(at).and_then(Value::as_u64).unwrap_or(0) >= far_enough {
                return;
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended too early: {}", self.said());
            assert!(begun.elapsed() < STEP_MAX, "it does not come so far: {}", self.said());
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until the last job of the tenant has come so far, and gives its id.
    pub(crate) fn come_to(&self, child: &mut Child, at: &str, far_enough: u64) -> String {
        let (owner, begun) = (self.owner(), Instant::now());
        loop {
            let jobs = tokio::runtime::Handle::current().block_on(owner.all("/jobs", 1000));
            if let Some(job) = jobs.last() {
                let come = job.pointer(at).and_then(Value::as_u64).unwrap();
                let over =
                    ["done", "cancelled", "failed"].contains(&job["state"].as_str().unwrap());
                if come >= far_enough {
                    assert!(!over, "it was faster than the kill: {job}");
                    return job["id"].as_str().unwrap().to_owned();
                }
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended too early: {}", self.said());
            assert!(begun.elapsed() < STEP_MAX, "it does not come so far: {}", self.said());
            thread::sleep(LOOK_EVERY);
        }
    }

    pub(crate) fn kill_server(&mut self) {
        self.server.take().unwrap().kill();
    }

    pub(crate) fn start_server(&mut self) {
        self.server = Some(self.installation.start());
    }

    /// Runs a command of the program to its end.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let status = self.begin(arguments).wait().unwrap();
        let said = self.said();
        assert!(status.success(), "{arguments:?}: {status}: {said}");
        said
    }
}

/// Kills a program.
pub(crate) fn end(mut child: Child) -> ExitStatus {
    child.kill().unwrap();
    child.wait().unwrap()
}
