//! Programs that the workshop calls: the machine's own, or one that is built once under `target/`.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, Failure};

/// Where a program is installed when the machine has none of the right version, seen from the
/// workspace.
const TOOLS: &str = "target/tools";

/// A program that cargo can install.
pub(crate) struct Tool {
    /// Its name, and that of its package.
    pub(crate) name: &'static str,
    /// The version that this repository relies on.
    pub(crate) version: &'static str,
    /// What it writes before its version when it is asked for it.
    pub(crate) says: &'static str,
    /// Further arguments of its installation, such as features.
    pub(crate) arguments: &'static [&'static str],
}

impl Tool {
    /// The program: the machine's own if its version is right, else one under [`TOOLS`], built once.
    ///
    /// # Errors
    /// If it is missing and cannot be installed.
    pub(crate) fn program(&self) -> Result<PathBuf, Failure> {
        let Self { name, version, .. } = self;
        let tools = command::root().join(TOOLS);
        let candidates = [PathBuf::from(name), tools.join("bin").join(name)];
        if let Some(found) = candidates.iter().find(|candidate| self.is_right(candidate)) {
            return Ok(found.clone());
        }
        println!("installing {name} {version} into {TOOLS}, once; this takes some minutes");
        // Unoptimised and without debugging symbols: the build costs minutes, a run costs seconds.
        let mut install = command::cargo(["install", name, "--locked", "--debug", "--version"]);
        install.arg(version).args(self.arguments).arg("--root").arg(&tools);
        command::run(install.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
        let [_, installed] = candidates;
        if self.is_right(&installed) {
            Ok(installed)
        } else {
            Err(Failure::new(format!("{name} was installed, but is not version {version}")))
        }
    }

    fn is_right(&self, program: &PathBuf) -> bool {
        let expected = format!("{}{}", self.says, self.version);
        command::output(Command::new(program).arg("--version"))
            .is_some_and(|version| version.trim() == expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_another_version_is_not_the_right_one() {
        let cargo = Tool { name: "cargo", version: "0.0.1", says: "cargo ", arguments: &[] };
        assert!(!cargo.is_right(&PathBuf::from("cargo")));
        assert!(!cargo.is_right(&PathBuf::from("no-such-program-anywhere")));
    }
}
