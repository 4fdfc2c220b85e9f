//! What can go wrong, by what the caller can do about it.

use strongroom_model::NoRandomness;
use strongroom_storage::StoreError;

/// The result of an operation of the keyring.
pub type Result<T> = std::result::Result<T, KeyError>;

/// Why the keyring did not do what it was asked. It carries no keys, ids or slots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The keys are not in memory: somebody has to unlock.
    #[error("the server is locked")]
    Locked,
    /// The key was erased; it never comes back.
    #[error("the key was erased")]
    Gone,
    /// There is no such tenant or slot.
    #[error("there is no such key")]
    Unknown,
    /// Something has changed meanwhile, again and again: run again later. Nothing was changed.
    #[error("the key state has changed meanwhile")]
    Conflict,
    /// The caller's mistake: the same call can never succeed. Nothing was changed.
    #[error("{0}")]
    Refused(&'static str),
    /// The store does not answer or is full at the moment.
    #[error("the key state is not available: {0}")]
    Unavailable(StoreError),
    /// No holder of some class answers at the moment, or some class has no holder here.
    #[error("no holder of one of the classes of the root secret is available")]
    HoldersUnavailable,
    /// The seal key is not the one under which the holders' shares are sealed.
    #[error("the seal key does not open the root secret")]
    WrongSealKey,
    /// The store and its holders are of different times, or not of the same installation: bring the
    /// live key state or the right holders.
    #[error("{0}")]
    Mismatch(&'static str),
    /// There is no key state in the store yet.
    #[error("the store has no keys yet")]
    NotCreated,
    /// There is key state already; creating it again would lose everything.
    #[error("the store or a holder already has keys")]
    AlreadyCreated,
    /// Another coordinator has taken the batch over and ends it.
    #[error("another coordinator has taken the batch over")]
    Overtaken,
    /// What is stored is not what was written: somebody has to look.
    #[error("the key state is damaged: {0}")]
    Damaged(&'static str),
    /// The operating system's random generator failed.
    #[error("the operating system's random generator failed")]
    NoRandomness,
}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            StoreError::Refused(why) => Self::Refused(why),
            StoreError::Damaged(what) => Self::Damaged(what),
            StoreError::Full | StoreError::Unavailable(_) => Self::Unavailable(error),
        }
    }
}

impl From<NoRandomness> for KeyError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

/// A failed opening is damage, unless the place where it happens knows better.
impl From<strongroom_crypto::Error> for KeyError {
    fn from(error: strongroom_crypto::Error) -> Self {
        match error {
            strongroom_crypto::Error::Damaged => Self::Damaged("something sealed cannot be opened"),
            strongroom_crypto::Error::NoRandomness => Self::NoRandomness,
            strongroom_crypto::Error::TooLong => Self::Refused("too long for its format"),
            strongroom_crypto::Error::NoMemory => Self::Refused("not enough memory"),
            strongroom_crypto::Error::Misuse(what) => Self::Refused(what),
        }
    }
}
