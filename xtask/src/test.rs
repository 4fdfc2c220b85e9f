//! `cargo xtask test`: prepares what the tests need and runs them all.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};
use crate::crash::{STRACE, ask_for_small_disks};
use crate::packages::ensure_packages;
use crate::python;

/// Runs the tests of the whole workspace, or of the packages that the arguments name.
///
/// # Errors
/// If something that the tests need is missing, or a test fails.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let python = python::prepared()?;
    ensure_programs()?;
    let mut cargo = command::cargo(["test", "--release"]);
    if !names_packages(arguments) {
        cargo.arg("--workspace");
    }
    ask_for_small_disks(&mut cargo);
    command::run(cargo.args(arguments).env("STRONGROOM_TEST_PYTHON", python))
}

/// What the README and the tutorials have their readers use, and what Debian calls it.
const PROGRAMS: [&str; 2] = ["curl", "openssl"];

/// The tool that opens our archives and whose files we open; Debian's package has it with its keys.
const AGE: &str = "age";

/// The database out of which a how-to moves a table; Debian's package has server and client.
const POSTGRESQL: &str = "postgresql";

/// The pooler that a store in a database is tested behind.
const PGBOUNCER: &str = "pgbouncer";

/// Whether there is a client, and a server where the tests look for one.
fn has_postgresql() -> bool {
    let beside = command::output(Command::new("pg_config").arg("--bindir"));
    let mut folders: Vec<PathBuf> = beside.iter().map(|folder| folder.trim().into()).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    command::succeeds(Command::new("psql").arg("--version"))
        && folders.iter().any(|folder| folder.join("initdb").exists())
}

/// Makes sure that there is a PostgreSQL for the tests to start.
///
/// # Errors
/// If it is missing and cannot be installed from here.
pub(crate) fn ensure_postgresql() -> Result<(), Failure> {
    if has_postgresql() { Ok(()) } else { ensure_packages(&[POSTGRESQL]) }
}

fn ensure_programs() -> Result<(), Failure> {
    // `openssl` is asked without dashes, `curl` with them.
    let answers = |name: &str, flag: &str| command::succeeds(Command::new(name).arg(flag));
    let is_there = |name: &str| answers(name, "--version") || answers(name, "version");
    let mut missing: Vec<&str> = PROGRAMS.into_iter().filter(|name| !is_there(name)).collect();
    if !answers(AGE, "--version") {
        missing.push(AGE);
    }
    if !answers(STRACE, "--version") {
        missing.push(STRACE);
    }
    if !has_postgresql() {
        missing.push(POSTGRESQL);
    }
    if !["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].iter().any(|path| Path::new(path).exists()) {
        missing.push(PGBOUNCER);
    }
    ensure_packages(&missing)
}

/// Whether the arguments choose packages; what stands behind `--` is for the tests themselves.
fn names_packages(arguments: &[OsString]) -> bool {
    arguments.iter().map(|argument| argument.to_string_lossy()).take_while(|it| it != "--").any(
        |it| {
            it.starts_with("-p") || it.starts_with("--package") || it.starts_with("--manifest-path")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: bool) {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        assert_eq!(names_packages(&arguments), expected, "{arguments:?}");
    }

    #[test]
    fn the_whole_workspace_is_tested_unless_a_package_is_named() {
        check(&[], false);
        check(&["--no-fail-fast"], false);
        check(&["-p", "strongroom-crypto"], true);
        check(&["--package=strongroom-crypto"], true);
        check(&["--", "-p"], false);
    }
}
