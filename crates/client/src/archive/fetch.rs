//! An archive on its way from the server to a file. Nobody keeps it in memory, and it is never open.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::archive::NewArchive;
use crate::call::{Call, Parts};
use crate::checkpoint;
use crate::{ClientError, Scoped};

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server does not give it, or not to its end.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file cannot be used.
    #[error("cannot use `{}`: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// There is a file already.
    #[error("`{}` exists and is not overwritten", .0.display())]
    Taken(PathBuf),
}

impl Scoped<'_> {
    async fn archive(&self, wanted: &NewArchive) -> Result<Parts, ClientError> {
        Call::ask(self.client, self.path("records:archive")).json(wanted)?.parts().await
    }
}

/// Has an archive made and writes it to a new file, which has its name when it is whole. `progress` is
/// called with the bytes that have come. One that breaks off leaves nothing behind, and neither does
/// one that is given up.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(
    scoped: Scoped<'_>,
    wanted: &NewArchive,
    to: &Path,
    mut progress: impl FnMut(u64),
) -> Result<u64, FetchError> {
    if to.exists() {
        return Err(FetchError::Taken(to.to_owned()));
    }
    let mut half = Half::create(to)?;
    let mut parts = scoped.archive(wanted).await?;
    let mut bytes = 0;
    while let Some(part) = parts.next().await? {
        half.file.write_all(&part).map_err(|error| half.failed(error))?;
        bytes += part.len() as u64;
        progress(bytes);
    }
    half.finish(to)?;
    Ok(bytes)
}

/// The file while it is not whole; it goes away with this.
struct Half {
    file: File,
    path: Option<PathBuf>,
}

impl Half {
    fn create(to: &Path) -> Result<Self, FetchError> {
        let path = checkpoint::beside(to, ".part");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FetchError::Taken(path.clone()),
            _ => FetchError::File { path: path.clone(), error },
        })?;
        Ok(Self { file, path: Some(path) })
    }

    fn failed(&self, error: io::Error) -> FetchError {
        FetchError::File { path: self.path.clone().unwrap_or_default(), error }
    }

    /// Gives the whole file its name, unless somebody else has taken it meanwhile.
    fn finish(mut self, to: &Path) -> Result<(), FetchError> {
        self.file.sync_all().map_err(|error| self.failed(error))?;
        let path = self.path.clone().unwrap_or_default();
        std::fs::hard_link(&path, to).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FetchError::Taken(to.to_owned()),
            _ => FetchError::File { path: to.to_owned(), error },
        })?;
        let removed = std::fs::remove_file(&path);
        self.path = None;
        removed
            .and_then(|()| checkpoint::sync_folder_of(to))
            .map_err(|error| FetchError::File { path, error })
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}
