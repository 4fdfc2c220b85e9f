//! Files: written, read and removed, each in a field of a record; their bytes lie sealed in a place of
//! their own (`docs/formats/file.md`).

mod get;
mod put;
mod remove;
mod strays;
mod writable;

pub use get::{FileReader, FoundFile, NamedFile, get};
pub use put::{FileWritten, PutFile, Upload, put};
pub use remove::{RemoveFile, remove};
pub(crate) use strays::FileOwner;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_crypto::{Context, MessagePurpose};
use strongroom_model::{Collection, FieldType, FileId, FilePlace, SubjectId, TenantId};
use strongroom_storage::{BlobError, BlobStore};

use crate::records::Place;
use crate::{Vault, VaultError};

/// The size of the largest file, unless it is said otherwise: 5 GiB.
pub const LARGEST_FILE_DEFAULT: u64 = 5 * 1024 * 1024 * 1024;
/// Most fields of type `file` that a collection has, retired ones included: a batch of 100 records, each
/// with a file in every one of them, is deleted in one commit.
const FILE_FIELDS_MAX: usize = 16;
/// What is wrong with a collection that has more of them.
pub(crate) const TOO_MANY_FILES: &str =
    "a collection has at most 16 fields of type `file`, retired ones included";

/// The version in the context of every file: its id is used once.
const VERSION: u64 = 1;

/// Where the bytes of files lie.
pub(crate) struct Files {
    blobs: Arc<dyn BlobStore>,
    largest: u64,
    under_way: UnderWay,
}

/// The files that this process is writing.
type UnderWay = Arc<Mutex<HashSet<FileId>>>;

/// That a file is being written by this process, until it is dropped.
struct Writing {
    file: FileId,
    under_way: UnderWay,
}

impl Files {
    fn write(&self, file: FileId) -> Writing {
        let under_way = self.under_way.clone();
        under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(file);
        Writing { file, under_way }
    }

    fn is_writing(&self, file: FileId) -> bool {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).contains(&file)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.file);
    }
}

impl Vault {
    /// Says where the bytes of files lie and how many one may have; once, before the server works.
    pub fn keep_files(&self, blobs: Arc<dyn BlobStore>, largest: u64) {
        // A second place is a mistake that changes nothing.
        let _ = self.files.set(Files { blobs, largest, under_way: UnderWay::default() });
    }

    /// How many bytes a file may have.
    pub fn largest_file(&self) -> u64 {
        self.files.get().map_or(0, |files| files.largest)
    }

    /// Where the bytes of files lie.
    ///
    /// # Errors
    /// `no_place_for_files`, if it was not said.
    fn files(&self) -> Result<&Files, VaultError> {
        self.files.get().ok_or_else(|| {
            VaultError::wrong_state("no_place_for_files", "the server has no place for files")
        })
    }

    /// Where a file's sealed message belongs.
    fn file_context(
        &self,
        tenant: TenantId,
        collection: &Collection,
        subject: SubjectId,
        epoch: u16,
        place: FilePlace,
    ) -> Context {
        Context {
            purpose: MessagePurpose::File,
            epoch,
            install: self.keyring.install(),
            tenant,
            subject: *subject.as_bytes(),
            object: *place.file.as_bytes(),
            collection: collection.number.0,
            index: 0,
            number: place.number,
            version: VERSION,
        }
    }
}

/// Where a file's key is, beside its record's.
const fn beside(record: Place, file: FilePlace) -> Place {
    Place { number: file.number, ..record }
}

/// Whether a collection may have so many files.
pub(crate) fn too_many_files<'f>(kinds: impl Iterator<Item = &'f FieldType>) -> bool {
    kinds.filter(|kind| **kind == FieldType::File).count() > FILE_FIELDS_MAX
}

impl From<BlobError> for VaultError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Missing => Self::Damaged(Box::new(error)),
            BlobError::Occupied | BlobError::Refused(_) => Self::Internal(Box::new(error)),
            BlobError::Full | BlobError::Unavailable(_) => Self::Unavailable(Box::new(error)),
        }
    }
}
