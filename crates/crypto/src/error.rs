//! What can go wrong, by what the caller can do about it.

use strongroom_model::NoRandomness;

/// Why sealing or opening did not happen. It carries no values, keys or lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something sealed cannot be opened: another key, another place, other bytes. It is one error
    /// on purpose, whatever the cause.
    #[error("cannot be opened")]
    Damaged,
    /// The operating system's random generator failed; nothing was sealed.
    #[error("the operating system's random generator failed")]
    NoRandomness,
    /// What should be sealed is longer than its format allows.
    #[error("too long for its format")]
    TooLong,
    /// There is not enough memory to turn the passphrase into a key.
    #[error("not enough memory to turn the passphrase into a key")]
    NoMemory,
    /// The caller broke a rule of the format; a defect of the program, not of the data.
    #[error("{0}")]
    Misuse(&'static str),
}

/// The result of sealing or opening.
pub type Result<T> = std::result::Result<T, Error>;

impl From<NoRandomness> for Error {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}
