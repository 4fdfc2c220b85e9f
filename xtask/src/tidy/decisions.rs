//! Every page of `docs/decisions` is listed in its README.

use super::Finding;
use super::repository::Repository;

const FOLDER: &str = "docs/decisions/";
const LIST: &str = "docs/decisions/README.md";

/// Pages are numbered and listed, and no number is given twice.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let list = repository.text(LIST).unwrap_or_default();
    let mut findings = Vec::new();
    let mut previous = "";
    for file in repository.with_extension("md") {
        let Some(name) = file.path.strip_prefix(FOLDER) else { continue };
        if name == "README.md" || name == "template.md" {
            continue;
        }
        let (number, _) = name.split_once('-').unwrap_or((name, ""));
        if number.len() != 4 || !number.bytes().all(|it| it.is_ascii_digit()) {
            let what = "a decision is called by four digits and its words: `0001-one-store.md`";
            findings.push(Finding::in_file(&file.path, what));
        } else if number == previous {
            findings.push(Finding::in_file(&file.path, "this number is taken by another page"));
        }
        if !list.contains(&format!("({name})")) {
            findings.push(Finding::in_file(&file.path, format!("is not listed in {LIST}")));
        }
        previous = number;
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(pages: &[&str], list: &str) -> usize {
        let mut files: Vec<(&str, &str)> = pages.iter().map(|page| (*page, "# Title")).collect();
        files.push((LIST, list));
        check(&Repository::of(&files)).len()
    }

    #[test]
    fn a_page_that_is_not_listed_is_named() {
        let page = "docs/decisions/0001-one-store.md";
        assert_eq!(findings(&[page], "- [One store](0001-one-store.md)"), 0);
        assert_eq!(findings(&[page], "nothing"), 1);
        assert_eq!(findings(&["docs/decisions/template.md"], ""), 0);
    }

    #[test]
    fn a_number_is_given_once() {
        let pages = ["docs/decisions/0001-a.md", "docs/decisions/0001-b.md"];
        assert_eq!(findings(&pages, "(0001-a.md) (0001-b.md)"), 1);
        assert_eq!(findings(&["docs/decisions/store.md"], "(store.md)"), 1);
    }
}
