//! The server's memory, which holds keys and data: who may have it, and where it may end up.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};

use harness::{Place, Server, finish};

/// The user and group `nobody` on Debian and most other systems.
const NOBODY: u32 = 65534;

fn installed() -> Place {
    let place = Place::new();
    place.write("strongroom.toml", "[serve]\nstore = \"redb:store\"\nlisten = \"127.0.0.1:0\"\n");
    place.run("init --seal-key-file key").well();
    place
}

/// A command of the shell, in the place; `$strongroom` is the program.
fn shell(place: &Place, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(place.path(""));
    command.env("strongroom", env!("CARGO_BIN_EXE_strongroom"));
    command
}

/// How a server ends that crashes.
fn crash(place: &Place, flags: &str) -> ExitStatus {
    let script = format!("ulimit -c unlimited; exec $strongroom serve --seal-key-file key {flags}");
    Server::start(&mut shell(place, &script), "listening on ").end("ABRT")
}

fn cores(place: &Place) -> usize {
    let names = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("core")).count()
}

#[test]
fn a_crash_of_the_server_dumps_no_memory_unless_that_is_allowed() {
    let place = installed();
    // What this machine does with a program that crashes and does not care.
    let machine = shell(&place, "ulimit -c unlimited; kill -s ABRT $$").status().unwrap();
    assert_eq!(machine.signal(), Some(6));
    let before = cores(&place);
    let crashed = crash(&place, "");
    assert!(crashed.signal() == Some(6) && !crashed.core_dumped(), "{crashed}");
    assert_eq!(cores(&place), before);
    let crashed = crash(&place, "--allow-core-dumps");
    assert_eq!(crashed.core_dumped(), machine.core_dumped(), "{crashed} {machine}");
}

#[test]
fn the_limit_of_core_dumps_cannot_be_raised_again() {
    let place = installed();
    let limits = |flags: &str| {
        let script = format!("ulimit -c unlimited; exec $strongroom serve {flags}");
        let server = Server::start(&mut shell(&place, &script), "listening on ");
        let text = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Max core file size"));
        line.unwrap().split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limits(""), ["0", "0"]);
    assert_ne!(limits("--allow-core-dumps"), ["0", "0"]);
}

/// Gives everything in the place, and a copy of the program, to a user without rights, if this test
/// is run by root; gives that user, or else whoever runs it.
fn belongs_to_nobody(place: &Place) -> u32 {
    fs::copy(env!("CARGO_BIN_EXE_strongroom"), place.path("strongroom")).unwrap();
    let me = fs::metadata(place.path("")).unwrap().uid();
    if me == 0 {
        give(&place.path(""), NOBODY);
        return NOBODY;
    }
    me
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

fn as_user(place: &Place, user: u32, script: &str) -> Command {
    let mut command = shell(place, script);
    if user == NOBODY {
        command.uid(user).gid(user);
    }
    command
}

#[test]
fn other_programs_of_its_user_cannot_look_into_the_server() {
    let place = installed();
    let user = belongs_to_nobody(&place);
    let look = |flags: &str| {
        let script = format!("exec ./strongroom serve {flags}");
        let server = Server::start(&mut as_user(&place, user, &script), "listening on ");
        let script = format!("head -c 0 /proc/{}/maps", server.id());
        let owner = fs::metadata(format!("/proc/{}/mem", server.id())).unwrap().uid();
        (finish(&mut as_user(&place, user, &script), "").exit, owner)
    };
    // A process that may be looked into belongs to its user in `/proc`, any other one to root.
    assert_eq!(look("--allow-core-dumps"), (0, user));
    let (exit, owner) = look("");
    assert!(exit != 0 && owner == 0, "{exit} {owner}");
}

#[test]
fn memory_is_locked_or_the_server_does_not_start() {
    let place = installed();
    let user = belongs_to_nobody(&place);
    let script = "ulimit -l 64; exec ./strongroom serve --lock-memory";
    finish(&mut as_user(&place, user, script), "").fails(1, "LimitMEMLOCK=infinity");
    // Root may lock memory without a limit, and then all that is in use is locked.
    if user == NOBODY {
        give(&place.path(""), 0);
        let script = "exec $strongroom serve --lock-memory";
        let server = Server::start(&mut shell(&place, script), "listening on ");
        let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        assert!(kib("VmLck") >= kib("VmRSS"), "{status}");
        assert_eq!(kib("VmSwap"), 0);
    }
}
