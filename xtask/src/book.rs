//! `cargo xtask book`: the documents as a book, in `target/book`.
//!
//! The pages lie where people who read the repository look for them, also outside `docs/`. So that
//! their links work in the book as well, it is made from copies whose links are written anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};
use crate::tidy::book::{CONTENTS, listed};
use crate::tidy::links::{is_here, resolve};
use crate::tidy::repository::Repository;
use crate::tools::Tool;

/// The program that makes the pages.
const MDBOOK: Tool = Tool {
    name: "mdbook",
    version: "0.5.4",
    says: "mdbook v",
    arguments: &["--no-default-features", "--features", "search"],
};

/// Where the copies lie, seen from the workspace.
const COPIES: &str = "target/book-pages";
/// Where the book is made.
const BOOK: &str = "target/book";

/// Makes the book, and looks whether its links lead somewhere.
///
/// # Errors
/// If the program cannot be had, a page cannot be made, or a link of the book leads nowhere.
pub(crate) fn run() -> Result<(), Failure> {
    let mdbook = MDBOOK.program()?;
    let root = command::root();
    copy_pages(&Repository::read(&root)?, &root.join(COPIES))?;
    command::run(
        Command::new(mdbook)
            .arg("build")
            .arg(root.join(COPIES))
            .args(["--dest-dir".as_ref(), root.join(BOOK).as_os_str()]),
    )?;
    check(&root.join(BOOK))?;
    println!("the book is {BOOK}/index.html");
    Ok(())
}

fn copy_pages(repository: &Repository, into: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot copy the pages: {error}"));
    if into.exists() {
        fs::remove_dir_all(into).map_err(failed)?;
    }
    let text = |path: &str| repository.text(path).unwrap_or_default();
    let pages = listed(text(CONTENTS));
    let copies = pages
        .iter()
        .map(String::as_str)
        .chain([CONTENTS])
        .map(|page| (Path::new("docs").join(place(page)), relinked(page, text(page), &pages)));
    for (path, text) in copies.chain([(PathBuf::from("book.toml"), text("book.toml").to_owned())]) {
        let path = into.join(path);
        fs::create_dir_all(path.parent().unwrap_or(into)).map_err(failed)?;
        fs::write(path, text).map_err(failed)?;
    }
    Ok(())
}

/// Where a page of the repository stands in the book.
fn place(page: &str) -> String {
    let page = page.strip_prefix("docs/").unwrap_or(page);
    match page.strip_suffix("README.md") {
        Some(folder) => format!("{folder}index.md"),
        None => page.to_owned(),
    }
}

/// The page with links as the book needs them. What is not in the book is named without a link.
fn relinked(page: &str, text: &str, pages: &[String]) -> String {
    let mut in_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        lines.push(if in_code { line.to_owned() } else { relinked_line(page, line, pages) });
    }
    lines.join("\n") + "\n"
}

fn relinked_line(page: &str, line: &str, pages: &[String]) -> String {
    let Some((before, rest)) = line.split_once("](") else { return line.to_owned() };
    let (Some((target, after)), Some((start, words))) =
        (rest.split_once(')'), before.rsplit_once('['))
    else {
        return line.to_owned();
    };
    let after = relinked_line(page, after, pages);
    if target.is_empty() || !is_here(target) || target.starts_with('#') {
        return format!("{start}[{words}]({target}){after}");
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let anchor = if anchor.is_empty() { String::new() } else { format!("#{anchor}") };
    match resolve(page, path).and_then(|path| page_of(&path, pages)) {
        Some(found) => {
            let up = "../".repeat(place(page).matches('/').count());
            format!("{start}[{words}]({up}{}{anchor}){after}", place(found))
        }
        None => format!("{start}{words}{after}"),
    }
}

/// The page that a path means: itself, or the front page of a folder.
fn page_of<'p>(path: &str, pages: &'p [String]) -> Option<&'p str> {
    let front = format!("{path}/README.md");
    pages.iter().find(|page| *page == path || *page == &front).map(String::as_str)
}

/// Every link within the book leads to a page, and to a place on it.
fn check(book: &Path) -> Result<(), Failure> {
    let pages = Repository::read(book)?;
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages.with_extension("html") {
        for target in page.text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if !is_here(target) || target.starts_with("javascript:") {
                continue;
            }
            count += 1;
            let file =
                if path.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, path) };
            let place = format!("id=\"{anchor}\"");
            let is_there = file.is_some_and(|file| {
                pages.has(&file)
                    && (anchor.is_empty()
                        || pages.text(&file).is_some_and(|text| text.contains(&place)))
            });
            // The page for what is not found has links from the top of wherever it is shown.
            if !is_there && page.path != "404.html" {
                broken.push(format!("{}: {target}", page.path));
            }
        }
    }
    if broken.is_empty() && count > 0 {
        return Ok(());
    }
    broken.sort();
    broken.dedup();
    Err(Failure::new(format!(
        "of {count} links of the book these lead nowhere:\n{}",
        broken.join("\n")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Vec<String> {
        ["README.md", "docs/a.md", "docs/formats/README.md", "docs/formats/b.md"]
            .map(str::to_owned)
            .to_vec()
    }

    fn check_line(page: &str, line: &str, expected: &str) {
        assert_eq!(relinked_line(page, line, &pages()), expected);
    }

    #[test]
    fn links_between_pages_are_written_as_the_book_needs_them() {
        check_line(
            "README.md",
            "[a](docs/a.md) [`b`](docs/formats/b.md#x)",
            "[a](a.md) [`b`](formats/b.md#x)",
        );
        check_line("docs/formats/b.md", "[a](../a.md)", "[a](../a.md)");
        check_line("docs/formats/b.md", "[start](../../README.md)", "[start](../index.md)");
        check_line(
            "docs/a.md",
            "see [formats](formats/), too",
            "see [formats](formats/index.md), too",
        );
        check_line("docs/SUMMARY.md", "- [A part]()", "- [A part]()");
        check_line(
            "docs/a.md",
            "[here](#x) [there](https://example.org)",
            "[here](#x) [there](https://example.org)",
        );
    }

    #[test]
    fn what_is_not_in_the_book_is_named_without_a_link() {
        check_line("README.md", "in [`crates/model`](crates/model), too", "in `crates/model`, too");
    }

    #[test]
    fn code_is_left_as_it_is() {
        let text = "```text\n[a](docs/a.md)\n```\n";
        assert_eq!(relinked("README.md", text, &pages()), text);
    }
}
