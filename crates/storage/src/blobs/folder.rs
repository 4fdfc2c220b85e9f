//! Blobs in a local folder: written beside, synced, and renamed when they are whole.
//!
//! `FOLDER/ab/cd/…` holds what is whole, under the 32 hexadecimal digits of its id, the first four of
//! them as two folders, so that no folder grows with the number of files by more than a 65,536th of
//! it. `FOLDER/unfinished/` holds what is being written.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_model::FileId;

use super::{BLOB_PAGE_MAX, BlobError, BlobStore, BlobWriter};
use crate::journal::sync_folder;

/// What is being written lies here.
const UNFINISHED: &str = "unfinished";
/// The mode of folders: for their owner only.
const PRIVATE_FOLDER: u32 = 0o700;
/// The mode of files.
const PRIVATE_FILE: u32 = 0o600;
/// So much room is left on the disk, in bytes: the store may be on the same one, and has to be able to
/// write down that something was erased.
const RESERVE_BYTES: u64 = 128 * 1024 * 1024;

/// A folder in which blobs lie.
#[derive(Debug, Clone)]
pub struct FolderBlobs {
    folder: PathBuf,
}

struct Writer {
    blobs: FolderBlobs,
    file: FileId,
    /// Absent while bytes are written, and after that has failed.
    side: Option<File>,
}

impl FolderBlobs {
    /// The place in this folder, which is made if the one above it is there.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] if it is not there and cannot be made.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        let blobs = Self { folder: folder.to_owned() };
        make_folder(folder)?;
        make_folder(&blobs.folder.join(UNFINISHED))?;
        Ok(blobs)
    }

    /// Where a blob lies that is whole.
    fn whole(&self, file: FileId) -> PathBuf {
        let name = name_of(file);
        let (first, rest) = name.split_at(2);
        let (second, rest) = rest.split_at(2);
        self.folder.join(first).join(second).join(rest)
    }

    /// Where a blob lies that is being written.
    fn side(&self, file: FileId) -> PathBuf {
        self.folder.join(UNFINISHED).join(name_of(file))
    }

    fn begin_now(&self, file: FileId) -> Result<File, BlobError> {
        if self.whole(file).try_exists()? {
            return Err(BlobError::Occupied);
        }
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(PRIVATE_FILE)
            .open(self.side(file));
        match created {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(BlobError::Occupied),
            created => Ok(created?),
        }
    }

    fn finish_now(&self, file: FileId, side: &File) -> Result<(), BlobError> {
        side.sync_all()?;
        let whole = self.whole(file);
        let inner = whole.parent().unwrap_or(&self.folder);
        make_folder(inner.parent().unwrap_or(&self.folder))?;
        make_folder(inner)?;
        fs::rename(self.side(file), &whole)?;
        Ok(sync_folder(inner)?)
    }

    fn remove_now(&self, file: FileId) -> Result<(), BlobError> {
        for path in [self.side(file), self.whole(file)] {
            match fs::remove_file(&path) {
                // What comes back after a cut of the power is removed again: whoever removes it says so
                // in the store when this has returned.
                Ok(()) => sync_folder(path.parent().unwrap_or(&self.folder))?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn list_now(&self, after: Option<FileId>, limit: usize) -> Result<Vec<FileId>, BlobError> {
        let wanted =
            |name: String| file_of(&name).filter(|file| after.is_none_or(|last| *file > last));
        let unfinished = names_in(&self.folder.join(UNFINISHED))?;
        let mut found: BTreeSet<FileId> = unfinished.into_iter().filter_map(wanted).collect();
        let mut whole = 0;
        'folders: for first in names_in(&self.folder)?.into_iter().filter(|name| name.len() == 2) {
            for second in names_in(&self.folder.join(&first))? {
                for rest in names_in(&self.folder.join(&first).join(&second))? {
                    let file = wanted(format!("{first}{second}{rest}"));
                    whole += usize::from(file.is_some());
                    found.extend(file);
                }
                // Folders come in order, so what is in those that follow is greater.
                if whole >= limit {
                    break 'folders;
                }
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }
}

#[async_trait]
impl BlobStore for FolderBlobs {
    async fn begin(&self, file: FileId) -> Result<Box<dyn BlobWriter>, BlobError> {
        let blobs = self.clone();
        let side = blocking(move || blobs.begin_now(file)).await?;
        Ok(Box::new(Writer { blobs: self.clone(), file, side: Some(side) }))
    }

    async fn read(&self, file: FileId, range: Range<u64>) -> Result<Bytes, BlobError> {
        let path = self.whole(file);
        blocking(move || {
            let length = range.end.saturating_sub(range.start);
            let length = usize::try_from(length).map_err(|_| BlobError::Missing)?;
            let opened = File::open(path)?;
            // A range beyond the end is not worth the memory for it.
            if opened.metadata()?.len() < range.end {
                return Err(BlobError::Missing);
            }
            let mut bytes = vec![0; length];
            opened.read_exact_at(&mut bytes, range.start)?;
            Ok(bytes.into())
        })
        .await
    }

    async fn length(&self, file: FileId) -> Result<u64, BlobError> {
        let path = self.whole(file);
        blocking(move || Ok(fs::metadata(path)?.len())).await
    }

    async fn remove(&self, file: FileId) -> Result<(), BlobError> {
        let blobs = self.clone();
        blocking(move || blobs.remove_now(file)).await
    }

    async fn list(&self, after: Option<FileId>, limit: usize) -> Result<Vec<FileId>, BlobError> {
        if limit > BLOB_PAGE_MAX {
            return Err(BlobError::Refused("too many blobs are asked for at once"));
        }
        let blobs = self.clone();
        blocking(move || blobs.list_now(after, limit)).await
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        let mut side = self.side.take().ok_or_else(broken)?;
        let written = blocking(move || {
            check_room(&side, bytes.len())?;
            side.write_all(&bytes)?;
            Ok(side)
        });
        self.side = Some(written.await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), BlobError> {
        let side = self.side.take().ok_or_else(broken)?;
        let (blobs, file) = (self.blobs, self.file);
        blocking(move || blobs.finish_now(file, &side)).await
    }
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::UnexpectedEof => Self::Missing,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full
            }
            _ => Self::Unavailable(error),
        }
    }
}

/// That a write before has failed.
fn broken() -> BlobError {
    BlobError::Refused("a blob whose writing has failed is written on")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|_| Err(BlobError::Unavailable(ErrorKind::Interrupted.into())))
}

/// Whether the disk has room for so many bytes more, and the reserve.
fn check_room(side: &File, more: usize) -> Result<(), BlobError> {
    // A file system that does not say how much room it has is trusted.
    let Ok(disk) = rustix::fs::fstatvfs(side) else { return Ok(()) };
    let room = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = RESERVE_BYTES.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
    if room < needed { Err(BlobError::Full) } else { Ok(()) }
}

/// Makes a folder that may be there already, durably.
fn make_folder(folder: &Path) -> Result<(), BlobError> {
    match DirBuilder::new().mode(PRIVATE_FOLDER).create(folder) {
        Ok(()) => {
            Ok(sync_folder(folder.parent().filter(|it| *it != "").unwrap_or(Path::new(".")))?)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(BlobError::Unavailable(error)),
    }
}

/// The names in a folder, in order; none where something else is there.
fn names_in(folder: &Path) -> Result<Vec<String>, BlobError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn name_of(file: FileId) -> String {
    file.as_bytes().iter().fold(String::with_capacity(32), |mut name, byte| {
        for four in [byte >> 4, byte & 15] {
            name.push(char::from_digit(u32::from(four), 16).unwrap_or('0'));
        }
        name
    })
}

/// The id that a name says; none for what is not exactly its name.
fn file_of(name: &str) -> Option<FileId> {
    let mut bytes = [0; 16];
    if name.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(name.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    let file = FileId::from_bytes(bytes);
    (name_of(file) == name).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_an_id_is_one() {
        let file = FileId::from_bytes(*b"\x00\x01\xfe\xffabcdefghijkl");
        assert_eq!(name_of(file), "0001feff6162636465666768696a6b6c");
        assert_eq!(file_of(&name_of(file)), Some(file));
        for foreign in
            ["", "0001", "0001FEFF6162636465666768696A6B6C", &"+1".repeat(16), &"é".repeat(16)]
        {
            assert_eq!(file_of(foreign), None, "{foreign}");
        }
    }

    #[tokio::test]
    async fn what_others_left_in_the_folder_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        for name in ["lost+found", "ab", "unfinished/x"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for name in ["notes", "ab/file", "zz"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(blobs.list(None, 5).await.unwrap(), []);
        let file = FileId::from_bytes([0xab; 16]);
        blobs.begin(file).await.unwrap().finish().await.unwrap();
        assert_eq!(blobs.list(None, 5).await.unwrap(), [file]);
        assert!(folder.path().join("ab/ab").join("ab".repeat(14)).is_file());
    }

    #[tokio::test]
    async fn pages_of_many_blobs_hold_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        let mut all: Vec<FileId> = (0..40_u8)
            .map(|n| {
                FileId::from_bytes([
                    n.wrapping_mul(97) % 5,
                    n % 3,
                    n,
                    4,
                    5,
                    6,
                    7,
                    8,
                    9,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                    1,
                ])
            })
            .collect();
        for (place, file) in all.iter().enumerate() {
            let writer = blobs.begin(*file).await.unwrap();
            if place % 4 > 0 {
                writer.finish().await.unwrap();
            }
        }
        all.sort_unstable();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = blobs.list(after, 7).await.unwrap();
            seen.extend(page.iter().copied());
            after = page.last().copied();
            if page.len() < 7 {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[tokio::test]
    async fn a_folder_is_made_where_the_one_above_it_is() {
        let folder = tempfile::tempdir().unwrap();
        assert!(FolderBlobs::open(&folder.path().join("files")).is_ok());
        assert!(FolderBlobs::open(&folder.path().join("files")).is_ok());
        assert!(FolderBlobs::open(&folder.path().join("no/files")).is_err());
        fs::write(folder.path().join("file"), "x").unwrap();
        assert!(FolderBlobs::open(&folder.path().join("file")).is_err());
    }
}
