//! `cargo xtask network`: attacks the server for minutes and measures how others are served.

use std::ffi::OsString;

use crate::command::{self, Failure};
use crate::packages::ensure_packages;

/// Runs the campaign; the arguments are its own: `--seconds N` a phase, `--rounds N`, `--only WORD`.
///
/// # Errors
/// If it cannot be prepared, if somebody was not served, or if an aim was missed.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    ensure_packages(&["slowhttptest"])?;
    command::run(&mut command::program())?;
    let mut cargo = command::cargo(["test", "--release", "--workspace"]);
    command::run(cargo.args(["--test", "network", "--"]).args(arguments))
}
