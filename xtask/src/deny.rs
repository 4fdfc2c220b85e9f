//! `cargo deny`: licences, sources, walls between rooms, and known faults of dependencies.

use std::process::Command;
use std::time::Duration;

use crate::command::{self, Failure};
use crate::tools::Tool;

/// The version whose reading of `deny.toml` this repository relies on.
const TOOL: Tool = Tool { name: "cargo-deny", version: "0.20.2" };

/// How long fetching the database of advisories may take before it counts as out of reach.
const FETCH_LIMIT: Duration = Duration::from_mins(2);

/// Checks bans, licences and sources, and advisories where their database can be fetched. The
/// text that comes back says what was skipped, and why.
///
/// # Errors
/// If a check fails, or the tool is missing and cannot be installed.
pub(crate) fn run() -> Result<Option<String>, Failure> {
    let program = TOOL.program()?;
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
