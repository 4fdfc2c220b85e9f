//! Every link from a document to a file of the repository leads somewhere.

use super::Finding;
use super::repository::{File, Repository};

/// Links to other places are not followed.
const ELSEWHERE: &[&str] = &["http://", "https://", "mailto:"];

/// No link is broken.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    repository.with_extension("md").flat_map(|file| broken_links(repository, file)).collect()
}

fn broken_links(repository: &Repository, file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            for target in targets(&without_code(line)) {
                let exists = resolve(&file.path, target).is_some_and(|path| repository.has(&path));
                if is_here(target) && !exists {
                    let what = format!("the link `{target}` leads nowhere");
                    findings.push(Finding::at(&file.path, number, what));
                }
            }
        }
    }
    findings
}

/// The line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// What the links of a line point to: `[text](target "title")` and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let defined = line
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .and_then(|(_, target)| target.split_whitespace().next());
    inline.chain(defined).map(|target| target.trim_matches(['<', '>'])).collect()
}

fn is_here(target: &str) -> bool {
    !target.starts_with('#') && !ELSEWHERE.iter().any(|scheme| target.starts_with(scheme))
}

/// The path that a target means when it stands in this file; nothing if it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_line(line: &str, kept: bool) {
        let files = [("docs/a.md", line), ("docs/formats/b.md", ""), ("README.md", "")];
        let findings = check(&Repository::of(&files));
        assert_eq!(findings.is_empty(), kept, "{line:?}: {findings:?}");
    }

    #[test]
    fn a_link_to_a_missing_file_is_named() {
        check_line("see [b](formats/b.md) and [b](formats/b.md#bytes)", true);
        check_line("see [the folder](formats/) and [readme](../README.md)", true);
        check_line("see [b](formats/b.md) and [c](formats/c.md)", false);
        check_line("[c]: formats/c.md", false);
        check_line("[b]: formats/b.md", true);
    }

    #[test]
    fn a_link_out_of_the_repository_is_named() {
        check_line("see [x](../../x.md)", false);
        check_line("see [x](/docs/a.md)", false);
    }

    #[test]
    fn what_is_no_link_to_a_file_is_left_alone() {
        check_line("see [x](https://example.org/x) and [y](#words)", true);
        check_line("the form `[text](target)` is code", true);
        check_line("```\n[text](target)\n```", true);
    }
}
