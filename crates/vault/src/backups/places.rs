//! Where backups go: places that the configuration names, and what each of them can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_model::BackupPlaceName;

/// Longest file that is read, in bytes: a part ends soon after 4 MiB, and its last rows are no longer
/// than this leaves room for.
pub(super) const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The places that this server knows.
pub type Places = BTreeMap<BackupPlaceName, Arc<dyn BackupPlace>>;

/// A place for backups. What is written is durable when the call returns; an unfinished backup is
/// never taken for a whole one, and those that are finished are never touched.
#[async_trait]
pub trait BackupPlace: Send + Sync {
    /// Begins a backup, unless that was done before.
    ///
    /// # Errors
    /// [`PlaceProblem`].
    async fn begin(&self, backup: &str) -> Result<(), PlaceProblem>;

    /// Writes a file of a backup that was begun, in place of one of this name that a crash has left.
    ///
    /// # Errors
    /// [`PlaceProblem`].
    async fn write(&self, backup: &str, file: &str, bytes: Vec<u8>) -> Result<(), PlaceProblem>;

    /// Reads a file of an unfinished backup again.
    ///
    /// # Errors
    /// [`PlaceProblem`].
    async fn read_unfinished(&self, backup: &str, file: &str) -> Result<Vec<u8>, PlaceProblem>;

    /// Reads a file of a finished backup.
    ///
    /// # Errors
    /// [`PlaceProblem`]; [`PlaceProblem::Missing`] where there is none.
    async fn read(&self, backup: &str, file: &str) -> Result<Vec<u8>, PlaceProblem>;

    /// Writes the manifest of an unfinished backup and makes it a finished one, in one step.
    ///
    /// # Errors
    /// [`PlaceProblem`].
    async fn finish(&self, backup: &str, manifest: Vec<u8>) -> Result<(), PlaceProblem>;

    /// The names of unfinished backups.
    ///
    /// # Errors
    /// [`PlaceProblem`].
    async fn unfinished(&self) -> Result<Vec<String>, PlaceProblem>;

    /// Removes an unfinished backup, if it is there.
    ///
    /// # Errors
    /// [`PlaceProblem`].
    async fn discard(&self, backup: &str) -> Result<(), PlaceProblem>;
}

/// Why a place did not do what was asked, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum PlaceProblem {
    /// There is no room; there may be later.
    #[error("there is no room at the place for backups: make room there")]
    Full,
    /// It is read-only, or not ours.
    #[error(
        "the place for backups may not be used like this: it is read-only, another user's, or these \
         credentials may not read, write, list and remove objects there"
    )]
    Forbidden,
    /// The folder or the bucket is not there.
    #[error("the place for backups is not there: mount its disk, or make the bucket")]
    Gone,
    /// It does not believe the credentials.
    #[error("the place for backups does not let us in: {0}")]
    Credentials(#[source] Cause),
    /// It does not answer.
    #[error("the place for backups does not answer: {0}")]
    Unreachable(#[source] Cause),
    /// What was to be read is not there.
    #[error("`{0}` is not there")]
    Missing(String),
    /// A file is longer than any of a backup.
    #[error("`{0}` is too long for a file of a backup")]
    TooLong(String),
    /// Anything else that the system or the place says.
    #[error("the place for backups failed: {0}")]
    Failed(#[source] Cause),
}

/// What the system, or the place, says.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl PlaceProblem {
    /// The word with which a job ends that meets it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Full => "place_full",
            Self::Forbidden => "place_not_writable",
            Self::Gone => "place_gone",
            Self::Credentials(_) => "place_credentials",
            Self::Unreachable(_) => "place_unreachable",
            Self::Missing(_) | Self::TooLong(_) | Self::Failed(_) => "place_failed",
        }
    }
}
