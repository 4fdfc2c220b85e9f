//! A PostgreSQL cluster of our own, thrown away at the end.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;

/// The user who may everything in the cluster; nobody else is let to its sockets.
const SUPERUSER: &str = "bench";
/// Whom the cluster runs as if we are root, which PostgreSQL refuses to be: the first that exists.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// Everything else is as PostgreSQL comes.
const SETTINGS: &str = "fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = 1GB
listen_addresses = ''
unix_socket_permissions = 0777
";

/// A running cluster.
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    user: Option<(u32, u32)>,
}

/// How a client connects to the cluster whose sockets lie in this folder.
pub(crate) fn connection_text(sockets: &str) -> String {
    format!("host={sockets} user={SUPERUSER} dbname=postgres")
}

impl Cluster {
    /// Makes a cluster in a new folder and starts it; nothing, if PostgreSQL is not installed.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn start(folder: &Path) -> Result<Option<Self>, Failure> {
        let Some(programs) = programs() else { return Ok(None) };
        let folder = folder.join("postgres");
        std::fs::create_dir(&folder)?;
        let user = unprivileged_user()?;
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
        }
        let cluster = Self { programs, folder, user };
        let data = cluster.data();
        let data = data.to_str().ok_or("the folder's name is not text")?;
        cluster.program(
            "initdb",
            &["-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-locale"],
        )?;
        let configuration = cluster.data().join("postgresql.conf");
        let sockets = format!("unix_socket_directories = '{}'\n", cluster.sockets());
        let own = std::fs::read_to_string(&configuration)?;
        std::fs::write(&configuration, format!("{own}\n{SETTINGS}{sockets}"))?;
        let log = cluster.folder.join("log");
        let log = log.to_str().ok_or("the folder's name is not text")?;
        cluster.program("pg_ctl", &["-D", data, "-l", log, "-w", "start"])?;
        Ok(Some(cluster))
    }

    /// The folder of its sockets.
    pub(crate) fn sockets(&self) -> String {
        self.folder.display().to_string()
    }

    /// What it calls itself.
    pub(crate) fn version(&self) -> String {
        let output = Command::new(self.programs.join("postgres")).arg("--version").output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        said.unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = Command::new(self.programs.join(name));
        command.args(arguments).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let status = command.status()?;
        if status.success() { Ok(()) } else { Err(format!("`{name}` ended with {status}").into()) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        let data = data.to_string_lossy();
        if let Err(failure) = self.program("pg_ctl", &["-D", &data, "-m", "fast", "-w", "stop"]) {
            eprintln!("the cluster was not stopped: {failure}");
        }
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
fn unprivileged_user() -> Result<Option<(u32, u32)>, Failure> {
    let own = std::fs::read_to_string("/proc/self/status")?;
    let own = own.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next());
    if own != Some("0") {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    for name in UNPRIVILEGED {
        let found = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let (user, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            Some((user, group))
        });
        if found.is_some() {
            return Ok(found);
        }
    }
    Err("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`".into())
}
