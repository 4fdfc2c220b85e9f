//! Debian packages that the tests need, installed where that is allowed and named where it is not.

use std::process::Command;

use crate::command::{self, Failure};

/// Makes sure that these Debian packages are installed.
///
/// # Errors
/// If one is missing and cannot be installed from here; the text says what to type.
pub(crate) fn ensure_packages(names: &[&str]) -> Result<(), Failure> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !command::succeeds(Command::new("apt-get").arg("--version")) {
        return Err(Failure::new(format!(
            "the tests need what Debian calls `{list}`; install it with this system's package manager"
        )));
    }
    if !is_root() {
        return Err(Failure::new(format!(
            "packages are missing; install them with: sudo apt-get install --yes {list}"
        )));
    }
    install(&missing)
}

fn install(names: &[&str]) -> Result<(), Failure> {
    println!("installing the Debian packages {}", names.join(" "));
    command::run(apt_get().args(["update", "--quiet"]))?;
    command::run(
        apt_get().args(["install", "--quiet", "--yes", "--no-install-recommends"]).args(names),
    )
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_installed(name: &str) -> bool {
    command::output(Command::new("dpkg-query").args(["--show", "--showformat=${Status}", name]))
        .is_some_and(|status| status.trim() == "install ok installed")
}

fn is_root() -> bool {
    command::output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_does_not_exist_is_not_installed() {
        assert!(!is_installed("strongroom-no-such-package"));
    }

    #[test]
    fn nothing_is_asked_for_where_nothing_is_needed() {
        ensure_packages(&[]).unwrap();
    }
}
