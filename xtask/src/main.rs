//! The workshop: what people and CI run on this repository, as `cargo xtask COMMAND`.
//!
//! It uses the standard library alone, so that it is built in a moment on a fresh machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool that talks to a terminal")]

mod adversary;
mod bench;
mod book;
mod ci;
mod command;
mod crash;
mod deny;
mod fuzz;
mod kills;
mod mutants;
mod network;
mod nightly;
mod packages;
mod people;
mod python;
mod schemathesis;
mod test;
mod tidy;
mod tools;

use std::ffi::OsString;
use std::process::ExitCode;

use command::Failure;

/// What `cargo xtask help` prints; it names the commands that exist and no others.
const HELP: &str = "\
cargo xtask COMMAND

  adversary     erase records, then read what everything ever written gives; --engine E, --records N, --mutants
  bench [ARGS]  measure the server beside others and print a report; --long, --folder DIR, --dist
  book          the documents as a book, in target/book
  test [ARGS]   prepare what the tests need, then `cargo test --release --workspace ARGS`
  ci            everything that CI runs: test, format, clippy, cargo deny, documentation, book, tidy
  crash         kill and cut the power of stores; --engine redb|fjall|sled, --cuts N
  network [ARGS]  attack the server for minutes, measure how others are served; --seconds N, --rounds N
  schemathesis  ask the server for what its OpenAPI document allows and forbids; --cases N, --only ROLE
  deny          cargo deny: licences, sources, walls between rooms, advisories
  nightly       what takes too long for every change: --minutes N, --only CAMPAIGN
  tidy          the repository's own rules: arrows between rooms, openings, links, pages
  help          this text

`cargo xtask test -p strongroom-crypto` tests one room.";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    let rest: Vec<OsString> = arguments.collect();
    match run(command.as_ref().and_then(|name| name.to_str()), &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Option<&str>, rest: &[OsString]) -> Result<(), Failure> {
    match command {
        Some("adversary") => adversary::run(rest),
        Some("bench") => bench::run(rest),
        Some("book") => without_arguments("book", rest).and_then(|()| book::run()),
        Some("test") => test::run(rest),
        Some("ci") => without_arguments("ci", rest).and_then(|()| ci::run()),
        Some("crash") => crash::run(rest),
        Some("network") => network::run(rest),
        Some("schemathesis") => schemathesis::run(rest),
        Some("deny") => without_arguments("deny", rest).and_then(|()| deny::run()).map(drop),
        Some("nightly") => nightly::run(rest),
        Some("tidy") => without_arguments("tidy", rest).and_then(|()| tidy::run()),
        Some("help" | "--help" | "-h") => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => Err(Failure::new(format!("no command `{other}`\n\n{HELP}"))),
        None => Err(Failure::new(format!("a command is missing\n\n{HELP}"))),
    }
}

/// An argument that would be ignored is refused.
fn without_arguments(command: &str, rest: &[OsString]) -> Result<(), Failure> {
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("`cargo xtask {command}` takes no arguments")))
    }
}
