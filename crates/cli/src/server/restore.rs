//! `strongroom restore`: brings a backup back onto the live keys, says what that would do, or proves it.

use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use serde_json::json;
use strongroom_vault::backups::{self, Counts, Mode, Report, RestoreProblem};
use strongroom_vault::system;

use crate::confirm;
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, say};
use crate::server::at_rest::{AtRest, Opened};
use crate::server::{key_failure, places};
use crate::settings::ServeSettings;

/// After so many hundredths more it is said how far a restore has come.
const SAY_EVERY: u64 = 10;

/// Brings a backup back.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The folder of the backup, or `s3://BUCKET/PREFIX/NAME?…`
    #[arg(long, value_name = "PLACE")]
    from: String,
    #[command(flatten)]
    at_rest: AtRest,
    /// Open every row of the backup with the live keys, and change nothing
    #[arg(long, conflicts_with_all = ["dry_run", "put_back_changed", "yes"])]
    drill: bool,
    /// Say what would come back, and change nothing
    #[arg(long, conflicts_with_all = ["put_back_changed", "yes"])]
    dry_run: bool,
    /// Also give records that were changed since the values of the backup again
    #[arg(long)]
    put_back_changed: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Restore {
    pub(crate) async fn run(self, settings: &ServeSettings, screen: Screen) -> Result<(), Failure> {
        let store = self.at_rest.store(settings)?;
        let (place, name) = places::of_backup(&self.from)?;
        let mode = self.mode();
        let changes = matches!(mode, Mode::Restore { .. });
        if changes && !self.yes {
            say(&format!("the rows of `{name}` come back into the store {store}"));
            confirm::typed(&name)?;
        }
        let Opened { vault, keyring, key } = self.at_rest.open_parts(settings).await?;
        system::unlock_to_restore(&vault, &key).await.map_err(|error| key_failure(&error))?;
        let last = AtomicU64::new(0);
        let progress = |done: u64, total: u64| say_progress(&last, done, total);
        let report = backups::restore(&vault, &*place, &name, mode, &progress)
            .await
            .map_err(|problem| failure(&self.from, &problem));
        keyring.lock();
        let report = report?;
        screen.value(&shown(&report))?;
        say_report(mode, &report);
        match report.unreadable() {
            0 => Ok(()),
            rows => Err(Failure::new(
                Exit::Partly,
                format!("{rows} rows of the backup cannot be opened although their keys are there"),
            )),
        }
    }

    fn mode(&self) -> Mode {
        if self.drill {
            Mode::Drill
        } else if self.dry_run {
            Mode::DryRun
        } else {
            Mode::Restore { put_back_changed: self.put_back_changed }
        }
    }
}

fn failure(from: &str, problem: &RestoreProblem) -> Failure {
    match problem {
        RestoreProblem::Backup(_) => {
            Failure::new(Exit::CheckFailed, format!("`{from}`: {problem}"))
        }
        RestoreProblem::Vault(error) => {
            let source = std::error::Error::source(error);
            let why = source.map(|source| format!(": {source}")).unwrap_or_default();
            Failure::local(format!("the restore was cut short: {error}{why}"))
        }
    }
}

fn say_progress(last: &AtomicU64, done: u64, total: u64) {
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
    if percent >= last.load(Ordering::Relaxed).saturating_add(SAY_EVERY) {
        last.store(percent, Ordering::Relaxed);
        say(&format!("{percent} of 100"));
    }
}

fn say_report(mode: Mode, report: &Report) {
    let did = match mode {
        Mode::Restore { .. } => "came back",
        Mode::DryRun => "would come back",
        Mode::Drill => {
            say(&format!(
                "{} of {} records were opened; {} were erased since, {} corrected",
                report.records.opened,
                report.records.rows,
                report.records.erased_since,
                report.records.corrected_since
            ));
            return;
        }
    };
    let records = &report.records;
    say(&format!(
        "{} of {} records {did}; {} were erased since, {} corrected, {} changed",
        records.restored + records.repaired + records.put_back,
        records.rows,
        records.erased_since,
        records.corrected_since,
        records.changed_since
    ));
    if report.api_keys > 0 {
        say(&format!(
            "{} API keys {did}: those that were revoked since the backup are in force again; look at \
             them (`strongroom api-keys list`)",
            report.api_keys
        ));
    }
}

fn shown(report: &Report) -> serde_json::Value {
    let counts = |counts: &Counts| {
        json!({
            "rows": counts.rows,
            "same": counts.same,
            "restored": counts.restored,
            "repaired": counts.repaired,
            "changed_since": counts.changed_since,
            "put_back": counts.put_back,
            "erased_since": counts.erased_since,
            "corrected_since": counts.corrected_since,
            "unreadable": counts.unreadable,
            "loose": counts.loose,
            "opened": counts.opened,
        })
    };
    json!({
        "records": counts(&report.records),
        "subjects": counts(&report.subjects),
        "others": counts(&report.others),
        "index_entries": report.index_entries,
        "api_keys": report.api_keys,
    })
}
