//! `cargo xtask crash`: kills, power cuts, calls that fail and damaged files, for one engine or all of them.

use std::ffi::OsString;
use std::process::Command;

use crate::command::{self, Failure};
use crate::nightly::Effort;
use crate::packages::ensure_packages;

/// Every engine that keeps its store in a folder.
const ENGINES: [&str; 3] = ["redb", "fjall", "sled"];
/// How often the power is cut for each engine, and how often its files are damaged, unless `--cuts` says
/// otherwise.
const CUTS: u32 = 3_000;
/// The tests of the storage room that this is about.
const TESTS: [&str; 4] = ["powercut", "crash", "faults", "flips"];
/// In the names of the controls that have to fail, and of the test of all engines on a disk that is full.
const ALWAYS: [&str; 2] = ["plain", "disk_that_is_full"];
/// What records the calls of the program whose power is cut, and what Debian calls it.
pub(crate) const STRACE: &str = "strace";

/// Runs the crash tests of the storage room with `--engine ENGINE` and `--cuts N`.
///
/// # Errors
/// If the arguments cannot be read, or something that was acknowledged was lost.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let (engines, cuts) = parse(arguments)?;
    ensure_packages(&[STRACE])?;
    let mut tests = command::cargo(["test", "--release", "-p", "strongroom-storage"]);
    tests.args(TESTS.iter().flat_map(|test| ["--test", test]));
    tests.args(["--", "--nocapture"]).args(ALWAYS).args(&engines);
    ask_for_small_disks(&mut tests);
    tests.env("STRONGROOM_CUTS", cuts.to_string()).env("STRONGROOM_FLIPS", cuts.to_string());
    command::run(tests.env("STRONGROOM_EVERY_CALL", "1"))
}

/// Has tests fill file systems of their own, where the machine allows that; says so where it does not.
pub(crate) fn ask_for_small_disks(tests: &mut Command) {
    let mount = "mount -t tmpfs -o size=1m none /mnt";
    if command::succeeds(Command::new("unshare").args(["-rm", "sh", "-c", mount])) {
        tests.env("STRONGROOM_SMALL_DISK", "1");
    } else {
        println!("no disk is really filled: this machine allows no namespaces (`unshare -rm`)");
    }
}

/// The campaign `crash`: every engine, at its own length.
///
/// # Errors
/// As [`run`].
pub(crate) fn campaign(_: Effort) -> Result<Vec<String>, Failure> {
    run(&[])?;
    Ok(vec![format!(
        "{CUTS} power cuts, a kill and a fault at every call, and {CUTS} times damage for each \
         engine: nothing acknowledged was lost without a word"
    )])
}

fn parse(arguments: &[OsString]) -> Result<(Vec<&'static str>, u32), Failure> {
    let mut engines = Vec::new();
    let mut cuts = CUTS;
    let mut rest = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(option) = rest.next() {
        let value = rest.next().unwrap_or_default();
        match &*option {
            "--engine" => {
                let engine = ENGINES.iter().find(|engine| **engine == value);
                let wrong =
                    || Failure::new(format!("`--engine` takes one of: {}", ENGINES.join(", ")));
                engines.push(*engine.ok_or_else(wrong)?);
            }
            "--cuts" => {
                let number = value.parse().ok().filter(|cuts| *cuts > 0);
                let wrong = || Failure::new("`--cuts` takes a whole number from 1");
                cuts = number.ok_or_else(wrong)?;
            }
            _ => {
                return Err(Failure::new(
                    "`cargo xtask crash` takes `--engine ENGINE` and `--cuts N`",
                ));
            }
        }
    }
    if engines.is_empty() {
        engines = ENGINES.to_vec();
    }
    Ok((engines, cuts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Option<(Vec<&'static str>, u32)> {
        let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&arguments).ok()
    }

    #[test]
    fn every_engine_is_cut_unless_one_is_named() {
        assert_eq!(parsed(&[]), Some((ENGINES.to_vec(), CUTS)));
        let one = parsed(&["--engine", "sled", "--cuts", "7"]);
        assert_eq!(one, Some((vec!["sled"], 7)));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for wrong in [&["--engine"][..], &["--engine", "rocks"], &["--cuts", "0"], &["--cut", "1"]]
        {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }
}
