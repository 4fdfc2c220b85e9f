//! Starting other programs and saying clearly how they ended.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Why a command of the workshop did not do what it should; the text is for the terminal.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure with this explanation.
    pub(crate) fn new(explanation: impl Into<String>) -> Self {
        Self(explanation.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder that holds the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Cargo, run in the workspace with the environment that its user gave it.
///
/// `cargo run` tells its child about the package it runs; build scripts watch those variables
/// (`ring`'s does), so a nested cargo that inherited them would build such crates a second time.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    forget_package(&mut command);
    command
}

/// A build of the program `strongroom` as the tests use it: cargo builds it for the integration tests of its
/// package. Built alone it would have other features, and half of the dependencies a second time.
pub(crate) fn program() -> Command {
    cargo(["test", "--release", "--workspace", "--no-run", "--test", "whole"])
}

/// Takes away what `cargo run` has said about the package it runs.
pub(crate) fn forget_package(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if is_of_the_package_being_run(&name) {
            command.env_remove(name);
        }
    }
}

fn is_of_the_package_being_run(name: &OsStr) -> bool {
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    let names = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    name.to_str().is_some_and(|name| {
        names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Runs to the end, with the terminal as output.
///
/// # Errors
/// If the program cannot be started or ends with anything but success.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let line = shown(command);
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("`{line}` could not be started: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("`{line}` ended with {status}")))
    }
}

/// Runs to the end, with everything that it says in a file.
///
/// # Errors
/// If the file cannot be written, the program cannot be started, or it does not end with success.
pub(crate) fn run_into(command: &mut Command, file: &Path) -> Result<(), Failure> {
    let wrong = |error| Failure::new(format!("`{}` cannot be written: {error}", file.display()));
    let out = std::fs::File::create(file).map_err(wrong)?;
    let err = out.try_clone().map_err(wrong)?;
    run(command.stdin(Stdio::null()).stdout(out).stderr(err))
}

/// Whether the program could be started and ended with success; its output is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What the program wrote to its standard output, if it ended with success.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
}

/// Runs quietly, but not for longer than `limit`.
///
/// # Errors
/// If the program cannot be started, fails, or had to be stopped; the text is the last line that
/// it wrote to its standard error, where there is one.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<(), Failure> {
    /// How often the program is asked whether it has ended.
    const PAUSE: Duration = Duration::from_millis(100);
    let line = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new(format!("`{line}` could not be started: {error}")))?;
    let mut waited = Duration::ZERO;
    while waited < limit {
        let ended = child
            .try_wait()
            .map_err(|error| Failure::new(format!("`{line}` could not be waited for: {error}")))?;
        if ended.is_some() {
            let output = child
                .wait_with_output()
                .map_err(|error| Failure::new(format!("`{line}` could not be read: {error}")))?;
            return if output.status.success() {
                Ok(())
            } else {
                Err(Failure::new(last_line(&String::from_utf8_lossy(&output.stderr), &line)))
            };
        }
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
    // Both may fail only because the program has just ended by itself.
    drop(child.kill());
    drop(child.wait());
    Err(Failure::new(format!("`{line}` did not end within {} seconds", limit.as_secs())))
}

fn last_line(text: &str, otherwise: &str) -> String {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .map_or_else(|| format!("`{otherwise}` failed without a word"), str::to_owned)
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words: Vec<OsString> = vec![program.file_name().unwrap_or_default().to_owned()];
    words.extend(command.get_args().map(OsStr::to_owned));
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_a_failure_that_names_it() {
        let failure = run(&mut Command::new("false")).unwrap_err();
        assert!(failure.to_string().starts_with("`false` ended with"), "{failure}");
    }

    #[test]
    fn a_missing_program_is_a_failure_that_names_it() {
        let failure = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert!(failure.to_string().contains("`no-such-program-anywhere`"), "{failure}");
    }

    #[test]
    fn what_a_program_says_is_in_its_file_also_if_it_fails() {
        let file = std::env::temp_dir().join(format!("xtask-{}.log", std::process::id()));
        let mut shell = Command::new("sh");
        let failure = run_into(shell.args(["-c", "echo one; echo two >&2; exit 3"]), &file);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(failure.is_err() && text == "one\ntwo\n", "{text}");
    }

    #[test]
    fn a_program_that_hangs_is_stopped() {
        let failure =
            run_within(Command::new("sleep").arg("600"), Duration::from_millis(200)).unwrap_err();
        assert!(failure.to_string().contains("did not end"), "{failure}");
    }

    #[test]
    fn a_nested_cargo_is_not_told_which_package_runs_it() {
        assert!(is_of_the_package_being_run(OsStr::new("CARGO_PKG_VERSION_PRE")));
        assert!(is_of_the_package_being_run(OsStr::new("CARGO_MANIFEST_DIR")));
        assert!(!is_of_the_package_being_run(OsStr::new("CARGO_HOME")));
        assert!(!is_of_the_package_being_run(OsStr::new("CARGO_TARGET_DIR")));
    }
}
