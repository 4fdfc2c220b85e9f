//! Benchmarks over HTTP: what the server does in a second, beside servers that do less.
//!
//! This crate knows how to make load, how to time it, and which other servers Strongroom is compared
//! with. It does *not* know what happens inside of a server: it talks to all of them over a socket,
//! each in a process of its own.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool that talks to a terminal")]

mod arrangements;
mod backup;
mod cluster;
mod copy;
mod customer;
mod http;
mod load;
mod process;
mod product;
mod program;
mod raw;
mod report;
mod room;
mod run;
mod servers;
mod sizes;
mod storage;
mod time;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::run::Wanted;
use crate::sizes::Sizes;

/// Why a benchmark could not be made; the text is for the terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const HELP: &str = "\
strongroom-benches COMMAND

  run [--long | --dry] [--folder DIR] [--only PART[,PART]]
          measure everything and print a report in Markdown; --long takes more than two hours,
          --dry a minute or two, with figures that mean nothing.
          Parts: requests, half-load, lasting, import, tenants, start, product, storage,
          arrangements, backup
  load CASE CONNECTIONS SECONDS [--folder DIR]
          make load of one kind and print what it gave, for a profiler beside it.
          Cases: echo, read, create, create-external, list
          STRONGROOM_BENCH_ENGINE names the engine of the server's store, as in its URL.
  store ENGINE WRITERS MILLISECONDS FOLDER
          one turn of the part `arrangements`: commits to a new store, and prints its figures.
  look URL ROWS
          open a store that the part `storage` has made, and read from it
  serve echo | serve postgres SOCKETS
          a server that Strongroom is compared with, until its standard input ends";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("benches: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", rest @ ..] => servers::serve(rest),
        ["look", url, rows] => {
            println!("{}", room::look(url, rows.parse()?)?);
            Ok(())
        }
        ["run", rest @ ..] => run::run(&wanted(rest)?),
        ["load", case, connections, seconds, rest @ ..] => {
            run::load_alone(case, connections.parse()?, seconds.parse()?, &wanted(rest)?)
        }
        ["store", engine, writers, milliseconds, folder] => arrangements::turn(
            engine,
            writers.parse()?,
            Duration::from_millis(milliseconds.parse()?),
            Path::new(folder),
        ),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(HELP.into()),
    }
}

fn wanted(words: &[&str]) -> Result<Wanted, Failure> {
    let mut wanted =
        Wanted { sizes: Sizes::SHORT, folder: std::env::temp_dir(), parts: Vec::new() };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--long" => wanted.sizes = Sizes::LONG,
            "--dry" => wanted.sizes = Sizes::DRY,
            "--folder" => {
                wanted.folder = PathBuf::from(words.next().ok_or("`--folder` needs a folder")?);
            }
            "--only" => {
                let parts = words.next().ok_or("`--only` needs the names of parts")?;
                wanted.parts = parts.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            other => return Err(format!("no option `{other}`\n\n{HELP}").into()),
        }
    }
    Ok(wanted)
}
