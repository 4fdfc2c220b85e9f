//! The server's side of the command line: making an installation, running it, trying it.
//!
//! Here the rooms are wired together: store, holders, keyring, vault and the API over it.

pub(crate) mod demo;
pub(crate) mod init;
pub(crate) mod restore;
pub(crate) mod serve;

mod at_rest;
pub(crate) mod check_store;
mod descriptors;
mod dev;
mod guests;
pub(crate) mod head_file;
mod logs;
mod places;
pub(crate) mod seal;
mod stop;
pub(crate) mod telemetry;
mod traced_store;
mod unlocker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_crypto::SystemRng;
use strongroom_keyring::{FileHolder, Holder, Keyring};
use strongroom_model::{Clock, Rng};
use strongroom_storage::{Store, StoreUrl};
use strongroom_vault::integrity::{HeadPlace, Rejected};
use strongroom_vault::{SystemClock, Vault, backups};

use self::head_file::HeadFile;
use self::traced_store::TracedStore;
use crate::exit::{Exit, Failure};

/// The class of the only holder that an installation begins with.
const FIRST_HOLDER_CLASS: u8 = 1;
/// The holder's file within the store's folder, unless another place is named.
pub(crate) const HOLDER_FILE: &str = "holder";
/// The file in the store's folder that says which format it has.
pub(crate) const FORMAT_FILE: &str = "FORMAT";

/// A server uses all cores.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format!("cannot start: {error}")))
}

/// What comes from the machine: time and randomness.
struct Machine {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Machine {
    fn new() -> Self {
        Self { clock: Arc::new(SystemClock::new()), rng: Arc::new(SystemRng::new()) }
    }
}

/// Where the holder's file is: named, or in the store's folder.
fn holder_path(named: Option<PathBuf>, store: &StoreUrl) -> Result<PathBuf, Failure> {
    named.or_else(|| store.path().map(|folder| folder.join(HOLDER_FILE))).ok_or_else(|| {
        Failure::usage(match store {
            StoreUrl::Postgres(_) => {
                "a database has no folder for the holder; name a file with `--holder`"
            }
            StoreUrl::Redb(_)
            | StoreUrl::Fjall(_)
            | StoreUrl::Sled(_)
            | StoreUrl::Journal(..)
            | StoreUrl::Memory => {
                "a `memory:` store keeps nothing; use `redb:FOLDER`, or try `strongroom demo`"
            }
        })
    })
}

fn parse_store(text: Option<String>) -> Result<StoreUrl, Failure> {
    let text = text.ok_or_else(|| Failure::usage("name the store with `--store redb:FOLDER`"))?;
    StoreUrl::parse(&text).map_err(|error| Failure::usage(error.to_string()))
}

/// A store's URL as a word of a shell.
fn quoted_url(store: &StoreUrl) -> String {
    match store {
        StoreUrl::Postgres(url) => format!("'{url}'"),
        StoreUrl::Redb(_)
        | StoreUrl::Fjall(_)
        | StoreUrl::Sled(_)
        | StoreUrl::Journal(..)
        | StoreUrl::Memory => store.to_string(),
    }
}

/// Opens what `init` has made, to be served: the vault, locked.
async fn open_vault(
    store: &StoreUrl,
    holder: &Path,
    machine: &Machine,
    is_traced: bool,
) -> Result<(Arc<Vault>, Arc<FileHolder>, Keyring), Failure> {
    let opened = open_parts(store, holder, machine, is_traced).await?;
    refuse_unfinished_restore(&opened.0).await?;
    Ok(opened)
}

async fn refuse_unfinished_restore(vault: &Vault) -> Result<(), Failure> {
    let unfinished = backups::unfinished_restore(vault).await;
    if unfinished.map_err(|error| Failure::local(error.to_string()))? {
        return Err(Failure::local(
            "a restore of this store has not ended: run `strongroom restore` again",
        ));
    }
    Ok(())
}

/// The same, also where a restore has not ended.
async fn open_parts(
    store: &StoreUrl,
    holder: &Path,
    machine: &Machine,
    is_traced: bool,
) -> Result<(Arc<Vault>, Arc<FileHolder>, Keyring), Failure> {
    let holder_file = || {
        let file = FileHolder::open(holder, None).map(Arc::new);
        file.map_err(|error| Failure::local(error.to_string()))
    };
    // A holder that cannot be used is found first, because the engine notes in its database that it
    // was opened; but where there is no store, that is what is wrong.
    if store.path().is_some_and(|folder| folder.join(FORMAT_FILE).exists()) {
        drop(holder_file()?);
    }
    let url = store.clone();
    let store = tokio::task::spawn_blocking(move || strongroom_storage::open(&url))
        .await
        .map_err(|_| Failure::local("opening the store was cut short"))?
        .map_err(|error| Failure::local(error.to_string()))?;
    let store = if is_traced { Arc::new(TracedStore(store)) } else { store };
    let file = holder_file()?;
    let heads: Vec<Arc<dyn HeadPlace>> = vec![Arc::new(HeadFile::beside(holder))];
    let opened = vault_over(store, file.clone(), heads, machine).await;
    let (vault, keyring) = opened.map_err(|failure| with_holder(failure, holder))?;
    Ok((vault, file, keyring))
}

/// The vault over a store and its holder, locked.
async fn vault_over(
    store: Arc<dyn Store>,
    holder: Arc<dyn Holder>,
    heads: Vec<Arc<dyn HeadPlace>>,
    machine: &Machine,
) -> Result<(Arc<Vault>, Keyring), Failure> {
    let holders: Vec<Arc<dyn Holder>> = vec![holder];
    let keyring = Keyring::open(store.clone(), holders, machine.clock.clone(), machine.rng.clone())
        .await
        .map_err(|error| key_failure(&error))?;
    let vault =
        Vault::new(store, Arc::new(keyring.clone()), machine.clock.clone(), machine.rng.clone());
    Ok((Arc::new(vault.with_heads(heads)), keyring))
}

/// A word of our own that is none would be our fault.
fn words(error: strongroom_model::Malformed) -> Failure {
    Failure::local(error.to_string())
}

/// Which file it is about, for a failure that may come from the holder.
fn with_holder(mut failure: Failure, holder: &Path) -> Failure {
    failure.message = format!("{} (with the holder `{}`)", failure.message, holder.display());
    failure
}

fn rejected(error: &Rejected) -> Failure {
    match error {
        Rejected::Keys(error) => key_failure(error),
        Rejected::OlderCopy
        | Rejected::NoHead
        | Rejected::HeadDamaged
        | Rejected::HeadOfAnother
        | Rejected::Damaged(_) => Failure::new(Exit::CheckFailed, error.to_string()),
        Rejected::Store(_) => Failure::local(error.to_string()),
    }
}

fn key_failure(error: &strongroom_keyring::KeyError) -> Failure {
    let exit = match error {
        strongroom_keyring::KeyError::WrongSealKey => Exit::Denied,
        _ => Exit::Local,
    };
    Failure::new(exit, error.to_string())
}
