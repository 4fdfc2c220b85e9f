//! Programs of others that the workshop uses, installed once where the machine has none of the
//! version that this repository relies on.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};

/// Where they are installed, seen from the workspace.
const TOOLS: &str = "target/tools";

/// A program that comes as a crate.
pub(crate) struct Tool {
    /// The crate and its program.
    pub(crate) name: &'static str,
    /// Its exact version.
    pub(crate) version: &'static str,
}

impl Tool {
    /// The program: the machine's own if its version is right, else one under [`TOOLS`], built once.
    ///
    /// # Errors
    /// If it cannot be installed.
    pub(crate) fn program(&self) -> Result<PathBuf, Failure> {
        let Self { name, version } = self;
        let tools = command::root().join(TOOLS);
        let candidates = [PathBuf::from(name), tools.join("bin").join(name)];
        if let Some(found) = candidates.iter().find(|candidate| self.is_right(candidate)) {
            return Ok(found.clone());
        }
        println!("installing {name} {version} into {TOOLS}, once; this takes some minutes");
        // Unoptimised and without debugging symbols: the build costs minutes, a run costs seconds.
        let mut install = command::cargo(["install", name, "--locked", "--debug", "--version"]);
        install.arg(version).arg("--root").arg(&tools).env("CARGO_PROFILE_DEV_DEBUG", "0");
        command::run(&mut install)?;
        let [_, installed] = candidates;
        if self.is_right(&installed) {
            Ok(installed)
        } else {
            Err(Failure::new(format!("{name} was installed, but is not version {version}")))
        }
    }

    fn is_right(&self, program: &Path) -> bool {
        command::output(Command::new(program).arg("--version"))
            .is_some_and(|found| found.trim() == format!("{} {}", self.name, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_another_version_is_not_the_right_one() {
        let cargo = Tool { name: "cargo", version: "0.0.1" };
        assert!(!cargo.is_right(Path::new("cargo")));
        assert!(!cargo.is_right(Path::new("no-such-program-anywhere")));
    }
}
