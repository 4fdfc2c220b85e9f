//! Unlocking over HTTP: how a passphrase or key becomes loaded keys is known above this room.

use async_trait::async_trait;
use strongroom_model::Plaintext;
use strongroom_vault::Vault;
use strongroom_vault::integrity::Rejected;

/// What proves that somebody may unlock the server.
pub enum SealProof<'a> {
    /// The passphrase of the holders.
    Passphrase(&'a Plaintext<String>),
    /// The seal key itself, as text: `strongroom-seal-key-1-…`.
    Key(&'a Plaintext<String>),
}

/// Why the server stays locked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// The passphrase or key is not the one under which the root secret is sealed.
    #[error("the passphrase or key is not the one that opens the root secret")]
    WrongKey,
    /// The store is an older copy, or not what was written, or its head is not there.
    #[error(transparent)]
    Rejected(Rejected),
    /// The store or a holder cannot be reached, or does not fit.
    #[error("the keys cannot be loaded")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Rejected> for UnlockError {
    fn from(rejected: Rejected) -> Self {
        if rejected.is_wrong_key() {
            return Self::WrongKey;
        }
        match rejected {
            Rejected::OlderCopy
            | Rejected::NoHead
            | Rejected::HeadDamaged
            | Rejected::HeadOfAnother
            | Rejected::Damaged(_) => Self::Rejected(rejected),
            Rejected::Store(_) | Rejected::Keys(_) => Self::Unavailable(Box::new(rejected)),
        }
    }
}

/// Turns a passphrase or key into loaded keys. Whoever assembles the server knows which holders
/// there are and how their shares are sealed, and implements this.
#[async_trait]
pub trait Unlocker: Send + Sync + 'static {
    /// Loads the keys. The API lets one attempt run at a time.
    ///
    /// # Errors
    /// [`UnlockError`]; the server stays locked then.
    async fn unlock(&self, vault: &Vault, proof: SealProof<'_>) -> Result<(), UnlockError>;
}
