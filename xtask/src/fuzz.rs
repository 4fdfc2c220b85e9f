//! The campaign `fuzz`: every target of `fuzz/` under libFuzzer for some minutes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};
use crate::nightly::Effort;
use crate::tools::Tool;

/// What builds the targets and runs them.
const CARGO_FUZZ: Tool =
    Tool { name: "cargo-fuzz", version: "0.13.2", says: "cargo-fuzz ", arguments: &[] };
/// The toolchain whose compiler has sanitizers.
const TOOLCHAIN: &str = "nightly";
/// An input that takes longer, in seconds, counts as a crash.
const INPUT_SECONDS_MAX: u32 = 10;
/// A target that needs more memory, in MiB and with the sanitizer's own, counts as crashed.
const MEMORY_MIB_MAX: u32 = 1024;
/// Inputs that the fuzzer makes up stay below this folder of the workspace, which git ignores.
const FOUND: &str = "fuzz/target/found";
/// What each target has said, in the same way.
const LOGS: &str = "fuzz/target/logs";

/// Runs every target, also after one has crashed.
///
/// # Errors
/// If there is no such toolchain, something cannot be built, or a target crashed; the text then has
/// a line for each target.
pub(crate) fn run(effort: Effort) -> Result<Vec<String>, Failure> {
    check_toolchain()?;
    let program = CARGO_FUZZ.program()?;
    let targets = targets(&command::root())?;
    command::run(fuzzer(&program).arg("build"))?;
    let mut lines = Vec::new();
    let mut crashed = Vec::new();
    for target in &targets {
        println!("{target}, {} min", effort.minutes);
        let log = command::root().join(LOGS).join(format!("{target}.log"));
        let ended = run_one(&program, target, &log, effort);
        let said = fs::read_to_string(&log).unwrap_or_default();
        let outcome = match ended {
            Ok(()) => "no crash".to_owned(),
            Err(failure) => {
                crashed.push(target.as_str());
                format!("CRASHED: {failure}; {}", log.display())
            }
        };
        let line = format!("{target:<18}{}  {outcome}", Figures::of(&said));
        println!("{line}");
        lines.push(line);
    }
    if crashed.is_empty() { Ok(lines) } else { Err(Failure::new(lines.join("\n"))) }
}

fn run_one(program: &Path, target: &str, log: &Path, effort: Effort) -> Result<(), Failure> {
    let root = command::root();
    let found = root.join(FOUND).join(target);
    for folder in [&found, &root.join(LOGS)] {
        let wrong = |error| Failure::new(format!("`{}`: {error}", folder.display()));
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut run = fuzzer(program);
    // What is new is written into the first folder.
    run.arg("run").arg(target).arg(&found).arg(root.join("fuzz/corpus").join(target)).arg("--");
    run.arg(format!("-max_total_time={}", effort.minutes.saturating_mul(60)));
    run.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    run.arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"));
    run.arg("-print_final_stats=1");
    command::run_into(&mut run, log)
}

/// `cargo-fuzz` with the toolchain it needs, whatever toolchain runs this.
fn fuzzer(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(command::root()).env_remove("CARGO").env("RUSTUP_TOOLCHAIN", TOOLCHAIN);
    command::forget_package(&mut command);
    command
}

fn check_toolchain() -> Result<(), Failure> {
    let mut rustc = Command::new("rustup");
    if command::succeeds(rustc.args(["run", TOOLCHAIN, "rustc", "--version"])) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "fuzzing needs the {TOOLCHAIN} toolchain beside the one that this repository builds with; \
         install it with: rustup toolchain install {TOOLCHAIN} --profile minimal"
    )))
}

/// The targets, by the names of their files.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let folder = root.join("fuzz/targets");
    let wrong = |error| Failure::new(format!("`{}`: {error}", folder.display()));
    let files = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let paths = files.map_err(wrong)?.into_iter().map(|file| file.path());
    let mut targets: Vec<String> = paths
        .filter(|path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort();
    Ok(targets)
}

/// What libFuzzer says of itself at the end.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    executions: Option<u64>,
    per_second: Option<u64>,
    memory_mib: Option<u64>,
}

impl Figures {
    fn of(said: &str) -> Self {
        let figure = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().parse().ok()
        };
        Self {
            executions: figure("stat::number_of_executed_units"),
            per_second: figure("stat::average_exec_per_sec"),
            memory_mib: figure("stat::peak_rss_mb"),
        }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |figure: Option<u64>| figure.map_or("?".to_owned(), |it| it.to_string());
        write!(
            f,
            "{:>10} executions {:>7}/s {:>5} MiB",
            shown(self.executions),
            shown(self.per_second),
            shown(self.memory_mib)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_that_the_fuzzer_prints() {
        let said = "Done 4711 runs in 61 second(s)\n\
            stat::number_of_executed_units: 4711\n\
            stat::average_exec_per_sec:     77\n\
            stat::peak_rss_mb:              92\n";
        let figures = Figures::of(said);
        assert_eq!(
            figures,
            Figures { executions: Some(4711), per_second: Some(77), memory_mib: Some(92) }
        );
        assert!(Figures::of("").to_string().contains('?'));
    }

    #[test]
    fn there_are_targets() {
        let targets = targets(&command::root()).unwrap();
        assert!(targets.contains(&"sealed_stream".to_owned()), "{targets:?}");
    }
}
