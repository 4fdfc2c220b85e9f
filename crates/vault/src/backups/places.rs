//! Where backups go: places that the configuration names, and what each of them can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_model::BackupPlaceName;

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

    /// Makes an unfinished backup a finished one, in one step.
    ///
    /// # Errors
    /// [`PlaceProblem`].
    async fn finish(&self, backup: &str) -> Result<(), PlaceProblem>;

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

/// Why a place did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlaceProblem {
    /// There is no room; there may be later.
    #[error("there is no room at the place for backups")]
    Full,
    /// It is read-only, or not ours.
    #[error("the place for backups cannot be written")]
    Unwritable,
    /// What was to be read is not there.
    #[error("`{0}` is not there")]
    Missing(String),
    /// A file is longer than any of a backup.
    #[error("`{0}` is too long for a file of a backup")]
    TooLong(String),
    /// Anything else that the system says.
    #[error("the place for backups failed: {0}")]
    Failed(#[source] std::io::Error),
}

impl PlaceProblem {
    /// The word with which a job ends that meets it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Full => "place_full",
            Self::Unwritable => "place_not_writable",
            Self::Missing(_) | Self::TooLong(_) | Self::Failed(_) => "place_failed",
        }
    }
}
