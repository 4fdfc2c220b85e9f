//! What is wrong with a database: when the store is opened, for the operator; afterwards, for
//! whoever asked.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use tokio_postgres::error::{DbError, SqlState};

use crate::StoreError;

/// Why a database cannot be used, and what to do. It never has a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseProblem {
    /// Nobody answers there.
    #[error("nobody answers ({0}); check host, port and network, and that the database runs")]
    Unreachable(String),
    /// It does not let us in.
    #[error("it does not let the user in ({0}); check user, database and password file")]
    Denied(String),
    /// There is no such database.
    #[error("it has no such database; make it with `createdb`, or name another one")]
    NoDatabase,
    /// TLS does not come about, or its certificate is not believed.
    #[error(
        "TLS with it fails ({0}); name its authority with `sslrootcert=FILE`, or say \
         `sslmode=disable` if nobody else is on the way to it"
    )]
    Tls(String),
    /// A file that the URL names cannot be used.
    #[error("the file `{}` cannot be used: {reason}; check `{option}` and who may read the file", .path.display())]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: io::Error,
    },
    /// Nothing is there yet.
    #[error("no store is in it; run `strongroom init`")]
    Missing,
    /// Creating would overwrite something.
    #[error("a store is in it already; start that one, or name another database")]
    Occupied,
    /// The schema belongs to somebody else.
    #[error("its schema `strongroom` is not that of a store ({0}); name another database")]
    Foreign(String),
    /// A store of another format version.
    #[error(
        "the store in it has format {found}, and this program reads format {known}; use the \
         version of the program that wrote it"
    )]
    Version {
        /// The version found.
        found: i64,
        /// The version this program knows.
        known: i64,
    },
    /// Another server uses it.
    #[error(
        "another server uses the store; stop that one first. If it has crashed, try again in ten \
         seconds"
    )]
    InUse,
    /// A setting under which acknowledged writes may be lost.
    #[error("its setting `{0}` is off, so that it may lose what it has acknowledged; switch it on")]
    NotDurable(&'static str),
    /// The user lacks a right.
    #[error("the user may not do what is needed ({0}); make the user the owner of the database")]
    NotAllowed(String),
    /// A pooler gave a statement to a connection that does not know it.
    #[error("a pooler is in between that keeps no statements; say `statements=unnamed`")]
    Pooler,
    /// Something else.
    #[error("{0}; look into its log")]
    Other(String),
}

/// Why something was not done by the database.
#[derive(Debug)]
pub(super) enum LinkError {
    /// The database says so, or the connection has ended.
    Database(tokio_postgres::Error),
    /// It took too long.
    Late,
    /// The connection could not be made.
    Problem(DatabaseProblem),
}

impl From<tokio_postgres::Error> for LinkError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

/// What a failure means for what was to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It may go well if it is tried again.
    Passing(&'static str),
    /// Trying again does not help.
    Lasting(StoreError),
}

impl Trouble {
    /// What is answered when there is no time to try again.
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Passing(why) => StoreError::Unavailable(why),
            Self::Lasting(error) => error,
        }
    }
}

impl LinkError {
    /// What it means for a store that is open.
    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Database(error) => match error.code() {
                Some(code) => trouble_of(code),
                None => Trouble::Passing("the connection to the database was lost"),
            },
            Self::Late => Trouble::Passing("the database takes too long"),
            Self::Problem(_) => Trouble::Passing("the database cannot be reached"),
        }
    }

    /// What it means for a store that is being opened.
    pub(super) fn problem(self) -> DatabaseProblem {
        match self {
            Self::Problem(problem) => problem,
            Self::Late => DatabaseProblem::Unreachable("it takes too long".to_owned()),
            Self::Database(error) => match error.as_db_error() {
                Some(said) => problem_of(said),
                None => unreached(&error),
            },
        }
    }
}

/// For the log: the code and the words of the database, without its details, in which keys may
/// stand.
impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(error) => match error.as_db_error() {
                Some(said) => write!(f, "{} ({})", said.message(), said.code().code()),
                None => f.write_str(&chain(error)),
            },
            Self::Late => f.write_str("it took too long"),
            Self::Problem(problem) => write!(f, "{problem}"),
        }
    }
}

fn trouble_of(code: &SqlState) -> Trouble {
    if *code == SqlState::DISK_FULL {
        return Trouble::Lasting(StoreError::Full);
    }
    match code.code().get(..2).unwrap_or_default() {
        // Serialisation, connection, resources, an operator's stop, a bound that was passed.
        "08" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" => {
            Trouble::Passing("the database is busy, or it is being restarted")
        }
        "26" => Trouble::Passing("a pooler forgets statements; say `statements=unnamed`"),
        // Tables or columns that are not ours any more, and damaged files.
        "3F" | "42" | "XX" => Trouble::Lasting(StoreError::Damaged("the tables of the database")),
        _ => Trouble::Lasting(StoreError::Unavailable("the database refuses a statement")),
    }
}

fn problem_of(said: &DbError) -> DatabaseProblem {
    let words = said.message().to_owned();
    match (said.code().code(), said.code().code().get(..2).unwrap_or_default()) {
        ("3D000", _) => DatabaseProblem::NoDatabase,
        ("42501", _) => DatabaseProblem::NotAllowed(words),
        ("26000", _) => DatabaseProblem::Pooler,
        (_, "28") => DatabaseProblem::Denied(words),
        (_, "08" | "53" | "57") => DatabaseProblem::Unreachable(words),
        _ => DatabaseProblem::Other(words),
    }
}

/// What is wrong where the database itself has said nothing.
fn unreached(error: &tokio_postgres::Error) -> DatabaseProblem {
    let mut cause = error.source();
    while let Some(error) = cause {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(error) = wrapped.and_then(|error| error.downcast_ref::<rustls::Error>()) {
            return DatabaseProblem::Tls(error.to_string());
        }
        if error.is::<rustls::Error>() {
            return DatabaseProblem::Tls(error.to_string());
        }
        cause = error.source();
    }
    let words = chain(error);
    // The library tells these apart in words alone.
    if words.starts_with("error performing TLS handshake") {
        DatabaseProblem::Tls(words)
    } else if words.starts_with("invalid configuration") {
        DatabaseProblem::Denied(words)
    } else {
        DatabaseProblem::Unreachable(words)
    }
}

/// An error and what it comes from.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}
