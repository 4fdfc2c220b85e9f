//! The README and the tutorials: every shell block is run, and says what is shown.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;
#[path = "harness/postgres.rs"]
mod postgres;
mod transcript;

use std::path::Path;

use postgres::Cluster;
use transcript::shell::Reader;

/// The page that says what the other pages of its folder begin with.
const PREPARATION: &str = "README.md";
/// The page whose reader has a database too, and makes a server of its own.
const WITH_POSTGRESQL: &str = "move-a-postgresql-table-in.md";

/// The page whose reader makes a server of their own, to stop it and bring its rows back.
const WITH_A_STORE: &str = "back-up-and-restore.md";

/// Does what a document says, in a folder of its own.
fn follow(document: &str) {
    follow_with(&mut Reader::new(), document);
}

fn follow_with(reader: &mut Reader, document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let steps = transcript::steps(&std::fs::read_to_string(path).unwrap());
    assert!(steps.len() > 1, "{document} has its reader do nothing");
    for step in &steps {
        reader.take(document, step);
    }
}

#[test]
fn the_readme_does_what_it_shows() {
    follow("README.md");
}

#[test]
fn the_first_record_is_kept_and_erased_as_shown() {
    follow("docs/tutorials/first-record.md");
}

#[test]
fn a_file_is_moved_in_as_shown() {
    follow("docs/tutorials/import-a-file.md");
}

#[test]
fn a_server_is_set_up_and_looked_after_as_shown() {
    follow("docs/tutorials/your-own-server.md");
}

#[test]
fn every_page_of_the_how_tos_does_what_it_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/how-to");
    let mut followed = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let steps = transcript::steps(&std::fs::read_to_string(folder.join(&name)).unwrap());
        let other = [PREPARATION, WITH_POSTGRESQL, WITH_A_STORE];
        if steps.is_empty() || other.contains(&name.as_str()) {
            continue;
        }
        let mut reader = Reader::new();
        follow_with(&mut reader, &format!("docs/how-to/{PREPARATION}"));
        for step in &steps {
            reader.take(&format!("docs/how-to/{name}"), step);
        }
        followed += 1;
    }
    assert!(followed > 10);
}

#[test]
fn a_store_is_backed_up_proved_and_restored_as_shown() {
    follow(&format!("docs/how-to/{WITH_A_STORE}"));
}

#[test]
fn a_table_of_postgresql_is_moved_in_as_shown() {
    let cluster = Cluster::start();
    let mut reader = Reader::with(&cluster.variables());
    follow_with(&mut reader, &format!("docs/how-to/{WITH_POSTGRESQL}"));
}

/// The texts of a package's files that may hold tests, with their paths.
fn sources(package: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let inner = package.trim_start_matches("strongroom-");
    let folder = if inner == "tests" { root.join(inner) } else { root.join("crates").join(inner) };
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.push((path.to_str().unwrap().to_owned(), text));
            }
        }
    }
    found
}

#[test]
fn every_promise_of_the_readme_is_checked_by_tests_that_are_there() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let commands: Vec<&str> = readme
        .split("`cargo xtask test ")
        .skip(1)
        .map(|rest| rest.split('`').next().unwrap())
        .collect();
    assert!(commands.len() > 3, "the promises have lost their commands");
    for command in commands {
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some("-p"), "{command}");
        let sources = sources(words.next().unwrap());
        let mut rest: Vec<&str> = words.collect();
        if let ["--test", name, ..] = rest[..] {
            let file = format!("/{name}/main.rs");
            assert!(sources.iter().any(|(path, _)| path.ends_with(&file)), "{command}");
            rest.drain(..2);
        }
        for filter in rest {
            let (file, module) = (format!("/{filter}.rs"), format!("/{filter}/"));
            let tests = sources.iter().filter(|(path, text)| {
                (path.contains(&file) || path.contains(&module))
                    && (text.contains("test]") || text.contains("test("))
            });
            assert!(tests.count() > 0, "{command} would run nothing");
        }
    }
}

#[test]
fn every_tutorial_is_followed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tutorials");
    let here = include_str!("documents.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(here.contains(&format!("docs/tutorials/{name}\"")), "{name}");
    }
}

#[test]
#[should_panic(expected = "shown")]
fn a_document_that_shows_something_else_is_not_followed() {
    let mut reader = Reader::new();
    for step in transcript::steps("```console\n$ strongroom version\nstrongroom 0.0.0\n```\n") {
        reader.take("a document", &step);
    }
}

#[test]
#[should_panic(expected = "a document:2")]
fn a_document_whose_command_fails_is_not_followed() {
    let mut reader = Reader::new();
    for step in transcript::steps("```sh\nstrongroom whoami\n```\n") {
        reader.take("a document", &step);
    }
}
