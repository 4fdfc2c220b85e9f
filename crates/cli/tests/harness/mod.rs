//! Running the binary as people do: in a folder of its own, with nothing inherited.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;

/// A folder in which commands are run.
pub struct Place {
    folder: tempfile::TempDir,
}

/// What came of a command.
pub struct Ran {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{} {}", self.out, self.err))
    }

    /// It went well.
    pub fn well(self) -> Self {
        assert_eq!(self.exit, 0, "{}", self.err);
        self
    }

    /// It ended with this exit code and said this.
    pub fn fails(self, exit: i32, said: &str) -> Self {
        assert_eq!(self.exit, exit, "{}", self.err);
        assert!(self.err.contains(said), "{} does not say {said}", self.err);
        self
    }
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// A command that has not been started.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STRONGROOM_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command whose arguments have no spaces in them.
    pub fn run(&self, arguments: &str) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs a command with something on its standard input.
    pub fn run_with(&self, arguments: &str, input: &str) -> Ran {
        finish(&mut self.command(arguments), input)
    }

    /// Starts a server and waits until it says where it listens.
    pub fn start(&self, arguments: &str) -> Server {
        Server::start(&mut self.command(arguments), "listening on ")
    }
}

pub fn finish(command: &mut Command, input: &str) -> Ran {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // A command that takes no input may have ended before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        exit: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn rest(mut err: BufReader<ChildStderr>) -> String {
    let mut said = String::new();
    err.read_to_string(&mut said).unwrap();
    said
}

/// A server that runs until it is stopped.
pub struct Server {
    child: Child,
    /// What it says after it was ready, read all the time: a pipe that is full would hold it up.
    err: Option<JoinHandle<String>>,
    /// What it said when it was ready.
    pub ready: String,
}

impl Server {
    /// Starts it and waits until it says `ready`.
    pub fn start(command: &mut Command, ready: &str) -> Self {
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut server = Self { child, err: None, ready: String::new() };
        let mut err = BufReader::new(server.child.stderr.take().unwrap());
        let mut said = String::new();
        while !server.ready.contains(ready) {
            said.push_str(&server.ready);
            server.ready.clear();
            let count = err.read_line(&mut server.ready).unwrap();
            assert!(count > 0, "it ended and said: {said}");
        }
        server.err = Some(std::thread::spawn(move || rest(err)));
        server
    }

    /// Its address, as it said it.
    pub fn address(&self) -> String {
        let words = self.ready.trim().trim_start_matches("listening on ");
        words.trim_end_matches(", locked").to_owned()
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal and waits until it has ended.
    pub fn end(mut self, signal: &str) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// Asks it to stop; gives its exit code and what it said since it was ready.
    pub fn stop(mut self, signal: &str) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        let said = self.err.take().unwrap().join().unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    let facts = std::fs::metadata(path).unwrap();
    std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o777
}
