//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

use crate::DatabaseProblem;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Something has changed meanwhile: read again and run again. Nothing was changed.
    #[error("the rows have changed meanwhile")]
    Conflict,
    /// The caller's mistake: the same call can never succeed. Nothing was changed.
    #[error("{0}")]
    Refused(&'static str),
    /// There is no room on the disk. Nothing was changed; reading goes on.
    #[error("the store's disk is full")]
    Full,
    /// The store cannot be reached at the moment; whether a change took place is seen by reading.
    #[error("the store is not available: {0}")]
    Unavailable(&'static str),
    /// What is stored is not what was written: somebody has to look.
    #[error("the store is damaged: {0}")]
    Damaged(&'static str),
}

/// Why a store was not created or opened. The message names the path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The text is no store URL.
    #[error(
        "`{0}` names no store; use `redb:FOLDER`, `fjall:FOLDER`, `sled:FOLDER`, \
         `redb+journal:FOLDER`, `postgres://USER@HOST/DATABASE` or `memory:`"
    )]
    Url(String),
    /// The text is no URL of a database. It is not shown, because a password may stand in it.
    #[error("the URL of the database is not understood: {0}")]
    PostgresUrl(&'static str),
    /// Nothing is there yet.
    #[error("no store at `{}`; run `strongroom init`", .0.display())]
    Missing(PathBuf),
    /// A store lives with its process and cannot be opened again.
    #[error("a `memory:` store cannot be opened again; use `redb:FOLDER`")]
    NotKept,
    /// Creating would overwrite something.
    #[error("`{}` exists and is not empty; choose another folder, or start the store that is there", .0.display())]
    Occupied(PathBuf),
    /// Something else than a store is there.
    #[error("`{}` is not a Strongroom store; check the path", .0.display())]
    Foreign(PathBuf),
    /// A store of another format version.
    #[error("the store at `{}` has format {found}, and this program reads format {known}; use the version of the program that wrote it", .path.display())]
    Version {
        /// The folder.
        path: PathBuf,
        /// The version found.
        found: String,
        /// The version this program knows.
        known: u32,
    },
    /// A store of another engine.
    #[error("the store at `{}` was made with the engine `{found}`; use `{found}:` in its URL", .path.display())]
    Engine {
        /// The folder.
        path: PathBuf,
        /// The engine's name.
        found: String,
    },
    /// Another process, or another part of this one, has it open.
    #[error("the store at `{}` is in use by another process; stop that one first", .0.display())]
    InUse(PathBuf),
    /// The operating system refuses.
    #[error("cannot use `{}`: {reason}; check its permissions and its disk", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        reason: std::io::Error,
    },
    /// The bytes are not what was written.
    #[error("`{}` is damaged: {what}; restore the store from a backup", .path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It needs more memory than this process may use.
    #[error(
        "`{}` has {} MiB and needs twice as much memory, of which there are {} MiB here; give the server more",
        .path.display(), .bytes >> 20, .memory >> 20
    )]
    TooLarge {
        /// The file or folder.
        path: PathBuf,
        /// Its bytes.
        bytes: u64,
        /// The bytes of memory that there are.
        memory: u64,
    },
    /// A database that cannot be used.
    #[error("cannot use the database `{place}`: {problem}")]
    Database {
        /// Its URL, without a password.
        place: String,
        /// What is wrong with it.
        problem: DatabaseProblem,
    },
}
