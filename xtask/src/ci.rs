//! `cargo xtask ci`: every check that a change must pass, with the time that each took.

use std::time::Duration;

use crate::command::{self, Failure};
use crate::{book, deny, test, tidy};

/// A check; the text that it gives back tells what it had to skip.
type Check = fn() -> Result<Option<String>, Failure>;

const STEPS: [(&str, Check); 7] = [
    ("test", || test::run(&[]).map(nothing_skipped)),
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("clippy", || {
        cargo(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"])
    }),
    ("deny", deny::run),
    ("documentation", documentation),
    ("book", || book::run().map(nothing_skipped)),
    ("tidy", || tidy::run().map(nothing_skipped)),
];

/// Runs every step, also after one has failed, and ends with a table.
///
/// # Errors
/// If any step failed; the text names them.
pub(crate) fn run() -> Result<(), Failure> {
    let mut table = Vec::new();
    let mut failed = Vec::new();
    let mut total = Duration::ZERO;
    for (name, check) in STEPS {
        println!("\n== {name}");
        let (result, took) = timed(check);
        total += took;
        let outcome = match result {
            Ok(None) => "passed".to_owned(),
            Ok(Some(skipped)) => format!("passed; {skipped}"),
            Err(failure) => {
                eprintln!("{name}: {failure}");
                failed.push(name);
                format!("FAILED: {failure}")
            }
        };
        table.push(format!("{name:<14}{:>6.1} s  {outcome}", took.as_secs_f64()));
    }
    println!("\n{}", table.join("\n"));
    if failed.is_empty() {
        println!("all {} steps passed in {:.0} s", STEPS.len(), total.as_secs_f64());
        Ok(())
    } else {
        Err(Failure::new(format!("failed: {}", failed.join(", "))))
    }
}

fn documentation() -> Result<Option<String>, Failure> {
    let mut cargo = command::cargo(["doc", "--release", "--no-deps", "--workspace"]);
    command::run(cargo.env("RUSTDOCFLAGS", "-D warnings")).map(nothing_skipped)
}

fn cargo(arguments: &[&str]) -> Result<Option<String>, Failure> {
    command::run(&mut command::cargo(arguments)).map(nothing_skipped)
}

fn nothing_skipped((): ()) -> Option<String> {
    None
}

#[expect(
    clippy::disallowed_methods,
    reason = "the workshop measures itself; nothing depends on it"
)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let result = work();
    (result, start.elapsed())
}
