//! `strongroom verify` and `strongroom accept-older-store`: a store at rest, proven or accepted.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use serde_json::json;
use strongroom_crypto::Key;
use strongroom_keyring::{FileHolder, SealMethod};
use strongroom_vault::Vault;
use strongroom_vault::integrity::{self, Damage, Rejected, Report};
use zeroize::Zeroizing;

use crate::confirm;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::screen::{Screen, say};
use crate::server::{Machine, holder_path, open_vault, parse_store, rejected, seal};
use crate::settings::ServeSettings;

/// Rows and lines between two words about how far it is.
const PROGRESS_EVERY: u64 = 250_000;

/// Which store, at rest, and what opens its keys.
#[derive(Debug, Args)]
pub(crate) struct AtRest {
    /// The store: `redb:FOLDER`, `fjall:FOLDER`, `sled:FOLDER` or `postgres://USER@HOST/DATABASE`
    #[arg(long, value_name = "URL", env = "STRONGROOM_STORE", hide_env_values = true)]
    store: Option<String>,
    /// The file that keeps the share of the root secret [default: `holder` in the store's folder]
    #[arg(long, value_name = "FILE", env = "STRONGROOM_HOLDER")]
    holder: Option<PathBuf>,
    /// The seal key
    #[arg(long, value_name = "FILE", env = "STRONGROOM_SEAL_KEY_FILE")]
    seal_key_file: Option<PathBuf>,
    /// A file with the passphrase
    #[arg(long, value_name = "FILE", conflicts_with = "seal_key_file")]
    passphrase_file: Option<PathBuf>,
    /// Read the passphrase from standard input
    #[arg(long, conflicts_with_all = ["seal_key_file", "passphrase_file"])]
    passphrase_stdin: bool,
}

impl AtRest {
    async fn open(self, settings: &ServeSettings) -> Result<(Arc<Vault>, Key), Failure> {
        let store = parse_store(self.store.clone().or_else(|| settings.store.clone()))?;
        let holder = holder_path(self.holder.clone().or_else(|| settings.holder.clone()), &store)?;
        let machine = Machine::new();
        let (vault, file, _) = open_vault(&store, &holder, &machine, false).await?;
        let key = self.key(settings, &file)?;
        Ok((vault, key))
    }

    fn key(self, settings: &ServeSettings, holder: &FileHolder) -> Result<Key, Failure> {
        let passphrase = match (self.passphrase_file, self.seal_key_file) {
            (Some(path), _) => files::secret(&path)?,
            (None, _) if self.passphrase_stdin => files::secret(Path::new("-"))?,
            (None, Some(path)) => return seal::from_file(&path),
            (None, None) => match &settings.seal_key_file {
                Some(path) => return seal::from_file(path),
                None if std::io::stdin().is_terminal() => {
                    rpassword::prompt_password("passphrase: ")
                        .map(Zeroizing::new)
                        .map_err(|error| Failure::local(format!("cannot ask: {error}")))?
                }
                None => {
                    return Err(Failure::usage(
                        "name `--seal-key-file`, `--passphrase-file` or `--passphrase-stdin`",
                    ));
                }
            },
        };
        match holder.seal_method() {
            SealMethod::Passphrase(parameters) => parameters
                .derive(passphrase.as_bytes())
                .map_err(|error| Failure::local(error.to_string())),
            SealMethod::KeyFile => Err(Failure::usage(
                "this installation has a seal key, not a passphrase: name it with `--seal-key-file`",
            )),
        }
    }
}

/// Reads the whole store and proves it.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    at_rest: AtRest,
}

impl Verify {
    pub(crate) async fn run(self, settings: &ServeSettings, screen: Screen) -> Result<(), Failure> {
        let (vault, key) = self.at_rest.open(settings).await?;
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
        let (vault, key) = self.at_rest.open(settings).await?;
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
