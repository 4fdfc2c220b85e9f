//! A PostgreSQL cluster of a test's own, thrown away at its end.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Ran, finish};

/// The user who may everything in the cluster; its socket is in a folder that nobody else can enter.
const SUPERUSER: &str = "tester";
/// Whom the cluster runs as if we are root, which PostgreSQL refuses to be: the first that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// It is thrown away, so nothing need survive a power cut.
const SETTINGS: &str =
    "fsync = off\nshared_buffers = 64MB\nmax_connections = 20\nlisten_addresses = ''\n";

/// A running cluster.
pub struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    user: Option<(u32, u32)>,
}

impl Cluster {
    /// Makes one and starts it.
    pub fn start() -> Self {
        let Some(programs) = programs() else {
            panic!("PostgreSQL is not installed: `cargo xtask test` installs it, or says how")
        };
        let cluster = Self { programs, folder: tempfile::tempdir().unwrap(), user: unprivileged() };
        if let Some((user, group)) = cluster.user {
            chown(cluster.folder.path(), Some(user), Some(group)).unwrap();
        }
        let data = cluster.data();
        let data = data.to_str().unwrap();
        cluster.program(
            "initdb",
            &["-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-locale"],
        );
        let configuration = cluster.data().join("postgresql.conf");
        let own = std::fs::read_to_string(&configuration).unwrap();
        let sockets = format!("unix_socket_directories = '{}'\n", cluster.folder.path().display());
        std::fs::write(&configuration, format!("{own}\n{SETTINGS}{sockets}")).unwrap();
        let log = cluster.folder.path().join("log");
        cluster.program("pg_ctl", &["-D", data, "-l", log.to_str().unwrap(), "-w", "start"]);
        cluster
    }

    /// What tells a client of PostgreSQL where it is.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", self.folder.path().display().to_string()),
            ("PGUSER", SUPERUSER.to_owned()),
            ("PGDATABASE", "postgres".to_owned()),
            // Whatever the client's own files and the database's settings say.
            ("PGOPTIONS", "-c datestyle=German -c timezone=Asia/Tokyo".to_owned()),
        ]
    }

    /// Runs statements; what they give comes without alignment.
    pub fn sql(&self, statements: &str) -> Ran {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]).envs(self.variables());
        finish(&mut command, statements)
    }

    /// Runs a file of statements.
    pub fn file(&self, path: &Path) -> Ran {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-f"]).arg(path).envs(self.variables());
        finish(&mut command, "")
    }

    /// The folder in which it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(name));
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let status = command.status().unwrap();
        assert!(status.success(), "`{name}` ended with {status}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        let mut stop = Command::new(self.programs.join("pg_ctl"));
        stop.args(["-D", &data.to_string_lossy(), "-m", "immediate", "-w", "stop"]);
        stop.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = self.user {
            stop.uid(user).gid(group);
        }
        let _ = stop.status();
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
