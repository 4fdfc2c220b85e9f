//! A PostgreSQL cluster of a test's own, thrown away at its end. It stands by itself, so that tests of rooms
//! below this crate take it by its path.

use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The user who may everything in the cluster; its socket is in a folder that nobody else can enter.
const SUPERUSER: &str = "tester";
/// Whom the cluster runs as if we are root, which PostgreSQL refuses to be: the first that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// Room for the stores of tests that run side by side; and nobody else's network.
const SETTINGS: &str = "shared_buffers = 64MB\nmax_connections = 100\nlisten_addresses = ''\n";

/// A running cluster.
pub struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    user: Option<(u32, u32)>,
}

impl Cluster {
    /// Makes one with these settings beside its usual ones and starts it.
    pub fn start_with(settings: &str) -> Self {
        let Some(programs) = programs() else {
            panic!("PostgreSQL is not installed: `cargo xtask test` installs it, or says how")
        };
        let cluster = Self { programs, folder: tempfile::tempdir().unwrap(), user: unprivileged() };
        if let Some((user, group)) = cluster.user {
            chown(cluster.folder.path(), Some(user), Some(group)).unwrap();
        }
        let data = cluster.data();
        cluster.program(
            "initdb",
            &[
                "-D",
                data.to_str().unwrap(),
                "-U",
                SUPERUSER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
            ],
        );
        let sockets = format!("unix_socket_directories = '{}'\n", cluster.sockets().display());
        cluster.configure(&format!("{SETTINGS}{sockets}{settings}"));
        cluster.start();
        cluster
    }

    /// Adds to the settings; they hold from the next start on.
    pub fn configure(&self, settings: &str) {
        let path = self.data().join("postgresql.conf");
        let own = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{own}\n{settings}\n")).unwrap();
    }

    /// Starts it after it was stopped.
    pub fn start(&self) {
        let log = self.folder.path().join("log");
        self.control(&["-l", log.to_str().unwrap(), "-w", "start"]);
    }

    /// Stops it: `fast` ends what is under way, `immediate` is as if its power was cut.
    pub fn stop(&self, mode: &str) {
        self.control(&["-m", mode, "-w", "stop"]);
    }

    /// The folder of its socket.
    pub fn sockets(&self) -> &Path {
        self.folder.path()
    }

    /// The folder in which it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Whom it and its files belong to, if we are root.
    pub fn owner(&self) -> Option<(u32, u32)> {
        self.user
    }

    /// The URL of a database for a store.
    pub fn url(&self, database: &str) -> String {
        let sockets = self.sockets().display().to_string().replace('/', "%2F");
        format!("postgres://{SUPERUSER}@{sockets}/{database}")
    }

    /// What tells a client of PostgreSQL where it is.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", self.sockets().display().to_string()),
            ("PGUSER", SUPERUSER.to_owned()),
            ("PGDATABASE", "postgres".to_owned()),
            // Whatever the client's own files and the database's settings say.
            ("PGOPTIONS", "-c datestyle=German -c timezone=Asia/Tokyo".to_owned()),
        ]
    }

    /// Runs statements in a database; what they give comes without alignment. They go well.
    pub fn query(&self, database: &str, statements: &str) -> String {
        let output = self.ask(database, statements);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs statements in a database, which may go wrong.
    pub fn ask(&self, database: &str, statements: &str) -> Output {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]).envs(self.variables());
        command.env("PGDATABASE", database);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn control(&self, arguments: &[&str]) {
        let data = self.data();
        let all: Vec<&str> =
            ["-D", data.to_str().unwrap()].into_iter().chain(arguments.iter().copied()).collect();
        self.program("pg_ctl", &all);
    }

    fn program(&self, name: &str, arguments: &[&str]) {
        let status = self.command(name, arguments).status().unwrap();
        assert!(status.success(), "`{name}` ended with {status}");
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        let arguments = ["-D", &data.to_string_lossy(), "-m", "immediate", "-w", "stop"];
        let _ = self.command("pg_ctl", &arguments).stderr(Stdio::null()).status();
    }
}

/// Where `initdb` and the others lie.
fn programs() -> Option<PathBuf> {
    let mut places = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        places.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    places.extend(versions.map(|version| version.path().join("bin")));
    places.into_iter().find(|place| place.join("initdb").exists())
}

/// The user and group to run as, if we are root.
fn unprivileged() -> Option<(u32, u32)> {
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next());
    if own != Some("0") {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let found = UNPRIVILEGED.iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    assert!(found.is_some(), "PostgreSQL does not run as root, and there is nobody else");
    found
}
