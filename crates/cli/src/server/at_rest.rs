//! A store whose server does not run: which one it is, and what opens its keys.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use strongroom_crypto::Key;
use strongroom_keyring::{FileHolder, Keyring, SealMethod};
use strongroom_storage::StoreUrl;
use strongroom_vault::Vault;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::files;
use crate::server::{
    Machine, holder_path, open_parts, parse_store, refuse_unfinished_restore, seal,
};
use crate::settings::ServeSettings;

/// Which store, at rest, and what opens its keys.
#[derive(Debug, Args)]
pub(super) struct AtRest {
    /// The store: `redb:FOLDER`, `redb+journal:FOLDER`, `fjall:FOLDER`, `sled:FOLDER` or `postgres://USER@HOST/DATABASE`
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

/// A store at rest: its vault, locked, and what opens its keys.
pub(super) struct Opened {
    pub(super) vault: Arc<Vault>,
    pub(super) keyring: Keyring,
    pub(super) key: Key,
}

impl AtRest {
    /// The store, if it could be served.
    pub(super) async fn open(self, settings: &ServeSettings) -> Result<Opened, Failure> {
        let opened = self.open_parts(settings).await?;
        refuse_unfinished_restore(&opened.vault).await?;
        Ok(opened)
    }

    /// The store, also where a restore has not ended.
    pub(super) async fn open_parts(self, settings: &ServeSettings) -> Result<Opened, Failure> {
        let store = self.store(settings)?;
        let holder = holder_path(self.holder.clone().or_else(|| settings.holder.clone()), &store)?;
        let machine = Machine::new();
        let (vault, file, keyring) = open_parts(&store, &holder, &machine, false).await?;
        let key = self.key(settings, &file)?;
        Ok(Opened { vault, keyring, key })
    }

    /// Which store it is.
    pub(super) fn store(&self, settings: &ServeSettings) -> Result<StoreUrl, Failure> {
        parse_store(self.store.clone().or_else(|| settings.store.clone()))
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
