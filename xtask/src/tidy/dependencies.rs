//! Every dependency has its row in `docs/dependencies.md`, and every row its dependency.

use std::collections::BTreeMap;

use super::repository::Repository;
use super::{Finding, manifest};

const PAGE: &str = "docs/dependencies.md";

/// How many cells a row has: the name, what it does, why this one, what it costs.
const CELLS: usize = 4;

/// The page and the manifests name the same dependencies.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let page = repository.text(PAGE).unwrap_or_default();
    let rows = rows(page);
    let named = named(repository);
    let mut findings = Vec::new();
    for (name, (path, line)) in &named {
        if !rows.contains_key(name) {
            let what =
                format!("`{name}` has no row in {PAGE}: what it does, why this one, what it costs");
            findings.push(Finding::at(path, *line, what));
        }
    }
    for (name, (line, complete)) in &rows {
        if !named.contains_key(name) {
            findings.push(Finding::at(PAGE, *line, format!("no manifest names `{name}`")));
        } else if !complete {
            let what = format!("the row of `{name}` needs {CELLS} cells and a text in each");
            findings.push(Finding::at(PAGE, *line, what));
        }
    }
    findings
}

/// The rows of the page's tables that begin with a name in backticks: line, and whether complete.
fn rows(page: &str) -> BTreeMap<String, (usize, bool)> {
    let mut rows = BTreeMap::new();
    for (index, line) in page.lines().enumerate() {
        let Some(inner) = line.trim().strip_prefix('|').and_then(|it| it.strip_suffix('|')) else {
            continue;
        };
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        let name =
            cells.first().and_then(|it| it.strip_prefix('`')).and_then(|it| it.strip_suffix('`'));
        if let Some(name) = name {
            let complete = cells.len() == CELLS && cells.iter().all(|cell| !cell.is_empty());
            rows.insert(name.to_owned(), (index + 1, complete));
        }
    }
    rows
}

/// What the manifests take from elsewhere: by name, where it is named first. What a crate inherits
/// stands in the workspace's manifest already.
fn named(repository: &Repository) -> BTreeMap<String, (String, usize)> {
    let mut named = BTreeMap::new();
    for file in repository.files().filter(|file| file.name() == "Cargo.toml") {
        for dependency in manifest::dependencies(&file.text) {
            if !dependency.inherited && !dependency.name.starts_with("strongroom-") {
                named.entry(dependency.name).or_insert((file.path.clone(), dependency.line));
            }
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "| `ring` | signs | it is reviewed | builds C |";

    fn findings(page: &str, manifest: &str) -> usize {
        let own = "[dev-dependencies]\nsha3 = \"1\"";
        let files = [(PAGE, page), ("Cargo.toml", manifest), ("crates/a/Cargo.toml", own)];
        check(&Repository::of(&files)).len()
    }

    #[test]
    fn a_dependency_without_a_row_is_named() {
        let sha3 = "| `sha3` | hashes | same authors | nothing |";
        let manifest = "[workspace.dependencies]\nring = \"1\"";
        assert_eq!(findings(&format!("{ROW}\n{sha3}"), manifest), 0);
        assert_eq!(findings(ROW, manifest), 1, "a crate's own dependency needs a row too");
        assert_eq!(findings(sha3, manifest), 1);
        assert_eq!(findings("", manifest), 2);
    }

    #[test]
    fn a_row_without_a_dependency_or_a_reason_is_named() {
        let sha3 = "| `sha3` | hashes | | nothing |";
        assert_eq!(findings(&format!("{ROW}\n{sha3}"), "[workspace.dependencies]"), 2);
    }
}
