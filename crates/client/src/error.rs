//! What can go wrong in a call, by what the caller would do differently.

use crate::Problem;

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server's address cannot be used.
    #[error("{0}")]
    Address(&'static str),
    /// The certificate authorities cannot be used.
    #[error("{0}")]
    Authorities(&'static str),
    /// The token, purpose or reason cannot stand in a header.
    #[error("{0}")]
    Header(&'static str),
    /// The server refused; the problem says why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Nothing answers there, or the connection broke.
    #[error("the server cannot be reached at {address}: {reason}")]
    Unreachable {
        /// The server's address.
        address: String,
        /// What the network said.
        reason: String,
    },
    /// Whoever answers there has not proved to be the server, so nothing was sent.
    #[error("{address} is not trusted: {reason}")]
    Untrusted {
        /// The server's address.
        address: String,
        /// What is wrong with its certificate, or with its TLS.
        reason: &'static str,
    },
    /// No answer came in time. Whether the request was carried out is not known.
    #[error("no answer came in time from {0}")]
    TimedOut(String),
    /// What answers is not this API, or another version of it.
    #[error("the answer (status {status}) is not one of this API: {reason}")]
    Unintelligible {
        /// The answer's HTTP status.
        status: u16,
        /// What is wrong with it, without its content.
        reason: &'static str,
    },
    /// The operating system's random generator failed.
    #[error(transparent)]
    NoRandomness(#[from] strongroom_model::NoRandomness),
}

impl ClientError {
    /// The problem document, if the server sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::Address(_)
            | Self::Authorities(_)
            | Self::Header(_)
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::TimedOut(_)
            | Self::Unintelligible { .. }
            | Self::NoRandomness(_) => None,
        }
    }
}
