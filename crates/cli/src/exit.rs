//! How the program ends: exit codes that scripts can rely on, and what is said on the way out.

use std::fmt::Write as _;
use std::process::ExitCode;

use strongroom_client::import::ImportError;
use strongroom_client::{ClientError, Problem, ProblemCode};

/// What the exit code says; the table stands in `docs/cli.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something here went wrong, or something unexpected.
    Local = 1,
    /// The command was not understood.
    Usage = 2,
    /// Not signed in, or not allowed.
    Denied = 3,
    /// It is not there, or no longer.
    NotFound = 4,
    /// It is in another state, or somebody else was first.
    Conflict = 5,
    /// The server cannot be reached, is locked, or did not answer in time.
    Unreachable = 6,
    /// Part of it was done; the rest stands in a file of rejects, or among the items of a job.
    Partly = 7,
    /// A check failed.
    CheckFailed = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: what, why, what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What is said on standard error.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self::new(Exit::Local, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A file could not be used.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::local(format!("cannot use `{}`: {error}", path.display()))
    }
}

impl From<strongroom_model::NoRandomness> for Failure {
    fn from(error: strongroom_model::NoRandomness) -> Self {
        Self::local(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => Self::new(exit_of(&problem), message_of(&problem)),
            ClientError::Unreachable { .. } | ClientError::TimedOut(_) => {
                Self::new(Exit::Unreachable, error.to_string())
            }
            ClientError::Address(_) => Self::usage(error.to_string()),
            ClientError::Untrusted { .. } => Self::local(format!(
                "{error}\n  next: name the certificate of its authority with `--ca-file`, if you know it \
                 to be the right one"
            )),
            ClientError::Authorities(_)
            | ClientError::Header(_)
            | ClientError::Unintelligible { .. }
            | ClientError::NoRandomness(_) => Self::local(error.to_string()),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Client(error) => error.into(),
            ImportError::Rows(_)
            | ImportError::Rejects(_)
            | ImportError::Results
            | ImportError::Checkpoint(_)
            | ImportError::NothingToResume
            | ImportError::Another => Self::local(error.to_string()),
        }
    }
}

/// The code decides where it is known, else the status.
fn exit_of(problem: &Problem) -> Exit {
    match &problem.code {
        ProblemCode::Unauthenticated | ProblemCode::WrongKey => Exit::Denied,
        ProblemCode::NotFound | ProblemCode::Erased => Exit::NotFound,
        ProblemCode::VersionRequired
        | ProblemCode::VersionStale
        | ProblemCode::IdempotencyKeyReused
        | ProblemCode::SecretAlreadyShown
        | ProblemCode::ExternalIdTaken
        | ProblemCode::Held
        | ProblemCode::Conflict => Exit::Conflict,
        ProblemCode::Locked | ProblemCode::Unavailable => Exit::Unreachable,
        ProblemCode::PurposeRequired
        | ProblemCode::BodyTooLarge
        | ProblemCode::InvalidJson
        | ProblemCode::Invalid
        | ProblemCode::Damaged
        | ProblemCode::Internal => Exit::Local,
        ProblemCode::Other(_) => match problem.status {
            401 | 403 => Exit::Denied,
            404 | 410 => Exit::NotFound,
            409 | 412 | 428 => Exit::Conflict,
            408 | 429 | 502..=504 => Exit::Unreachable,
            _ => Exit::Local,
        },
    }
}

fn message_of(problem: &Problem) -> String {
    let mut text = problem.to_string();
    // Writing to a string does not fail.
    for flaw in &problem.errors {
        let _ = write!(text, "\n  {}: {}", flaw.pointer, flaw.detail);
    }
    let mut line = |name: &str, what: &str| {
        let _ = write!(text, "\n  {name}: {what}");
    };
    if let Some(missing) = &problem.missing {
        line("missing", missing);
    }
    if !problem.ask.is_empty() {
        line("ask", &problem.ask.join(", "));
    }
    if let Some(version) = problem.current_version {
        line("current version", &version.to_string());
    }
    if let Some(receipt) = &problem.receipt {
        line("receipt", receipt);
    }
    if let Some(next) = next_step(&problem.code) {
        line("next", next);
    }
    if let Some(request) = &problem.request_id {
        line("request", request);
    }
    text
}

fn next_step(code: &ProblemCode) -> Option<&'static str> {
    match code {
        ProblemCode::Unauthenticated => {
            Some("name a token with `--token-file`, or sign in with `strongroom login`")
        }
        ProblemCode::WrongKey => Some("use the seal key or passphrase of this installation"),
        ProblemCode::PurposeRequired => Some("state the purpose with `--purpose`"),
        ProblemCode::VersionRequired => Some("name the version with `--if-version`"),
        ProblemCode::VersionStale => Some("read it again and repeat the change on what it is now"),
        ProblemCode::SecretAlreadyShown => Some("revoke it and make another one"),
        ProblemCode::Locked => Some("unlock the server with `strongroom unlock`"),
        ProblemCode::Unavailable | ProblemCode::Conflict => Some("try again later"),
        ProblemCode::NotFound => {
            Some("look at the names and ids, and with `strongroom whoami` at whose token it is")
        }
        ProblemCode::Erased
        | ProblemCode::IdempotencyKeyReused
        | ProblemCode::ExternalIdTaken
        | ProblemCode::Held
        | ProblemCode::BodyTooLarge
        | ProblemCode::InvalidJson
        | ProblemCode::Invalid
        | ProblemCode::Damaged
        | ProblemCode::Internal
        | ProblemCode::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, code: &str) -> u8 {
        let text = format!(r#"{{"status":{status},"code":"{code}","title":"t"}}"#);
        let problem = serde_json::from_str(&text).unwrap();
        Failure::from(ClientError::Problem(Box::new(problem))).exit as u8
    }

    #[test]
    fn problems_become_the_exit_codes_of_the_table() {
        for (status, code, exit) in [
            (401, "unauthenticated", 3),
            (403, "no_rule", 3),
            (403, "wrong_key", 3),
            (404, "not_found", 4),
            (410, "erased", 4),
            (409, "external_id_taken", 5),
            (409, "class_is_held", 5),
            (412, "version_stale", 5),
            (428, "version_required", 5),
            (503, "conflict", 5),
            (503, "locked", 6),
            (503, "unavailable", 6),
            (429, "too_many_requests", 6),
            (400, "invalid_json", 1),
            (422, "invalid", 1),
            (500, "internal", 1),
        ] {
            assert_eq!(check(status, code), exit, "{status} {code}");
        }
    }
}
