//! The API's problem documents (RFC 9457).

use std::fmt;

use serde::{Deserialize, Serialize};
use strongroom_tables::Flaw;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The stable word by which problems are told apart.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)*
            /// One that this version of the client does not know by name.
            Other(String),
        }

        impl ProblemCode {
            /// The word itself.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$name => $text,)* Self::Other(text) => text }
            }
        }

        impl From<String> for ProblemCode {
            fn from(text: String) -> Self {
                match text.as_str() { $($text => Self::$name,)* _ => Self::Other(text) }
            }
        }
    };
}

codes! {
    /// No credential, or none that is in force.
    Unauthenticated = "unauthenticated";
    /// The passphrase or key does not unlock the server.
    WrongKey = "wrong_key";
    /// It is not there, or the caller may not know about it.
    NotFound = "not_found";
    /// It has been erased.
    Erased = "erased";
    /// The request must state its purpose.
    PurposeRequired = "purpose_required";
    /// The change must name the version that it is made against.
    VersionRequired = "version_required";
    /// The version named is not the present one.
    VersionStale = "version_stale";
    /// The same idempotency key came with another request.
    IdempotencyKeyReused = "idempotency_key_reused";
    /// The request was carried out before; its secret was shown then.
    SecretAlreadyShown = "secret_already_shown";
    /// Another entry has this external id.
    ExternalIdTaken = "external_id_taken";
    /// A hold or an obligation forbids the erasure.
    Held = "held";
    /// The server's keys are not loaded.
    Locked = "locked";
    /// The store or a holder cannot be reached.
    Unavailable = "unavailable";
    /// Too many changes at the same time.
    Conflict = "conflict";
    /// The body is larger than the server takes.
    BodyTooLarge = "body_too_large";
    /// The body is not JSON of the right shape.
    InvalidJson = "invalid_json";
    /// The body means nothing that could be done.
    Invalid = "invalid";
    /// Something stored is damaged.
    Damaged = "damaged";
    /// The server failed.
    Internal = "internal";
}

impl From<ProblemCode> for String {
    fn from(code: ProblemCode) -> Self {
        code.as_str().to_owned()
    }
}

/// Why the server refused a request. It never holds a value of a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The stable word for the case.
    pub code: ProblemCode,
    /// What happened, in few words.
    pub title: String,
    /// What happened, in a sentence.
    #[serde(default)]
    pub detail: String,
    /// How the server's log names the request.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Whether the same request may succeed if it is sent again.
    #[serde(default)]
    pub retryable: bool,
    /// What is wrong with single parts of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Flaw>,
    /// For refusals: the rule or ceiling that is missing, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// For refusals: whom to ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<String>,
    /// For stale versions: the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<u64>,
    /// For what was erased: the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(f, "{words} ({})", self.code.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_of_a_later_version_is_still_understood() {
        let problem: Problem = serde_json::from_str(
            r#"{"type":"https://x","title":"T","status":403,"detail":"d","code":"no_such_yet",
                "request_id":"req_1","retryable":true,"new":{"a":1},"missing":"a rule","ask":["an owner"]}"#,
        )
        .unwrap();
        assert_eq!(problem.code, ProblemCode::Other("no_such_yet".to_owned()));
        assert_eq!(problem.to_string(), "d (no_such_yet)");
        assert!(problem.retryable);
    }

    #[test]
    fn a_code_reads_back_as_it_was_written() {
        for text in ["locked", "version_stale", "not_found", "something_else"] {
            assert_eq!(ProblemCode::from(text.to_owned()).as_str(), text);
        }
        assert_eq!(ProblemCode::from("locked".to_owned()), ProblemCode::Locked);
    }
}
