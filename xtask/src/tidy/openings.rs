//! Every Rust file opens with a sentence that says what it is for.

use super::Finding;
use super::repository::{File, Repository};

/// Every crate has its opening page, and every Rust file its opening sentence.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in repository.files().filter(|file| file.name() == "Cargo.toml") {
        if let Some(folder) = manifest.path.strip_suffix("/Cargo.toml") {
            let library = format!("{folder}/src/lib.rs");
            let program = format!("{folder}/src/main.rs");
            let is_crate = folder.starts_with("crates/");
            if is_crate && !repository.has(&library) && !repository.has(&program) {
                findings.push(Finding::in_file(&library, "is missing: a crate opens here"));
            }
        }
    }
    for file in repository.with_extension("rs").filter(|file| !is_list_of_modules(file)) {
        if !has_opening_sentence(&file.text) {
            findings.push(Finding::at(
                &file.path,
                1,
                "the first line begins a `//!` sentence that says what the file is for",
            ));
        }
    }
    findings
}

/// The first line is documentation of the file, and its first paragraph is a whole sentence.
fn has_opening_sentence(text: &str) -> bool {
    let paragraph: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    paragraph.last().is_some_and(|line| line.ends_with(['.', ':']))
}

/// A file that only lists modules, as the roots of test programs do, needs no sentence.
fn is_list_of_modules(file: &File) -> bool {
    file.text.lines().map(str::trim).filter(|line| !line.is_empty()).all(|line| {
        let declaration = line.strip_prefix("pub ").unwrap_or(line);
        (declaration.starts_with("mod ") && declaration.ends_with(';')) || line.starts_with("//")
    }) && file.text.contains("mod ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str, kept: bool) {
        let findings = check(&Repository::of(&[("crates/a/src/b.rs", text)]));
        assert_eq!(findings.is_empty(), kept, "{text:?}: {findings:?}");
    }

    #[test]
    fn a_file_without_an_opening_sentence_is_named() {
        check_text("//! What this is for.\n\nfn a() {}", true);
        check_text("//! A sentence over\n//! two lines.\n//!\n//! More", true);
        check_text("//! no end", false);
        check_text("//!\n//! Late.", false);
        check_text("use std::fmt;\n", false);
        check_text("\n//! Late.", false);
        check_text("", false);
    }

    #[test]
    fn a_list_of_modules_needs_no_sentence() {
        check_text("mod a;\npub mod b;\n", true);
        check_text("mod a;\nfn b() {}\n", false);
    }

    #[test]
    fn a_crate_without_a_root_is_named() {
        let findings = check(&Repository::of(&[("crates/a/Cargo.toml", "[package]")]));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, "crates/a/src/lib.rs");
    }
}
