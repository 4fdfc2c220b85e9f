//! Where the seal key comes from: a key file, or a passphrase.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_crypto::Key;
use strongroom_crypto::seal_key::{self, SealParameters};
use strongroom_keyring::SealMethod;
use strongroom_model::Rng;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::files::{self, SecretFile};

/// A passphrase is at least so long; argon2id does the rest.
const PASSPHRASE_CHARACTERS_MIN: usize = 12;

/// How a new installation's root secret is sealed.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct SealArguments {
    /// Make a seal key in this new file
    #[arg(long, value_name = "FILE")]
    seal_key_file: Option<PathBuf>,
    /// A file with a passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Read a passphrase from standard input
    #[arg(long)]
    passphrase_stdin: bool,
}

/// The seal key of a new installation, not yet written down anywhere.
pub(super) struct NewSeal {
    pub(super) key: Key,
    pub(super) method: SealMethod,
    /// The key file that is to be made.
    pub(super) file: Option<PathBuf>,
}

impl SealArguments {
    /// The seal key that was asked for.
    pub(super) fn choose(self, rng: &dyn Rng) -> Result<NewSeal, Failure> {
        let passphrase = match (self.seal_key_file, self.passphrase_file) {
            (Some(path), _) => return NewSeal::generate(Some(path), rng),
            (None, Some(path)) => files::secret(&path)?,
            (None, None) if self.passphrase_stdin => files::secret(Path::new("-"))?,
            (None, None) if std::io::stdin().is_terminal() => typed_twice()?,
            (None, None) => {
                return Err(Failure::usage(
                    "name `--seal-key-file`, `--passphrase-file` or `--passphrase-stdin`",
                ));
            }
        };
        if passphrase.chars().count() < PASSPHRASE_CHARACTERS_MIN {
            return Err(Failure::local("a passphrase has at least 12 characters"));
        }
        let parameters = SealParameters::floor(rng).map_err(|error| crypto(&error))?;
        let key = parameters.derive(passphrase.as_bytes()).map_err(|error| crypto(&error))?;
        Ok(NewSeal { key, method: SealMethod::Passphrase(parameters), file: None })
    }
}

impl NewSeal {
    /// A random key.
    pub(super) fn generate(file: Option<PathBuf>, rng: &dyn Rng) -> Result<Self, Failure> {
        let key = Key::generate(rng).map_err(|error| crypto(&error))?;
        Ok(Self { key, method: SealMethod::KeyFile, file })
    }

    /// Writes the key file, if there is to be one.
    pub(super) fn write(&self) -> Result<(), Failure> {
        match &self.file {
            Some(path) => SecretFile::create(path)?.write(seal_key::write_file(&self.key).expose()),
            None => Ok(()),
        }
    }
}

/// The key in a key file.
pub(crate) fn from_file(path: &Path) -> Result<Key, Failure> {
    let text = files::secret(path)?;
    seal_key::parse_file(&text)
        .map_err(|error| Failure::local(format!("`{}`: {error}", path.display())))
}

fn typed_twice() -> Result<Zeroizing<String>, Failure> {
    let ask = |prompt| {
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(|error| Failure::local(format!("cannot ask: {error}")))
    };
    let first = ask("passphrase: ")?;
    if *first == *ask("once more: ")? {
        Ok(first)
    } else {
        Err(Failure::local("the two passphrases differ; nothing was done"))
    }
}

fn crypto(error: &strongroom_crypto::Error) -> Failure {
    Failure::local(error.to_string())
}
