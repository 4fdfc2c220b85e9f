//! Every link from a document to a file of the repository, or to a heading in one, leads somewhere.

use std::collections::BTreeMap;

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
                if is_here(target) && !exists(repository, file, target) {
                    let what = format!("the link `{target}` leads nowhere");
                    findings.push(Finding::at(&file.path, number, what));
                }
            }
        }
    }
    findings
}

fn exists(repository: &Repository, file: &File, target: &str) -> bool {
    let (place, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if place.is_empty() { Some(file.path.clone()) } else { resolve(&file.path, place) };
    let Some(path) = path else { return false };
    let text = repository.text(&path).filter(|_| !anchor.is_empty());
    repository.has(&path) && text.is_none_or(|text| anchors(text).iter().any(|it| it == anchor))
}

/// What the headings of a document are called in links: in small letters, with dashes for spaces,
/// without signs, and numbered where two are the same.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let hashes = line.chars().take_while(|it| *it == '#').count();
        let heading = line.trim_start_matches('#').strip_prefix(' ');
        let (false, true, Some(heading)) = (in_code, hashes > 0, heading) else { continue };
        let kept = heading.trim().chars().filter_map(|it| match it {
            ' ' => Some('-'),
            it if it.is_alphanumeric() || matches!(it, '-' | '_') => Some(it),
            _ => None,
        });
        let name = kept.collect::<String>().to_lowercase();
        let before = seen.entry(name.clone()).or_default();
        anchors.push(if *before == 0 { name } else { format!("{name}-{before}") });
        *before += 1;
    }
    anchors
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

pub(crate) fn is_here(target: &str) -> bool {
    !ELSEWHERE.iter().any(|scheme| target.starts_with(scheme))
}

/// The path that a target means when it stands in this file; nothing if it leaves the repository.
pub(crate) fn resolve(from: &str, target: &str) -> Option<String> {
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
        let files = [
            ("docs/a.md", line),
            ("docs/formats/b.md", "# B\n## The `bytes`, twice\n"),
            ("README.md", ""),
        ];
        let findings = check(&Repository::of(&files));
        assert_eq!(findings.is_empty(), kept, "{line:?}: {findings:?}");
    }

    #[test]
    fn a_link_to_a_missing_file_is_named() {
        check_line("see [b](formats/b.md) and [b](formats/b.md#the-bytes-twice)", true);
        check_line("see [the folder](formats/) and [readme](../README.md)", true);
        check_line("see [b](formats/b.md) and [c](formats/c.md)", false);
        check_line("[c]: formats/c.md", false);
        check_line("[b]: formats/b.md", true);
    }

    #[test]
    fn a_link_to_a_missing_heading_is_named() {
        check_line("see [b](formats/b.md#bytes)", false);
        check_line("see [b](formats/b.md#b)", true);
        check_line("see [here](#words)", false);
        check_line("# Words\nsee [here](#words)", true);
        check_line("# Words\n## Words\nsee [there](#words-1)", true);
        check_line("```\n# Words\n```\nsee [here](#words)", false);
    }

    #[test]
    fn a_link_out_of_the_repository_is_named() {
        check_line("see [x](../../x.md)", false);
        check_line("see [x](/docs/a.md)", false);
    }

    #[test]
    fn what_is_no_link_to_a_file_is_left_alone() {
        check_line("see [x](https://example.org/x)", true);
        check_line("the form `[text](target)` is code", true);
        check_line("```\n[text](target)\n```", true);
    }
}
