//! Archives: collections of a tenant in one sealed file, fetched, checked, and brought in elsewhere.
//! `docs/formats/archive.md` describes them.
//!
//! What is sealed is opened above: a reader here takes the bytes of an archive that has been opened.

mod collections;
mod fetch;
mod import;
mod reader;
mod resolve;
mod verify;

use serde::{Deserialize, Serialize};
use strongroom_model::CollectionName;

pub use fetch::{FetchError, fetch};
pub use import::{ArchiveImport, ArchiveImportError, Imported, import};
pub use reader::{ArchiveError, ArchiveReader, Part, Sha256};
pub use verify::{Archived, verify};

use crate::Collection;

/// An archive to be made.
#[derive(Debug, Clone, Serialize)]
pub struct NewArchive {
    /// Its collections; absent: all that the caller may export.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<CollectionName>>,
    /// For whom it is sealed: recipients of age, `age1…`.
    pub recipients: Vec<String>,
}

/// What stands first in an archive.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// What it is: `strongroom-archive`.
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// Whose archive it is.
    pub tenant: ArchivedTenant,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// For which purpose it was taken out, if that was said.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Its collections. Those that others refer to come before them, as far as that goes.
    pub collections: Vec<Collection>,
}

/// Whose archive it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArchivedTenant {
    /// The id that it has where it was made.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What stands last in an archive.
#[derive(Debug, Clone, Deserialize)]
pub struct End {
    /// Records of all collections.
    pub records: u64,
    /// What was written of each collection, in the order of the manifest.
    pub collections: Vec<Written>,
}

/// What was written of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its name.
    pub name: CollectionName,
    /// Records in its files.
    pub records: u64,
    /// Its files.
    pub files: u64,
    /// The digest over them, in hexadecimal.
    pub digest: String,
}
