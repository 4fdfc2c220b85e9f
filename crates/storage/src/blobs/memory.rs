//! Blobs in memory: for trying out and for tests, gone with the process.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_model::FileId;

use super::{BLOB_PAGE_MAX, BlobError, BlobStore, BlobWriter};

/// A place that keeps nothing when the process ends.
#[derive(Default)]
pub struct MemoryBlobs(Arc<Mutex<BTreeMap<FileId, Blob>>>);

#[derive(Default)]
struct Blob {
    bytes: Vec<u8>,
    whole: bool,
}

struct Writer {
    blobs: Arc<Mutex<BTreeMap<FileId, Blob>>>,
    file: FileId,
}

impl MemoryBlobs {
    fn blobs(&self) -> MutexGuard<'_, BTreeMap<FileId, Blob>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn begin(&self, file: FileId) -> Result<Box<dyn BlobWriter>, BlobError> {
        let mut blobs = self.blobs();
        if blobs.contains_key(&file) {
            return Err(BlobError::Occupied);
        }
        blobs.insert(file, Blob::default());
        Ok(Box::new(Writer { blobs: self.0.clone(), file }))
    }

    async fn read(&self, file: FileId, range: Range<u64>) -> Result<Bytes, BlobError> {
        let blobs = self.blobs();
        let blob = blobs.get(&file).filter(|blob| blob.whole).ok_or(BlobError::Missing)?;
        let place = |at: u64| usize::try_from(at).map_err(|_| BlobError::Missing);
        let bytes = blob.bytes.get(place(range.start)?..place(range.end)?);
        bytes.map(Bytes::copy_from_slice).ok_or(BlobError::Missing)
    }

    async fn length(&self, file: FileId) -> Result<u64, BlobError> {
        let blobs = self.blobs();
        let blob = blobs.get(&file).filter(|blob| blob.whole).ok_or(BlobError::Missing)?;
        Ok(u64::try_from(blob.bytes.len()).unwrap_or(u64::MAX))
    }

    async fn remove(&self, file: FileId) -> Result<(), BlobError> {
        self.blobs().remove(&file);
        Ok(())
    }

    async fn list(&self, after: Option<FileId>, limit: usize) -> Result<Vec<FileId>, BlobError> {
        if limit > BLOB_PAGE_MAX {
            return Err(BlobError::Refused("too many blobs are asked for at once"));
        }
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self
            .blobs()
            .range((from, Bound::Unbounded))
            .take(limit)
            .map(|(file, _)| *file)
            .collect())
    }
}

impl Writer {
    fn change(&self, change: impl FnOnce(&mut Blob)) -> Result<(), BlobError> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.get_mut(&self.file).map(change).ok_or(BlobError::Missing)
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.change(|blob| blob.bytes.extend_from_slice(&bytes))
    }

    async fn finish(self: Box<Self>) -> Result<(), BlobError> {
        self.change(|blob| blob.whole = true)
    }
}
