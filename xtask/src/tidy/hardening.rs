//! The tests that the page on hardening names are in the files that it names.

use super::Finding;
use super::repository::Repository;

const PAGE: &str = "docs/hardening.md";

/// What ends the name of a file of tests, and what begins one.
const FILE_END: &str = ".rs";

/// Every name of a test that stands behind a file's is a function of that file.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(page) = repository.text(PAGE) else {
        return vec![Finding::in_file(PAGE, "is missing")];
    };
    let mut findings = Vec::new();
    for (index, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let Some(shown) = line.trim_end_matches('|').rsplit('|').next() else { continue };
        let mut file = None;
        // Every second part stands between backticks.
        for name in shown.split('`').skip(1).step_by(2) {
            let mut wrong = |what: String| findings.push(Finding::at(PAGE, index + 1, what));
            if name.ends_with(FILE_END) {
                file = repository.text(name);
                if file.is_none() {
                    wrong(format!("`{name}` is not there"));
                }
            } else if is_name_of_test(name)
                && !file.is_some_and(|text| text.contains(&format!("fn {name}(")))
            {
                wrong(format!("the file before it has no test `{name}`"));
            }
        }
    }
    findings
}

/// Names of tests are sentences: other words between backticks have fewer parts.
fn is_name_of_test(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.bytes().all(letters) && name.matches('_').count() >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(row: &str) -> usize {
        let test = "#[test]\nfn a_slow_client_is_cut() {}\n";
        check(&Repository::of(&[(PAGE, row), ("tests/hostile/crowds.rs", test)])).len()
    }

    #[test]
    fn a_test_that_is_named_is_there() {
        let file = "`tests/hostile/crowds.rs`";
        assert_eq!(findings(&format!("| a | b | {file}: `a_slow_client_is_cut` |")), 0);
        assert_eq!(findings(&format!("| a | `other_words_than_tests` | {file} |")), 0);
        assert_eq!(findings(&format!("| a | b | {file}: `a_slow_client_is_not_cut` |")), 1);
        assert_eq!(findings("| a | b | `tests/hostile/nowhere.rs` |"), 1);
        assert_eq!(findings("| a | b | `a_slow_client_is_cut` |"), 1);
    }
}
