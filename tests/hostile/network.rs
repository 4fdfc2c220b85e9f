//! `cargo xtask network`: how quickly others are served while somebody attacks, beside how quickly
//! they are served while nobody does.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement fails by panicking, and talks to a terminal"
)]

mod campaign;
mod neighbour;
#[expect(dead_code, reason = "the tests need more of it")]
mod victim;
#[expect(dead_code, reason = "the tests need more of it")]
mod wire;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use campaign::{ATTACKS, Attack, Measured};
use neighbour::beside;
use tokio::time::sleep;
use victim::Victim;

/// How long the attack runs before others are measured.
const RAMP: Duration = Duration::from_secs(4);
/// How long the server has to get over an attack before the next phase.
const REST: Duration = Duration::from_secs(4);
/// Requests of the neighbour in a second.
const PACE: u32 = 50;
/// The aim: the 99th percentile of others under attack, as a multiple of that without one.
const RATIO_MAX: f64 = 1.5;
/// The aim: how many MiB the server's memory grows at the most.
const GROWTH_MIB_MAX: u64 = 64;

/// What is to be done: `--seconds N` a phase, `--rounds N`, `--only WORD` for attacks whose name has
/// it in it.
struct Plan {
    seconds: u32,
    rounds: u32,
    only: Option<String>,
}

impl Plan {
    fn read() -> Result<Self, String> {
        let mut plan = Self { seconds: 20, rounds: 3, only: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("`{name}` needs a value"))?;
            let number = || value.parse().map_err(|_| format!("`{name}` takes a number"));
            match name.as_str() {
                "--seconds" => plan.seconds = number()?,
                "--rounds" => plan.rounds = number()?,
                "--only" => plan.only = Some(value),
                _ => return Err(format!("unknown: `{name}`")),
            }
        }
        if plan.seconds == 0 || plan.rounds == 0 {
            return Err("phases and rounds are at least 1".to_owned());
        }
        Ok(plan)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let plan = match Plan::read() {
        Ok(plan) => plan,
        Err(words) => {
            eprintln!("{words}");
            return ExitCode::FAILURE;
        }
    };
    let wanted = |attack: &&Attack| plan.only.as_ref().is_none_or(|it| attack.name.contains(it));
    println!(
        "{} s a phase, {} rounds; the neighbour asks {PACE} times a second\n",
        plan.seconds, plan.rounds
    );
    println!(
        "| attack | ratio of p50 | p99 ms without | p99 ms under attack | ratio of p99 (lowest–highest) | memory MiB | aim |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut missed = 0;
    for attack in ATTACKS.iter().filter(wanted) {
        let measured = measure(attack, &plan).await;
        let met = measured.ratio() <= RATIO_MAX && measured.grown_kib <= GROWTH_MIB_MAX * 1024;
        missed += u32::from(!met);
        println!("| {} | {measured} | {} |", attack.name, if met { "met" } else { "missed" });
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Quiet and attacked phases in turn, against a server of its own.
async fn measure(attack: &Attack, plan: &Plan) -> Measured {
    let victim = Arc::new(Victim::start().await);
    let requests = usize::try_from(plan.seconds * PACE).unwrap();
    let mut measured = Measured::default();
    for _ in 0..plan.rounds {
        let ((), quiet) = beside(&victim, requests, async {}).await;
        let running = (attack.begin)(&victim);
        sleep(RAMP).await;
        let ((), attacked) = beside(&victim, requests, async {}).await;
        measured.add(&quiet, &attacked);
        running.end();
        sleep(REST).await;
        victim.must_live();
    }
    measured
}
