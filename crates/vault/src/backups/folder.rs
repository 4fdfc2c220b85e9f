//! A local folder as a place for backups: each is a folder in it, made under another name, synced, and
//! renamed when it is whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::backups::manifest;
use crate::backups::places::{BackupPlace, FILE_BYTES_MAX, PlaceProblem};

/// What the folder of an unfinished backup ends with.
const UNFINISHED: &str = ".unfinished";
/// The mode of folders: for their owner only.
const PRIVATE_FOLDER: u32 = 0o700;
/// The mode of files.
const PRIVATE_FILE: u32 = 0o600;

/// A folder in which backups lie.
#[derive(Debug, Clone)]
pub struct FolderPlace {
    folder: PathBuf,
}

impl FolderPlace {
    /// The place in this folder, which must be there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn begun(&self, backup: &str) -> PathBuf {
        self.folder.join(format!("{backup}{UNFINISHED}"))
    }

    fn finished(&self, backup: &str) -> PathBuf {
        self.folder.join(backup)
    }
}

#[async_trait]
impl BackupPlace for FolderPlace {
    async fn begin(&self, backup: &str) -> Result<(), PlaceProblem> {
        let (top, folder) = (self.folder.clone(), self.begun(backup));
        blocking(move || {
            match DirBuilder::new().mode(PRIVATE_FOLDER).create(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
            sync(&top)
        })
        .await
    }

    async fn write(&self, backup: &str, file: &str, bytes: Vec<u8>) -> Result<(), PlaceProblem> {
        let (folder, file) = (self.begun(backup), file.to_owned());
        blocking(move || {
            let mut written = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(PRIVATE_FILE)
                .open(folder.join(file))?;
            written.write_all(&bytes)?;
            written.sync_all()?;
            sync(&folder)
        })
        .await
    }

    async fn read_unfinished(&self, backup: &str, file: &str) -> Result<Vec<u8>, PlaceProblem> {
        let folder = self.begun(backup);
        match read(folder.clone(), file).await {
            Err(PlaceProblem::Missing(_)) if !folder.is_dir() => Err(PlaceProblem::Gone),
            read => read,
        }
    }

    async fn read(&self, backup: &str, file: &str) -> Result<Vec<u8>, PlaceProblem> {
        read(self.finished(backup), file).await
    }

    async fn finish(&self, backup: &str, manifest: Vec<u8>) -> Result<(), PlaceProblem> {
        self.write(backup, manifest::FILE, manifest).await?;
        let (from, to) = (self.begun(backup), self.finished(backup));
        let top = self.folder.clone();
        blocking(move || {
            fs::rename(from, to)?;
            sync(&top)
        })
        .await
    }

    async fn unfinished(&self) -> Result<Vec<String>, PlaceProblem> {
        let top = self.folder.clone();
        blocking(move || {
            let mut names = Vec::new();
            for entry in fs::read_dir(&top)? {
                let name = entry?.file_name();
                let name = name.to_str().and_then(|name| name.strip_suffix(UNFINISHED));
                names.extend(name.map(str::to_owned));
            }
            Ok(names)
        })
        .await
    }

    async fn discard(&self, backup: &str) -> Result<(), PlaceProblem> {
        let (top, folder) = (self.folder.clone(), self.begun(backup));
        blocking(move || match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync(&top)),
        })
        .await
    }
}

async fn read(folder: PathBuf, file: &str) -> Result<Vec<u8>, PlaceProblem> {
    let name = file.to_owned();
    let missing = name.clone();
    let read = tokio::task::spawn_blocking(move || {
        let file = File::open(folder.join(&name))?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    });
    match read.await.map_err(|_| cut_short())? {
        Ok(bytes) if bytes.len() as u64 > FILE_BYTES_MAX => Err(PlaceProblem::TooLong(missing)),
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(PlaceProblem::Missing(missing)),
        Err(error) => Err(problem(error)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, PlaceProblem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| cut_short())?.map_err(problem)
}

fn problem(error: io::Error) -> PlaceProblem {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => PlaceProblem::Full,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => PlaceProblem::Forbidden,
        ErrorKind::NotFound => PlaceProblem::Gone,
        _ => PlaceProblem::Failed(error.into()),
    }
}

fn cut_short() -> PlaceProblem {
    PlaceProblem::Failed("it was cut short".into())
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
