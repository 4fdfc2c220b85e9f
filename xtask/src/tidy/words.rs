//! Words that must not stay: marks of unfinished work, stray output, skipped tests, machine paths.

use super::Finding;
use super::repository::{File, Repository};

/// A word that must not stay.
struct Word {
    /// The word. Written in two halves, so that this page does not break its own rule.
    text: &'static str,
    /// Whether it counts in Rust only; documents may speak of it.
    rust_only: bool,
    /// What to do instead.
    instead: &'static str,
}

const WORDS: &[Word] = &[
    Word {
        text: concat!("TO", "DO"),
        rust_only: false,
        instead: "finish it, or say in the documents that it is not there",
    },
    Word {
        text: concat!("FIX", "ME"),
        rust_only: false,
        instead: "fix it, or say in the documents what is wrong",
    },
    Word { text: concat!("dbg", "!"), rust_only: true, instead: "it may print a secret" },
    Word {
        text: concat!("#[", "ignore"),
        rust_only: true,
        instead: "a test that does not run keeps no promise",
    },
    Word { text: concat!("/wo", "rk/"), rust_only: false, instead: MACHINE },
    Word { text: concat!("/ro", "ot/"), rust_only: false, instead: MACHINE },
    Word { text: concat!("/tmp/br", "ief"), rust_only: false, instead: MACHINE },
    Word { text: concat!("../sha", "red"), rust_only: false, instead: MACHINE },
];

/// Said of every path that only one machine has.
const MACHINE: &str = "a path of one machine means nothing on another";

/// Kinds of file that people write; data and lock files may hold any word.
const WRITTEN_BY_PEOPLE: &[&str] = &["rs", "md", "toml", "sh", "txt", "html", "css", "yml", "yaml"];

/// No file that people write holds one of the words.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    repository.files().filter(|file| is_written_by_people(file)).flat_map(check_file).collect()
}

fn is_written_by_people(file: &File) -> bool {
    !file.name().contains('.') || WRITTEN_BY_PEOPLE.iter().any(|kind| file.has_extension(kind))
}

fn check_file(file: &File) -> Vec<Finding> {
    let is_rust = file.has_extension("rs");
    let words = || WORDS.iter().filter(|word| is_rust || !word.rust_only);
    file.lines()
        .flat_map(|(number, line)| {
            words().filter(|word| stands_alone(line, word.text)).map(move |word| {
                Finding::at(&file.path, number, format!("`{}`: {}", word.text, word.instead))
            })
        })
        .collect()
}

/// Whether the word is in the line and not the tail or beginning of a longer one.
fn stands_alone(line: &str, word: &str) -> bool {
    let is_part = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    line.match_indices(word).any(|(start, found)| {
        let (before, rest) = line.split_at(start);
        let after = rest.strip_prefix(found).and_then(|rest| rest.chars().next());
        let ends_in_letter = found.ends_with(|it: char| it.is_alphanumeric());
        let is_longer = is_part(before.chars().next_back()) || (ends_in_letter && is_part(after));
        !is_longer
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Repository::of(&[(path, text)])).len()
    }

    #[test]
    fn every_word_of_the_list_is_found_in_rust() {
        for word in WORDS {
            let line = format!("// see {} here", word.text);
            assert_eq!(count("crates/a/src/lib.rs", &line), 1, "{line}");
        }
    }

    #[test]
    fn a_document_may_speak_of_what_only_code_must_not_do() {
        for word in WORDS {
            let line = format!("see {} here", word.text);
            assert_eq!(count("docs/a.md", &line), usize::from(!word.rust_only), "{line}");
        }
    }

    #[test]
    fn a_longer_word_is_another_word() {
        assert_eq!(count("docs/a.md", concat!("MASTO", "DONS are extinct")), 0);
        assert_eq!(count("docs/a.md", concat!("example.org/frame", "work/", "page")), 0);
        assert_eq!(count("docs/a.md", concat!("example.org/wo", "rk/page")), 0);
    }

    #[test]
    fn data_may_hold_any_word() {
        assert_eq!(count("crates/a/vectors/a.json", concat!("TO", "DO")), 0);
    }

    #[test]
    fn a_script_without_an_ending_is_written_by_people() {
        assert_eq!(count(".ci/run", concat!("# TO", "DO")), 1);
    }
}
