//! `cargo xtask test`: prepares what the tests need and runs them all.

use std::ffi::OsString;

use crate::command::{self, Failure};
use crate::python;

/// Runs the tests of the whole workspace, or of the packages that the arguments name.
///
/// # Errors
/// If something that the tests need is missing, or a test fails.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let python = python::prepared()?;
    let mut cargo = command::cargo(["test", "--release"]);
    if !names_packages(arguments) {
        cargo.arg("--workspace");
    }
    command::run(cargo.args(arguments).env("STRONGROOM_TEST_PYTHON", python))
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
