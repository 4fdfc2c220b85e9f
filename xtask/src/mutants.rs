//! The wrong builds: a copy of the sources in which one thing is wrong about erasing, and the tests that have
//! to notice it.
//!
//! A wrong build exists in `target/` alone and only as a test program; nothing in the product's sources can
//! be switched to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};

/// Longest time that the tests of one wrong build may take, in seconds: one that hangs is not caught.
const SECONDS_MAX: &str = "1200";

/// One thing that is wrong.
struct Mutant {
    /// What it does.
    name: &'static str,
    edits: &'static [Edit],
    tests: &'static Tests,
}

/// A piece of a source, and what stands there instead.
struct Edit {
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

/// A test program, and which of its tests have to notice.
struct Tests {
    program: &'static str,
    filters: &'static [&'static str],
}

/// The adversary and the crash walk against the keyring.
const KEYRING: Tests = Tests { program: "keyring", filters: &["closure", "crash"] };
/// The adversary against a whole server.
const SERVER: Tests = Tests { program: "erasure", filters: &["from_redb", "--skip", "journal"] };

const MUTANTS: [Mutant; 8] = [
    Mutant {
        name: "re-keys only the root",
        edits: &[
            Edit {
                file: "crates/keyring/src/edit.rs",
                from: "\n    top_key: Key,",
                to: "\n    pub(crate) top_key: Key,",
            },
            Edit {
                file: "crates/keyring/src/rekey.rs",
                from: "        let top = Key::generate(self.core.rng.as_ref())?;
        edit.rekey(self, top.duplicate())?;",
                to: "        let top = edit.top_key.duplicate();",
            },
        ],
        tests: &KEYRING,
    },
    Mutant {
        name: "puts the old root under the new one",
        edits: &[Edit {
            file: "crates/keyring/src/rekey.rs",
            from: "        upper.rekey(self, new_root.duplicate())?;",
            to: "        upper.set_slot(63, Some(root))?;
        upper.rekey(self, new_root.duplicate())?;",
        }],
        tests: &KEYRING,
    },
    Mutant {
        name: "forgets before the commit",
        edits: &[Edit {
            file: "crates/keyring/src/batch.rs",
            from: "        let root = self.root_of(after, &shares)?;
        Ok(InstalledBatch",
            to: "        let root = self.root_of(after, &shares)?;
        self.settle(seal, &shares, after, after).await;
        Ok(InstalledBatch",
        }],
        tests: &KEYRING,
    },
    Mutant {
        name: "uses an aborted number and its share again",
        edits: &[
            Edit {
                file: "crates/keyring/src/batch.rs",
                from: "            number: last.value.number.saturating_add(1),",
                to: "            number: last.value.number + u64::from(last.value.state != BatchState::Aborted),",
            },
            Edit {
                file: "crates/keyring/src/batch.rs",
                from: "        self.settle(seal, &present, before, after).await;
        let shares = self.new_shares()?;
        if !self.install_everywhere(seal, &shares, after).await {",
                to: "        let kept = self.load_shares(seal, after).await.ok();
        if kept.is_none() {
            self.settle(seal, &present, before, after).await;
        }
        let is_kept = kept.is_some();
        let shares = kept.map_or_else(|| self.new_shares(), Ok)?;
        if !is_kept && !self.install_everywhere(seal, &shares, after).await {",
            },
            Edit {
                file: "crates/keyring/src/recovery.rs",
                from: "        let holders = self.settle(&secrets.seal, &shares, number, record.value.number).await;",
                to: "        let holders = match record.value.state {
            BatchState::Open => Vec::new(),
            _ => self.settle(&secrets.seal, &shares, number, record.value.number).await,
        };",
            },
        ],
        tests: &KEYRING,
    },
    Mutant {
        name: "gives the receipt whether or not anything was forgotten",
        edits: &[Edit {
            file: "crates/keyring/src/shred.rs",
            from: "        self.close_batch(committed).await?;
        let complete = is_complete(&holders);",
            to: "        self.close_batch(committed).await?;
        let complete = true;",
        }],
        tests: &KEYRING,
    },
    Mutant {
        name: "recovers without taking the batch over, and forgets another coordinator's share",
        edits: &[Edit {
            file: "crates/keyring/src/recovery.rs",
            from: "        let taken = self.take_over(&record).await?;",
            to: "        let taken = Versioned { value: record.value, version: record.version };",
        }],
        tests: &KEYRING,
    },
    Mutant {
        name: "recovers a committed batch without the step that was left",
        edits: &[Edit {
            file: "crates/keyring/src/recovery.rs",
            from: "        let holders = self.settle(&secrets.seal, &shares, number, record.value.number).await;",
            to: "        let holders = match record.value.state {
            BatchState::Forgetting => Vec::new(),
            _ => self.settle(&secrets.seal, &shares, number, record.value.number).await,
        };",
        }],
        tests: &KEYRING,
    },
    Mutant {
        name: "splits an index page without retiring the old one",
        edits: &[Edit {
            file: "crates/vault/src/index/mod.rs",
            from: "        self.keyring
            .retire(&mut batch, Leaf { tenant: index.tenant, half: Half::Data, slot: row.slot });
        batch.put(page.key, page.version + 1, value);",
            to: "        batch.put(page.key, page.version + 1, value);",
        }],
        tests: &SERVER,
    },
];

/// Builds every wrong build and has its tests run; they must pass where nothing is wrong and fail where
/// something is. Gives how many were caught.
///
/// # Errors
/// If one cannot be made, or was not caught.
pub(crate) fn run() -> Result<usize, Failure> {
    let copy = command::root().join("target/mutants/tree");
    copy_sources(&copy)?;
    for tests in [&KEYRING, &SERVER] {
        let failed = failing(&copy, tests)?;
        if !failed.is_empty() {
            return Err(Failure::new(format!(
                "fails where nothing is wrong: {}",
                failed.join(", ")
            )));
        }
    }
    let mut missed = Vec::new();
    for mutant in &MUTANTS {
        edit_all(&copy, mutant)?;
        let failed = failing(&copy, mutant.tests);
        for edit in mutant.edits {
            restore(&copy, edit.file)?;
        }
        let failed = failed?;
        println!("{}: {}", mutant.name, if failed.is_empty() { "MISSED" } else { "caught" });
        for test in &failed {
            println!("    by {test}");
        }
        if failed.is_empty() {
            missed.push(mutant.name);
        }
    }
    if missed.is_empty() {
        println!("{0} of {0} wrong builds caught", MUTANTS.len());
        Ok(MUTANTS.len())
    } else {
        Err(Failure::new(format!("not caught: {}", missed.join(", "))))
    }
}

/// The tests that fail in the copy.
fn failing(copy: &Path, tests: &Tests) -> Result<Vec<String>, Failure> {
    let cargo = |arguments: &[&str]| {
        let mut command =
            command::cargo(["test", "--release", "--workspace", "--test", tests.program]);
        command.args(arguments).current_dir(copy);
        // In a folder of its own: cargo takes a package of the copy for ours, and would put the wrong one in.
        command.env("CARGO_TARGET_DIR", command::root().join("target/mutants/build"));
        command
    };
    command::run(&mut cargo(&["--no-run", "--quiet"]))?;
    let filters = [&["--"], tests.filters].concat();
    let tested = cargo(&filters);
    let mut limited = Command::new("timeout");
    limited.arg(SECONDS_MAX).arg(tested.get_program()).args(tested.get_args()).current_dir(copy);
    limited.envs(tested.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command::forget_package(&mut limited);
    let log = copy.join("tests.log");
    let passed = command::run_into(&mut limited, &log).is_ok();
    let said = fs::read(&log).map_err(|error| wrong(&log, &error))?;
    let said = String::from_utf8_lossy(&said);
    let failed = failed_tests(&said);
    if passed || !failed.is_empty() {
        Ok(failed)
    } else {
        Err(Failure::new(format!("no test failed, but they did not pass: see `{}`", log.display())))
    }
}

/// The names of tests that failed, from what their program said.
fn failed_tests(said: &str) -> Vec<String> {
    let failed = said
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| said.contains(&format!("---- {line} stdout ----")));
    let mut failed: Vec<String> = failed.map(str::to_owned).collect();
    failed.dedup();
    failed
}

/// Every file of the repository, in another folder.
fn copy_sources(copy: &Path) -> Result<(), Failure> {
    for file in files()? {
        restore(copy, &file)?;
    }
    Ok(())
}

fn files() -> Result<Vec<String>, Failure> {
    let mut git = Command::new("git");
    let listed = command::output(git.args(["ls-files"]).current_dir(command::root()));
    let listed = listed.ok_or_else(|| Failure::new("`git ls-files` does not say what to copy"))?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Puts a file into the copy as it is, unless it is there so.
fn restore(copy: &Path, file: &str) -> Result<(), Failure> {
    let (from, to) = (command::root().join(file), copy.join(file));
    // What is listed and was removed is not built either.
    let Ok(text) = fs::read(&from) else { return Ok(()) };
    write(&to, &text)
}

fn edit_all(copy: &Path, mutant: &Mutant) -> Result<(), Failure> {
    for edit in mutant.edits {
        let path = copy.join(edit.file);
        let text = fs::read_to_string(&path).map_err(|error| wrong(&path, &error))?;
        if text.matches(edit.from).count() != 1 {
            let explanation =
                format!("`{}` has no such piece, or several: {}", edit.file, edit.from);
            return Err(Failure::new(explanation));
        }
        write(&path, text.replacen(edit.from, edit.to, 1).as_bytes())?;
    }
    Ok(())
}

/// Writes a file if it is another: what is written is built again.
fn write(path: &PathBuf, text: &[u8]) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| wrong(path, &error))?;
    }
    fs::write(path, text).map_err(|error| wrong(path, &error))
}

fn wrong(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_wrong_build_changes_stands_in_the_sources_once() {
        for edit in MUTANTS.iter().flat_map(|mutant| mutant.edits) {
            let text = fs::read_to_string(command::root().join(edit.file)).unwrap();
            assert_eq!(text.matches(edit.from).count(), 1, "{}: {}", edit.file, edit.from);
            assert_ne!(edit.from, edit.to);
        }
    }

    #[test]
    fn failed_tests_are_read_from_what_the_program_says() {
        let said =
            "failures:\n\n---- a::b stdout ----\nwrong\n\nfailures:\n    a::b\n\ntest result";
        assert_eq!(failed_tests(said), ["a::b"]);
        assert!(failed_tests("test result: ok. 3 passed").is_empty());
    }
}
