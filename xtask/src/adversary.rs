//! `cargo xtask adversary`: erases thousands of records on every engine, then reads whatever can be read with
//! everything that was ever written.

use std::ffi::OsString;

use crate::command::{self, Failure};
use crate::mutants;
use crate::nightly::Effort;
use crate::test::ensure_postgresql;

/// Every engine, and the test that attacks a server on it.
const ENGINES: [(&str, &str); 5] = [
    ("redb", "nothing_erased_is_read_from_redb"),
    ("redb+journal", "nothing_erased_is_read_from_redb_behind_a_journal"),
    ("fjall", "nothing_erased_is_read_from_fjall"),
    ("sled", "nothing_erased_is_read_from_sled"),
    ("postgresql", "nothing_erased_is_read_from_postgresql"),
];
/// How many records are erased on each engine, unless `--records` says otherwise.
const RECORDS: u32 = 10_000;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    engines: Vec<&'static str>,
    records: u32,
    mutants: bool,
}

/// Runs the campaigns, with `--mutants` the wrong builds instead.
///
/// # Errors
/// If the arguments cannot be read, something erased was read, something else was not, or a wrong build
/// was not caught.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let asked = parse(arguments)?;
    if asked.mutants {
        return mutants::run().map(drop);
    }
    attack(&asked)
}

/// The campaign `adversary`: every engine at its own length, a crash at every call, and the wrong builds.
///
/// # Errors
/// As [`run`].
pub(crate) fn campaign(_: Effort) -> Result<Vec<String>, Failure> {
    attack(&parse(&[])?)?;
    let caught = mutants::run()?;
    Ok(vec![
        format!("{RECORDS} erased records on each of {} engines, none read", ENGINES.len()),
        format!("{caught} wrong builds, each caught"),
    ])
}

fn attack(asked: &Asked) -> Result<(), Failure> {
    ensure_postgresql()?;
    let mut crashes = command::cargo(["test", "--release", "--workspace", "--test", "keyring"]);
    command::run(crashes.args(["--", "--nocapture", "closure", "crash"]))?;
    // One engine after the other: each keeps everything that it ever wrote in memory.
    let mut tests = command::cargo(["test", "--release", "--workspace", "--test", "erasure"]);
    tests.args(["--", "--nocapture", "--test-threads", "1", "--exact"]).args(&asked.engines);
    command::run(tests.env("STRONGROOM_ERASED", asked.records.to_string()))
}

fn parse(arguments: &[OsString]) -> Result<Asked, Failure> {
    let mut asked = Asked { engines: Vec::new(), records: RECORDS, mutants: false };
    let mut rest = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(option) = rest.next() {
        match &*option {
            "--mutants" if arguments.len() == 1 => asked.mutants = true,
            "--engine" => {
                let value = rest.next().unwrap_or_default();
                let engine = ENGINES.iter().find(|(engine, _)| *engine == value);
                let names = ENGINES.map(|(engine, _)| engine).join(", ");
                let wrong = || Failure::new(format!("`--engine` takes one of: {names}"));
                asked.engines.push(engine.ok_or_else(wrong)?.1);
            }
            "--records" => {
                let value = rest.next().unwrap_or_default();
                let number = value.parse().ok().filter(|records| *records > 0);
                let wrong = || Failure::new("`--records` takes a whole number from 1");
                asked.records = number.ok_or_else(wrong)?;
            }
            _ => {
                return Err(Failure::new(
                    "`cargo xtask adversary` takes `--engine ENGINE` and `--records N`, or \
                     `--mutants` alone",
                ));
            }
        }
    }
    if asked.engines.is_empty() {
        asked.engines = ENGINES.iter().map(|(_, test)| *test).collect();
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Option<Asked> {
        let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&arguments).ok()
    }

    #[test]
    fn every_engine_is_attacked_unless_one_is_named() {
        assert_eq!(parsed(&[]).unwrap().engines.len(), ENGINES.len());
        let one = parsed(&["--engine", "sled", "--records", "7"]).unwrap();
        let expected = vec!["nothing_erased_is_read_from_sled"];
        assert_eq!(one, Asked { engines: expected, records: 7, mutants: false });
        assert!(parsed(&["--mutants"]).unwrap().mutants);
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for wrong in [
            &["--engine"][..],
            &["--engine", "rocks"],
            &["--records", "0"],
            &["--record", "1"],
            &["--mutants", "--records", "1"],
        ] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }
}
