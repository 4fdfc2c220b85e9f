//! Where the sealed bytes of files lie: blobs, each under the id of its file, written once and never
//! changed.

mod folder;
mod memory;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_model::FileId;

pub use folder::FolderBlobs;
pub use memory::MemoryBlobs;

/// Most ids of one [`BlobStore::list`].
pub const BLOB_PAGE_MAX: usize = 10_000;

/// A place for blobs. It sees sealed bytes only, and nothing in a blob's name says whose it is.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Begins a blob. Until [`BlobWriter::finish`] it cannot be read; what is left of one that never
    /// gets there is removed by [`BlobStore::remove`].
    ///
    /// # Errors
    /// [`BlobError::Occupied`] if there is one under this id; otherwise as the place fails.
    async fn begin(&self, file: FileId) -> Result<Box<dyn BlobWriter>, BlobError>;

    /// The bytes of a range of a blob, all of them.
    ///
    /// # Errors
    /// [`BlobError::Missing`] if there is no such blob, or it ends before the range does; otherwise as
    /// the place fails.
    async fn read(&self, file: FileId, range: Range<u64>) -> Result<Bytes, BlobError>;

    /// How many bytes a blob has.
    ///
    /// # Errors
    /// [`BlobError::Missing`] if there is no such blob; otherwise as the place fails.
    async fn length(&self, file: FileId) -> Result<u64, BlobError>;

    /// Removes a blob, whole or not. One that is not there is removed already.
    ///
    /// # Errors
    /// As the place fails.
    async fn remove(&self, file: FileId) -> Result<(), BlobError>;

    /// The ids of the first `limit` blobs, unfinished ones too, after this one in ascending order; fewer
    /// than `limit` means that there are no more. What has no name of a blob is passed over.
    ///
    /// # Errors
    /// [`BlobError::Refused`] above [`BLOB_PAGE_MAX`]; otherwise as the place fails.
    async fn list(&self, after: Option<FileId>, limit: usize) -> Result<Vec<FileId>, BlobError>;
}

/// A blob in the making.
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`BlobError::Full`] if there is no room; otherwise as the place fails. The blob is of no use then.
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError>;

    /// Ends the blob: from here on it can be read, and a cut of the power does not take it away.
    ///
    /// # Errors
    /// As for [`BlobWriter::write`].
    async fn finish(self: Box<Self>) -> Result<(), BlobError>;
}

/// What can go wrong, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob, or not so much of it.
    #[error("the bytes of a file are missing from the place for files")]
    Missing,
    /// There is one already.
    #[error("the place for files has bytes under a new id")]
    Occupied,
    /// The caller's mistake.
    #[error("{0}")]
    Refused(&'static str),
    /// There is no room.
    #[error("the place for files is full")]
    Full,
    /// The place fails.
    #[error("the place for files is not available")]
    Unavailable(#[source] std::io::Error),
}

/// `folder:FOLDER` or `memory:`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BlobUrl {
    /// A local folder.
    Folder(PathBuf),
    /// Nothing is kept.
    Memory,
}

impl BlobUrl {
    /// Opens the place.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] if it is a folder that is not there and cannot be made.
    pub fn open(&self) -> Result<Arc<dyn BlobStore>, BlobError> {
        Ok(match self {
            Self::Folder(folder) => Arc::new(FolderBlobs::open(folder)?),
            Self::Memory => Arc::new(MemoryBlobs::default()),
        })
    }
}

/// A text that names no place for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place for files is `folder:FOLDER`")]
pub struct BlobUrlMalformed;

impl FromStr for BlobUrl {
    type Err = BlobUrlMalformed;

    fn from_str(text: &str) -> Result<Self, BlobUrlMalformed> {
        match text.split_once(':') {
            Some(("folder", folder)) if !folder.is_empty() => Ok(Self::Folder(folder.into())),
            Some(("memory", "")) => Ok(Self::Memory),
            Some(_) | None => Err(BlobUrlMalformed),
        }
    }
}

impl fmt::Display for BlobUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "folder:{}", folder.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u8) -> FileId {
        FileId::from_bytes([number; 16])
    }

    async fn put(blobs: &dyn BlobStore, id: FileId, parts: &[&'static [u8]]) {
        let mut writer = blobs.begin(id).await.unwrap();
        for part in parts {
            writer.write(Bytes::from_static(part)).await.unwrap();
        }
        writer.finish().await.unwrap();
    }

    /// What every place does.
    async fn check(blobs: &dyn BlobStore) {
        put(blobs, file(2), &[b"some ", b"", b"bytes"]).await;
        put(blobs, file(1), &[]).await;
        assert_eq!(blobs.read(file(2), 0..10).await.unwrap(), "some bytes");
        assert_eq!(blobs.read(file(2), 3..7).await.unwrap(), "e by");
        assert_eq!(blobs.read(file(2), 4..4).await.unwrap(), "");
        assert_eq!(blobs.length(file(2)).await.unwrap(), 10);
        assert_eq!(blobs.length(file(1)).await.unwrap(), 0);
        assert!(matches!(blobs.read(file(2), 3..11).await, Err(BlobError::Missing)));
        assert!(matches!(blobs.read(file(3), 0..1).await, Err(BlobError::Missing)));
        assert!(matches!(blobs.length(file(3)).await, Err(BlobError::Missing)));
        assert!(matches!(blobs.begin(file(2)).await.err(), Some(BlobError::Occupied)));

        // One that is not finished is not there, and stands in the list so that it can be removed.
        let mut half = blobs.begin(file(4)).await.unwrap();
        half.write(Bytes::from_static(b"half")).await.unwrap();
        assert!(matches!(blobs.read(file(4), 0..1).await, Err(BlobError::Missing)));
        assert!(matches!(blobs.length(file(4)).await, Err(BlobError::Missing)));
        drop(half);
        assert_eq!(blobs.list(None, 10).await.unwrap(), [file(1), file(2), file(4)]);
        assert_eq!(blobs.list(None, 2).await.unwrap(), [file(1), file(2)]);
        assert_eq!(blobs.list(Some(file(2)), 2).await.unwrap(), [file(4)]);
        assert!(blobs.list(None, BLOB_PAGE_MAX + 1).await.is_err());
        for gone in [2, 4, 4, 9] {
            blobs.remove(file(gone)).await.unwrap();
        }
        assert_eq!(blobs.list(None, 10).await.unwrap(), [file(1)]);
        assert!(matches!(blobs.read(file(2), 0..1).await, Err(BlobError::Missing)));
    }

    #[tokio::test]
    async fn every_place_gives_back_what_was_put_there() {
        check(&MemoryBlobs::default()).await;
        let folder = tempfile::tempdir().unwrap();
        check(&FolderBlobs::open(&folder.path().join("files")).unwrap()).await;
    }

    #[test]
    fn a_place_is_named_by_a_folder() {
        let named: BlobUrl = "folder:/var/lib/files".parse().unwrap();
        assert_eq!(named, BlobUrl::Folder("/var/lib/files".into()));
        assert_eq!(named.to_string(), "folder:/var/lib/files");
        for wrong in ["", "folder:", "/var/lib/files", "redb:a", "memory:a"] {
            assert!(wrong.parse::<BlobUrl>().is_err(), "{wrong}");
        }
    }
}
