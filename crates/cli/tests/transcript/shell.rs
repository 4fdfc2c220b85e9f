//! The reader's terminals: one shell in which everything is typed, and one for each server.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Write, pipe};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::compare::Ids;
use super::{Step, What};
use crate::harness::Place;

/// What the shell writes when a command has ended, before its exit code.
const ENDED: &str = "@@@ ended with ";
/// How often is looked whether a server has said something.
const PAUSE: Duration = Duration::from_millis(20);
/// A server has said what it should after so many pauses, or never does.
const PAUSES_MAX: usize = 6_000;
/// The ports that documents use: the API, and health with metrics.
const PORTS: [u16; 2] = [7800, 7801];

/// A reader at work.
pub struct Reader {
    place: Place,
    /// What is typed lies here, so that it is not among the reader's files.
    typed: Place,
    shell: Child,
    input: ChildStdin,
    output: BufReader<PipeReader>,
    servers: Vec<Server>,
    ids: Ids,
    /// The ports of this run, in the order of [`PORTS`].
    ports: [u16; 2],
}

/// A terminal in which a server runs.
struct Server {
    child: Child,
    said: PathBuf,
    /// How much of it has been compared, in bytes.
    seen: usize,
}

impl Reader {
    /// Somebody in an empty folder, with the program installed.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same with these variables set.
    pub fn with(variables: &[(&str, String)]) -> Self {
        let (place, typed) = (Place::new(), Place::new());
        let free = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.map(|listener| listener.local_addr().unwrap().port());
        let (output, both) = pipe().unwrap();
        let mut shell = command(&place, ports, "sh")
            .stdin(Stdio::piped())
            .stdout(both.try_clone().unwrap())
            .stderr(both)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .spawn()
            .unwrap();
        let input = shell.stdin.take().unwrap();
        let output = BufReader::new(output);
        let (servers, ids) = (Vec::new(), Ids::default());
        Self { place, typed, shell, input, output, servers, ids, ports }
    }

    /// Does what the step says, and compares.
    pub fn take(&mut self, document: &str, step: &Step) {
        let at = format!("{document}:{}", step.line);
        match &step.what {
            What::Command(command, exit) => {
                let (code, said) = self.run(&self.of_this_run(command));
                assert_eq!(code, *exit, "{at}: {command}\n{said}");
                if !step.shown.is_empty() {
                    self.compare(&at, &step.shown, &said);
                }
            }
            What::Server(command) => self.start(&at, &self.of_this_run(command), &step.shown),
            What::Stop => self.stop(&at, &step.shown),
        }
    }

    fn run(&mut self, typed: &str) -> (i32, String) {
        self.typed.write("command", typed);
        let file = self.typed.path("command");
        writeln!(self.input, ". '{}' < /dev/null; echo \"{ENDED}$?\"", file.display()).unwrap();
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the shell has ended: {said}");
            if let Some((last, code)) = line.split_once(ENDED) {
                said.push_str(last);
                return (code.trim().parse().unwrap(), self.of_the_document(&said));
            }
            said.push_str(&line);
        }
    }

    fn start(&mut self, at: &str, typed: &str, shown: &[String]) {
        let said = self.typed.path(&format!("server-{}", self.servers.len()));
        let file = File::create(&said).unwrap();
        // In place of its shell, so that signals reach the server itself.
        let child = command(&self.place, self.ports, "sh")
            .args(["-c", &format!("exec {typed}")])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        self.servers.push(Server { child, said, seen: 0 });
        for _ in 0..PAUSES_MAX {
            let said = self.new_of_last_server();
            let is_ready = ["listening on ", "serving until "].iter().any(|it| said.contains(it));
            if is_ready && said.ends_with('\n') {
                if !shown.is_empty() {
                    self.compare(at, shown, &said);
                }
                self.servers.last_mut().unwrap().seen += said.len();
                return;
            }
            let ended = self.servers.last_mut().unwrap().child.try_wait().unwrap();
            assert!(ended.is_none(), "{at}: the server has ended and said\n{said}");
            sleep(PAUSE);
        }
        panic!("{at}: the server does not come up");
    }

    fn stop(&mut self, at: &str, shown: &[String]) {
        let mut server = self.servers.pop().unwrap();
        let id = server.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
        let ended = server.child.wait().unwrap();
        assert!(ended.success(), "{at}: {ended}");
        let said = self.of_the_document(&std::fs::read_to_string(&server.said).unwrap());
        self.compare(at, shown, &said[server.seen..]);
    }

    fn new_of_last_server(&self) -> String {
        let server = self.servers.last().unwrap();
        let said = std::fs::read_to_string(&server.said).unwrap();
        self.of_the_document(&said)[server.seen..].to_owned()
    }

    fn compare(&mut self, at: &str, shown: &[String], said: &str) {
        let (shown, said): (Vec<_>, Vec<_>) =
            (shown.iter().map(String::as_str).collect(), said.lines().collect());
        let Some(ids) = self.ids.clone().lines(&shown, &said) else {
            panic!("{at}: shown\n{}\n\nsaid\n{}\n", shown.join("\n"), said.join("\n"));
        };
        self.ids = ids;
    }

    /// What the document has typed, with the ids and ports of this run.
    fn of_this_run(&self, typed: &str) -> String {
        let typed = self.ids.typed(&as_installed(typed));
        let typed = PORTS.iter().zip(self.ports).fold(typed, |typed, (shown, real)| {
            typed.replace(&format!(":{shown}"), &format!(":{real}"))
        });
        if typed.starts_with("strongroom demo") && !typed.contains("--port") {
            return format!("{typed} --port {}", self.ports[0]);
        }
        typed
    }

    /// What was said, with the ports of the document.
    fn of_the_document(&self, said: &str) -> String {
        PORTS.iter().zip(self.ports).fold(said.to_owned(), |said, (shown, real)| {
            said.replace(&format!(":{real}"), &format!(":{shown}"))
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for child in
            self.servers.iter_mut().map(|server| &mut server.child).chain([&mut self.shell])
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program in the reader's folder. The ports that a document does not write down come from the
/// environment, and there are tables as on a terminal; nothing else is changed.
fn command(place: &Place, ports: [u16; 2], program: &str) -> Command {
    let installed = PathBuf::from(env!("CARGO_BIN_EXE_strongroom"));
    let mut path = installed.parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STRONGROOM_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(place.path(""))
        .env("HOME", place.path(""))
        .env("PATH", path)
        .env("STRONGROOM_LISTEN", format!("127.0.0.1:{}", ports[0]))
        .env("STRONGROOM_SERVER", format!("http://127.0.0.1:{}", ports[0]))
        .env("STRONGROOM_OUTPUT", "table");
    command
}

/// The program has been built already, and it is on the path: what fetches, builds or installs it
/// is not done again, and running it through cargo runs it.
fn as_installed(typed: &str) -> String {
    const BUILDS: [&str; 3] = ["git clone ", "cargo install --path crates/cli", "cd strongroom"];
    if BUILDS.iter().any(|start| typed.starts_with(start)) {
        return ":".to_owned();
    }
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    typed.replace("cargo run --release -- ", "strongroom ").replace("../strongroom/", repository)
}
