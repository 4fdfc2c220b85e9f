//! A promise is called kept only if a test that bears its name is linked beside it.

use super::Finding;
use super::repository::Repository;

const PAGE: &str = "docs/promises.md";
const SCENARIOS: &str = "tests/scenarios/";

/// A row's state that claims that the promise is kept.
const KEPT: &str = "kept";

/// Rows are complete, claims have their test, and a scenario's promise has its link.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(page) = repository.text(PAGE) else {
        return vec![Finding::in_file(PAGE, "is missing")];
    };
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (index, line) in page.lines().enumerate() {
        let Some(row) = Row::parse(line) else { continue };
        let mut wrong = |what: &str| {
            findings.push(Finding::at(PAGE, index + 1, format!("`{}`: {what}", row.id)));
        };
        if seen.contains(&row.id) {
            wrong("this row is there twice");
        }
        seen.push(row.id);
        if ![KEPT, "part: ", "not yet"].iter().any(|state| row.state.starts_with(state)) {
            wrong("the state is `kept`, `part: ` with what works, or `not yet`");
        }
        let linked = test_of(&row, repository);
        if row.state.starts_with(KEPT) && linked.is_none() {
            wrong("is called kept, but links to no file with a test of its name");
        }
        if linked.is_none() && scenario_of(row.id, repository).is_some() {
            wrong("there is a scenario of its name, but no link to it");
        }
    }
    findings
}

/// A row of the page: `| id | promise | state | test |`.
struct Row<'a> {
    id: &'a str,
    state: &'a str,
    test: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let cells = line.strip_prefix('|')?.strip_suffix('|')?;
        let mut cells = cells.split('|').map(str::trim);
        let (id, _, state, test) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        let (_, number) = id.rsplit_once('-')?;
        let is_number = number.len() == 2 && number.bytes().all(|it| it.is_ascii_digit());
        is_number.then_some(Self { id, state, test })
    }
}

/// The linked file, if it holds a test that is named after the row.
fn test_of<'a>(row: &Row<'a>, repository: &'a Repository) -> Option<&'a str> {
    let (_, rest) = row.test.split_once("](../")?;
    let path = rest.split([')', '#']).next()?;
    repository.text(path).filter(|text| has_test(text, row.id)).map(|_| path)
}

/// The scenario that holds a test named after the row.
fn scenario_of<'a>(id: &str, repository: &'a Repository) -> Option<&'a str> {
    repository
        .with_extension("rs")
        .find(|file| file.path.starts_with(SCENARIOS) && has_test(&file.text, id))
        .map(|file| file.path.as_str())
}

fn has_test(text: &str, id: &str) -> bool {
    text.contains(&format!("fn {}_", id.replace('-', "_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(row: &str, scenario: &str) -> usize {
        let files = [(PAGE, row), ("tests/scenarios/trackops.rs", scenario)];
        check(&Repository::of(&files)).len()
    }

    #[test]
    fn a_promise_without_its_test_is_not_kept() {
        let link = "[test](../tests/scenarios/trackops.rs)";
        let kept = format!("| trackops-01 | signed in | kept | {link} |");
        assert_eq!(findings(&kept, "fn trackops_01_nobody_comes_in_without_a_credential() {}"), 0);
        assert_eq!(findings(&kept, "fn trackops_02_other() {}"), 1);
        assert_eq!(findings("| trackops-01 | signed in | kept | – |", ""), 1);
        assert_eq!(findings("| trackops-01 | signed in | part: half of it | – |", ""), 0);
        assert_eq!(findings("| trackops-01 | signed in | not yet | – |", ""), 0);
    }

    #[test]
    fn a_scenario_that_exists_is_linked() {
        let row = "| trackops-01 | signed in | part: half of it | – |";
        assert_eq!(findings(row, "fn trackops_01_nobody_comes_in() {}"), 1);
    }

    #[test]
    fn a_row_says_where_it_stands_and_stands_once() {
        assert_eq!(findings("| trackops-01 | signed in | nearly | – |", ""), 1);
        let row = "| trackops-01 | signed in | not yet | – |";
        assert_eq!(findings(&format!("{row}\n{row}"), ""), 1);
    }
}
