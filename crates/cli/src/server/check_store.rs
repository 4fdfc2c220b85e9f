//! `strongroom verify` and `strongroom accept-older-store`: a store at rest, proven or accepted.

use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use serde_json::json;
use strongroom_vault::integrity::{self, Damage, Rejected, Report};

use crate::confirm;
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, say};
use crate::server::at_rest::{AtRest, Opened};
use crate::server::rejected;
use crate::settings::ServeSettings;

/// Rows and lines between two words about how far it is.
const PROGRESS_EVERY: u64 = 250_000;

/// Reads the whole store and proves it.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    at_rest: AtRest,
}

impl Verify {
    pub(crate) async fn run(self, settings: &ServeSettings, screen: Screen) -> Result<(), Failure> {
        let Opened { vault, key, .. } = self.at_rest.open(settings).await?;
        let told = AtomicU64::new(0);
        let progress = |read: u64| {
            let step = read / PROGRESS_EVERY;
            if told.swap(step, Ordering::Relaxed) < step {
                say(&format!("{read} rows and lines read"));
            }
        };
        let report =
            integrity::verify(&vault, &key, &progress).await.map_err(|error| rejected(&error))?;
        screen.value(&shown(&report))?;
        if report.damage_count > 0 {
            return Err(Failure::new(
                Exit::CheckFailed,
                format!("the store is not what was written: {} damages", report.damage_count),
            ));
        }
        say("the store is what was last written");
        if !report.has_head {
            say("there was no head to compare it with: it may be an older copy");
        }
        Ok(())
    }
}

/// The report for people and scripts.
fn shown(report: &Report) -> serde_json::Value {
    let damages: Vec<_> = report.damages.iter().map(|damage| one(*damage)).collect();
    json!({
        "rows": report.rows,
        "rows_opened": report.opened,
        "rows_erased": report.erased,
        "lines": report.lines,
        "lines_opened": report.lines_opened,
        "compared_with_head": report.has_head,
        "damage_count": report.damage_count,
        "damages": damages,
    })
}

fn one(damage: Damage) -> serde_json::Value {
    match damage {
        Damage::Row { kind, tenant } => {
            json!({"damage": "row", "kind": format!("{kind:?}"), "tenant": tenant})
        }
        Damage::Foreign => json!({"damage": "foreign"}),
        Damage::Policy { tenant } => json!({"damage": "policy", "tenant": tenant}),
        Damage::Store => json!({"damage": "store"}),
        Damage::Line { tenant, node, n } => {
            json!({"damage": "line", "tenant": tenant, "node": node, "n": n})
        }
        Damage::Log => json!({"damage": "log"}),
        Damage::Head => json!({"damage": "head"}),
    }
}

/// Goes on with a store that the server refuses because it is an older copy, or damaged.
#[derive(Debug, Args)]
pub(crate) struct AcceptOlderStore {
    #[command(flatten)]
    at_rest: AtRest,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl AcceptOlderStore {
    pub(crate) async fn run(self, settings: &ServeSettings) -> Result<(), Failure> {
        if !self.yes {
            say(
                "what was written after this copy is lost: changes, revocations, and lines of the log; rows \
                 that are missing or older than they were will pass for the present",
            );
            confirm::typed("accept")?;
        }
        let Opened { vault, key, .. } = self.at_rest.open(settings).await?;
        integrity::accept(&vault, &key).await.map_err(|error| match error {
            Rejected::Keys(_) => {
                let mut failure = rejected(&error);
                failure.message.push_str(
                    "\n  a copy from before an erasure has no keys any more and cannot be accepted",
                );
                failure
            }
            error => rejected(&error),
        })?;
        say("accepted, and on record in the provider's log; the server starts with this store now");
        Ok(())
    }
}
