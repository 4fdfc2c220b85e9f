//! What can go wrong, by what the caller can do about it.

/// Why a line or receipt was not written or not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not a line or receipt that this version writes.
    #[error("not in a format of this version")]
    Malformed,
    /// The receipt was not signed by this key, or was changed afterwards.
    #[error("not signed by this key, or changed afterwards")]
    NotGenuine,
    /// The event has more touches, or a longer text, than a line can hold.
    #[error("too long for its format")]
    TooLong,
    /// The caller asked for a receipt that would claim what did not happen; a defect of the program.
    #[error("{0}")]
    Misuse(&'static str),
}

/// The result of writing or reading.
pub type Result<T> = std::result::Result<T, Error>;
