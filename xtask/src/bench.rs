//! `cargo xtask bench`: builds the benchmarks and runs them.

use std::ffi::OsString;
use std::process::Command;

use crate::command::{self, Failure};

/// Builds with the profile of shipped binaries instead of the everyday one.
const SHIPPED: &str = "--dist";

/// Runs the benchmarks; all arguments but `--dist` are theirs.
///
/// # Errors
/// If they cannot be built, or one of them fails.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let shipped = arguments.iter().any(|argument| argument == SHIPPED);
    let profile = if shipped { "dist" } else { "release" };
    // The program that is measured, and the one that measures, in one build.
    command::run(&mut command::cargo(["build", "--workspace", "--bins", "--profile", profile]))?;
    let built = command::root().join("target").join(profile).join("strongroom-benches");
    let mut benches = Command::new(built);
    benches.arg("run").args(arguments.iter().filter(|argument| *argument != SHIPPED));
    command::run(&mut benches)
}
