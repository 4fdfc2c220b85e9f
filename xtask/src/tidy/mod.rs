//! `cargo xtask tidy`: the repository's own rules, those that no compiler and no linter checks.
//!
//! Each rule is a pure function from the repository's texts to what it found, in a file of its
//! own; the same rules run as a test.

pub(crate) mod book;
mod decisions;
mod dependencies;
mod hardening;
pub(crate) mod links;
mod manifest;
mod openings;
mod promises;
pub(crate) mod repository;
mod rooms;
mod words;

use std::fmt;

use crate::command::{self, Failure};
use repository::Repository;

/// A place that breaks a rule, and which.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// The file, seen from the workspace.
    path: String,
    /// The line, from 1, where there is one.
    line: Option<usize>,
    /// What is wrong and what would be right.
    what: String,
}

impl Finding {
    fn in_file(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into() }
    }

    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.what),
            None => write!(f, "{}: {}", self.path, self.what),
        }
    }
}

/// Files that are longer than this are named, because they may hold a layer without a room.
const LONG_FILE_LINES: usize = 600;

/// Checks every rule and prints what it found.
///
/// # Errors
/// If any rule is broken, or the repository cannot be read.
pub(crate) fn run() -> Result<(), Failure> {
    let repository = Repository::read(&command::root())?;
    for note in long_files(&repository) {
        println!("note: {note}");
    }
    let findings = findings(&repository);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files keep the rules", repository.len());
            Ok(())
        }
        1 => Err(Failure::new("tidy: a rule is broken in one place")),
        count => Err(Failure::new(format!("tidy: rules are broken in {count} places"))),
    }
}

fn findings(repository: &Repository) -> Vec<Finding> {
    let rules = [
        rooms::check,
        openings::check,
        words::check,
        decisions::check,
        dependencies::check,
        hardening::check,
        links::check,
        book::check,
        promises::check,
    ];
    rules.iter().flat_map(|rule| rule(repository)).collect()
}

/// Named, not refused: a long file may be one thought.
fn long_files(repository: &Repository) -> Vec<Finding> {
    repository
        .with_extension("rs")
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > LONG_FILE_LINES).then(|| {
                Finding::in_file(&file.path, format!("{lines} lines; is it still one thought?"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_keeps_its_own_rules() {
        let repository = Repository::read(&command::root()).unwrap();
        let found: Vec<String> = findings(&repository).iter().map(Finding::to_string).collect();
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }

    #[test]
    fn a_long_file_is_named_and_a_short_one_is_not() {
        let long = "//! Long.\n".repeat(LONG_FILE_LINES + 1);
        let repository =
            Repository::of(&[("crates/a/src/long.rs", &long), ("crates/a/src/b.rs", "//! Short.")]);
        let notes = long_files(&repository);
        assert_eq!(notes.len(), 1);
        assert!(notes[0].to_string().starts_with("crates/a/src/long.rs: 601 lines"));
    }
}
