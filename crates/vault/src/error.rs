//! What can go wrong in a use case, by what the caller would do differently.

use strongroom_access_policy::Refusal;
use strongroom_keyring::KeyError;
use strongroom_model::{Malformed, NoRandomness, ReceiptId, WrongState};
use strongroom_storage::{LinePlaced, StoreError};

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No credential, or none that is in force.
    #[error("the credential is missing, unknown, expired or revoked")]
    Unauthenticated,
    /// The policy refused; the refusal says what is missing and whom to ask.
    #[error("the request was refused: {}", .0.answer_code())]
    Refused(Refusal),
    /// The credential does not act for the user whom the request names: it acts for nobody, or they are
    /// not one of the tenant who may sign in.
    #[error("the user named is not one to act for")]
    UserNotAllowed,
    /// More persons than the tenant lets the backend read about in an hour.
    #[error("more persons than may be read about in an hour")]
    TooManySubjects {
        /// After how many seconds the next hour begins.
        seconds: u32,
    },
    /// What the caller may not know about, or what is not there.
    #[error("not found")]
    NotFound,
    /// It was erased; holders of `erase` or `read_audit` learn of the receipt.
    #[error("erased")]
    Erased(Option<ReceiptId>),
    /// What went wrong is on record, in these lines of the log.
    #[error("{error}")]
    OnRecord {
        /// What went wrong.
        error: Box<Self>,
        /// Where it stands in the log.
        lines: Vec<LinePlaced>,
    },
    /// The input means nothing that could be done.
    #[error("the input has {} flaws", .0.len())]
    Invalid(Vec<Flaw>),
    /// The state of what is there does not allow it.
    #[error("{detail}")]
    WrongState {
        /// A stable word for the case.
        code: &'static str,
        /// A sentence for people, without client data.
        detail: String,
    },
    /// Items of a batch that is carried out as a whole cannot be: nothing was done. Their places and
    /// why.
    #[error("{} items cannot be carried out", .0.len())]
    BatchFailed(Vec<(usize, VaultError)>),
    /// The change needs to name the version that it is made against.
    #[error("the change must name the version that it is made against")]
    VersionRequired,
    /// Somebody else was first.
    #[error("the version named is not the present one")]
    VersionStale {
        /// The present version.
        current: u64,
    },
    /// The same idempotency key came with another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyReused,
    /// The request was carried out before; its secret was shown then and is not kept.
    #[error("the secret was shown when the request was first made")]
    SecretAlreadyShown,
    /// Rows that the decision rests on changed too often while it was made.
    #[error("too many changes at the same time")]
    Conflict,
    /// The server's keys are not loaded.
    #[error("the server is locked")]
    Locked,
    /// The store or a holder cannot be reached, or is full.
    #[error("the store is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something stored is not what it should be.
    #[error("something stored is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system failed us.
    #[error("an internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with one part of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where: a JSON pointer (RFC 6901) into the request's body.
    pub pointer: String,
    /// What, without repeating the value.
    pub detail: String,
}

impl VaultError {
    /// One flaw at a place of the input.
    pub fn invalid(pointer: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        Self::Invalid(vec![Flaw { pointer: pointer.into(), detail: detail.to_string() }])
    }

    pub(crate) fn wrong_state(code: &'static str, detail: impl Into<String>) -> Self {
        Self::WrongState { code, detail: detail.into() }
    }

    /// Whether the caller may not see what it asked for, and that is on record.
    pub(crate) fn is_refusal(&self) -> bool {
        let unseen =
            |error: &Self| matches!(error, Self::Refused(_) | Self::TooManySubjects { .. });
        matches!(self, Self::OnRecord { error, .. } if unseen(error))
    }

    /// The stable word by which callers tell errors apart.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Refused(refusal) => refusal.answer_code(),
            Self::UserNotAllowed => "user_not_allowed",
            Self::TooManySubjects { .. } => "too_many_subjects",
            Self::NotFound => "not_found",
            Self::Erased(_) => "erased",
            Self::OnRecord { error, .. } => error.code(),
            Self::Invalid(_) => "invalid",
            Self::WrongState { code, .. } => code,
            Self::BatchFailed(_) => "batch_failed",
            Self::VersionRequired => "version_required",
            Self::VersionStale { .. } => "version_stale",
            Self::IdempotencyReused => "idempotency_key_reused",
            Self::SecretAlreadyShown => "secret_already_shown",
            Self::Conflict => "conflict",
            Self::Locked => "locked",
            Self::Unavailable(_) => "unavailable",
            Self::Damaged(_) => "damaged",
            Self::Internal(_) => "internal",
        }
    }
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            StoreError::Unavailable(_) | StoreError::Full => Self::Unavailable(Box::new(error)),
            StoreError::Refused(_) => Self::Internal(Box::new(error)),
            StoreError::Damaged(_) => Self::Damaged(Box::new(error)),
        }
    }
}

impl From<strongroom_crypto::Error> for VaultError {
    fn from(error: strongroom_crypto::Error) -> Self {
        match error {
            strongroom_crypto::Error::Damaged => Self::Damaged(Box::new(error)),
            strongroom_crypto::Error::TooLong => {
                Self::invalid("", "the record is too long: at most 64 KiB")
            }
            strongroom_crypto::Error::NoMemory => Self::Unavailable(Box::new(error)),
            strongroom_crypto::Error::NoRandomness | strongroom_crypto::Error::Misuse(_) => {
                Self::Internal(Box::new(error))
            }
        }
    }
}

impl From<NoRandomness> for VaultError {
    fn from(error: NoRandomness) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<Malformed> for VaultError {
    fn from(error: Malformed) -> Self {
        Self::invalid("", error)
    }
}

impl From<WrongState> for VaultError {
    fn from(error: WrongState) -> Self {
        Self::wrong_state(
            "wrong_state",
            format!("not possible in the present state, `{}`", error.0),
        )
    }
}

impl From<KeyError> for VaultError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Locked => Self::Locked,
            KeyError::Gone => Self::Erased(None),
            KeyError::Conflict => Self::Conflict,
            KeyError::Unknown => Self::NotFound,
            KeyError::Damaged(_) | KeyError::Mismatch(_) => Self::Damaged(Box::new(error)),
            other => Self::Unavailable(Box::new(other)),
        }
    }
}
