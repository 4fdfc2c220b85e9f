//! `cargo deny`: licences, sources, walls between rooms, and known faults of dependencies.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::command::{self, Failure};

/// The version whose reading of `deny.toml` this repository relies on.
const VERSION: &str = "0.20.2";

/// Where it is installed when the machine has none of that version, seen from the workspace.
const TOOLS: &str = "target/tools";

/// How long fetching the database of advisories may take before it counts as out of reach.
const FETCH_LIMIT: Duration = Duration::from_mins(2);

/// Checks bans, licences and sources, and advisories where their database can be fetched. The
/// text that comes back says what was skipped, and why.
///
/// # Errors
/// If a check fails, or the tool is missing and cannot be installed.
pub(crate) fn run() -> Result<Option<String>, Failure> {
    let program = program()?;
    let check = |what: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(command::root()).args(["check", "--hide-inclusion-graph"]).args(what);
        command::run(&mut command)
    };
    check(&["bans", "licenses", "sources"])?;
    let mut fetch = Command::new(&program);
    fetch.current_dir(command::root()).args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0");
    match command::run_within(&mut fetch, FETCH_LIMIT) {
        Ok(()) => check(&["advisories"]).map(|()| None),
        Err(reason) => {
            let skipped = format!("advisories SKIPPED, their database cannot be fetched: {reason}");
            println!("{skipped}");
            Ok(Some(skipped))
        }
    }
}

/// The tool: the machine's own if its version is right, else one under [`TOOLS`], built once.
fn program() -> Result<PathBuf, Failure> {
    let tools = command::root().join(TOOLS);
    let candidates = [PathBuf::from("cargo-deny"), tools.join("bin").join("cargo-deny")];
    if let Some(found) = candidates.iter().find(|candidate| is_right(candidate)) {
        return Ok(found.clone());
    }
    println!("installing cargo-deny {VERSION} into {TOOLS}, once; this takes some minutes");
    // Unoptimised and without debugging symbols: the build costs minutes, a run costs seconds.
    let mut install = command::cargo(["install", "cargo-deny", "--locked", "--debug", "--version"]);
    install.arg(VERSION).arg("--root").arg(&tools).env("CARGO_PROFILE_DEV_DEBUG", "0");
    command::run(&mut install)?;
    let [_, installed] = candidates;
    if is_right(&installed) {
        Ok(installed)
    } else {
        Err(Failure::new(format!("cargo-deny was installed, but is not version {VERSION}")))
    }
}

fn is_right(program: &PathBuf) -> bool {
    command::output(Command::new(program).arg("--version"))
        .is_some_and(|version| version.trim() == format!("cargo-deny {VERSION}"))
}
