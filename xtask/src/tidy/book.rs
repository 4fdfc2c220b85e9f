//! Every page of `docs/` stands in the book's table of contents, and each once.

use super::Finding;
use super::links::resolve;
use super::repository::Repository;

/// The table of contents.
pub(crate) const CONTENTS: &str = "docs/SUMMARY.md";

/// Documents that are no pages: they are copied, not read.
const NO_PAGES: &[&str] = &[CONTENTS, "docs/decisions/template.md"];

/// No page is missing, and none stands there twice.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(contents) = repository.text(CONTENTS) else {
        return vec![Finding::in_file(CONTENTS, "is missing: it lists the pages of the book")];
    };
    let listed = listed(contents);
    let times = |path: &str| listed.iter().filter(|listed| *listed == path).count();
    repository
        .with_extension("md")
        .filter(|file| file.path.starts_with("docs/") && !NO_PAGES.contains(&file.path.as_str()))
        .filter_map(|file| match times(&file.path) {
            1 => None,
            0 => Some(Finding::in_file(&file.path, format!("is not in {CONTENTS}"))),
            _ => Some(Finding::in_file(&file.path, format!("stands in {CONTENTS} more than once"))),
        })
        .collect()
}

/// The pages of the table of contents, seen from the workspace, in their order.
pub(crate) fn listed(contents: &str) -> Vec<String> {
    let targets = contents.lines().filter_map(|line| {
        let (_, rest) = line.split_once("](")?;
        rest.split_once(')').map(|(target, _)| target)
    });
    targets.filter_map(|target| resolve(CONTENTS, target)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(contents: &str) -> usize {
        let files = [(CONTENTS, contents), ("docs/a.md", ""), ("docs/b/c.md", "")];
        check(&Repository::of(&files)).len()
    }

    #[test]
    fn a_page_that_is_missing_or_stands_twice_is_named() {
        assert_eq!(count("- [A](a.md)\n- [C](b/c.md)"), 0);
        assert_eq!(count("- [A](a.md)"), 1);
        assert_eq!(count("- [A](a.md)\n- [C](b/c.md)\n- [A](a.md)"), 1);
    }

    #[test]
    fn a_book_without_contents_is_named() {
        assert_eq!(check(&Repository::of(&[("docs/a.md", "")])).len(), 1);
    }
}
