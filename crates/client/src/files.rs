//! Files of records: sent and taken piece by piece, never whole in memory; what breaks off on the way here is
//! taken up again where it was.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};
use strongroom_model::{CollectionName, FieldName, RecordId};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::call::{Call, Parts};
use crate::checkpoint::{self, beside, sync_folder_of};
use crate::client::percent_encoded;
use crate::{Answer, ClientError, IfMatch, Scoped};

/// So many bytes are read at a time of a file that is sent.
const PIECE_BYTES: usize = 64 * 1024;
/// A file that breaks off without a byte more is asked for so many times again.
const ATTEMPTS_MAX: u32 = 5;
/// The pause before that.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Where a file is.
#[derive(Debug, Clone)]
pub struct FileAt {
    /// The collection.
    pub collection: CollectionName,
    /// The record.
    pub record: RecordId,
    /// The field of it.
    pub field: FieldName,
}

/// What is said of a file when it is sent.
#[derive(Debug, Clone, Default)]
pub struct NewFile {
    /// Its media type.
    pub media_type: Option<String>,
    /// What it is called.
    pub name: Option<String>,
    /// How many bytes it has, if that is known.
    pub length: Option<u64>,
}

/// What is known of a file.
#[derive(Clone, Serialize, Deserialize)]
pub struct FileFacts {
    /// How many bytes it has.
    pub size: u64,
    /// Its media type.
    pub r#type: String,
    /// What it is called.
    pub name: Option<String>,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

impl std::fmt::Debug for FileFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a file of {} bytes", self.size)
    }
}

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
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
    /// What is there of it is of a file that the record does not have any more.
    #[error("another file is there now; remove `{}` and begin again", .0.display())]
    Another(PathBuf),
    /// Nothing is there of it.
    #[error("there is nothing to go on with: `{}` is missing", .0.display())]
    NothingToResume(PathBuf),
}

/// Which file it is that is being taken: what stands beside its part.
#[derive(Serialize, Deserialize)]
struct Taking {
    etag: String,
}

impl Scoped<'_> {
    /// Writes a file from what is read, once: a body that has begun cannot be sent again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_file(
        &self,
        at: &FileAt,
        file: &NewFile,
        version: IfMatch,
        from: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Answer<FileFacts>, ClientError> {
        let mut call = Call::put(self.client, self.file_path(at)).if_match(version);
        if let Some(media_type) = &file.media_type {
            call = call.header("content-type", media_type)?;
        }
        if let Some(name) = &file.name {
            call = call.header("strongroom-file-name", &percent_encoded(name))?;
        }
        if let Some(length) = file.length {
            call = call.header("content-length", &length.to_string())?;
        }
        let pieces = try_unfold(from, |mut from| async move {
            let mut piece = vec![0; PIECE_BYTES];
            let length = from.read(&mut piece).await?;
            piece.truncate(length);
            Ok::<_, io::Error>((length > 0).then_some((piece, from)))
        });
        call.read_with(reqwest::Body::wrap_stream(pieces)).await
    }

    /// Takes a file from its beginning, piece by piece, as it comes.
    ///
    /// # Errors
    /// [`FileError::Client`]; [`FileError::File`] where what is to be written cannot be.
    pub async fn get_file(&self, at: &FileAt, to: &mut impl Write) -> Result<u64, FileError> {
        let mut parts = Call::get(self.client, self.file_path(at)).parts().await?;
        let mut bytes = 0;
        while let Some(part) = parts.next().await? {
            let written = to.write_all(&part);
            written.map_err(|error| FileError::File { path: PathBuf::from("-"), error })?;
            bytes += part.len() as u64;
        }
        Ok(bytes)
    }

    /// Takes a file to a new one, which has its name when it is whole; until then it has `.part` behind it. What
    /// breaks off is asked for again from where it was, and what is given up can be gone on with later.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn fetch_file(
        &self,
        at: &FileAt,
        to: &Path,
        resume: bool,
        mut progress: impl FnMut(u64),
    ) -> Result<u64, FileError> {
        if to.exists() {
            return Err(FileError::Taken(to.to_owned()));
        }
        let mut part = Part::open(to, resume)?;
        let mut attempts = 0;
        loop {
            let before = part.length;
            let error = match self.continue_file(at, &mut part, &mut progress).await {
                Ok(()) => break,
                Err(FileError::Client(error)) => error,
                Err(error) => return Err(error),
            };
            attempts = if part.length > before { 0 } else { attempts + 1 };
            let broke_off = match &error {
                ClientError::Unreachable { .. } | ClientError::TimedOut(_) => true,
                ClientError::Problem(_)
                | ClientError::Address(_)
                | ClientError::Authorities(_)
                | ClientError::Header(_)
                | ClientError::Untrusted { .. }
                | ClientError::Unintelligible { .. }
                | ClientError::NoRandomness(_) => false,
            };
            if !broke_off || attempts == ATTEMPTS_MAX {
                return Err(error.into());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let length = part.length;
        part.finish(to)?;
        Ok(length)
    }

    /// Takes what is left of a file, as far as it comes.
    async fn continue_file(
        &self,
        at: &FileAt,
        part: &mut Part,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), FileError> {
        let mut call = Call::get(self.client, self.file_path(at));
        if let Some(taking) = part.taking.as_ref().filter(|_| part.length > 0) {
            call = call.header("range", &format!("bytes={}-", part.length))?;
            call = call.header("if-range", &taking.etag)?;
        }
        let mut answer = match call.parts().await {
            // All of it was there already.
            Err(ClientError::Problem(problem)) if problem.status == 416 && part.length > 0 => {
                return Ok(());
            }
            answer => answer?,
        };
        part.is_of(&answer)?;
        while let Some(piece) = answer.next().await? {
            part.write(&piece)?;
            progress(part.length);
        }
        Ok(())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_file(
        &self,
        at: &FileAt,
        version: IfMatch,
    ) -> Result<Answer<()>, ClientError> {
        Call::delete(self.client, self.file_path(at)).if_match(version).done().await
    }

    fn file_path(&self, at: &FileAt) -> String {
        let FileAt { collection, record, field } = at;
        self.path(&format!("collections/{collection}/records/{record}/files/{field}"))
    }
}

/// A file that is not whole yet, and beside it which one it is.
struct Part {
    file: File,
    path: PathBuf,
    taking: Option<Taking>,
    length: u64,
}

impl Part {
    fn open(to: &Path, resume: bool) -> Result<Self, FileError> {
        let path = beside(to, ".part");
        let failed = |error| FileError::File { path: path.clone(), error };
        let mut options = OpenOptions::new();
        options.write(true);
        if !resume {
            options.create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let mut file = options.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Taken(path.clone()),
            io::ErrorKind::NotFound if resume => FileError::NothingToResume(path.clone()),
            _ => failed(error),
        })?;
        let taking = checkpoint::read(&beside(&path, ".tag")).map_err(failed)?;
        // What is there of a file that nothing is known of is of no use.
        let length = match (&taking, resume) {
            (Some(_), true) => file.seek(SeekFrom::End(0)).map_err(failed)?,
            (Some(_), false) | (None, _) => 0,
        };
        Ok(Self { file, path, taking: taking.filter(|_| resume), length })
    }

    /// Notes which file an answer is of, and where in it the answer begins.
    fn is_of(&mut self, answer: &Parts) -> Result<(), FileError> {
        let etag = answer.header("etag").unwrap_or_default();
        let known = self.taking.as_ref().map(|taking| taking.etag == etag);
        if self.length > 0 && (known != Some(true) || answer.status() != 206) {
            return Err(FileError::Another(self.path.clone()));
        }
        if known != Some(true) {
            let taking = Taking { etag };
            checkpoint::write(&beside(&self.path, ".tag"), &taking)
                .map_err(|error| self.failed(error))?;
            self.taking = Some(taking);
        }
        self.file.set_len(self.length).map_err(|error| self.failed(error))?;
        let sought = self.file.seek(SeekFrom::Start(self.length));
        sought.map(drop).map_err(|error| self.failed(error))
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), FileError> {
        self.file.write_all(piece).map_err(|error| self.failed(error))?;
        self.length += piece.len() as u64;
        Ok(())
    }

    /// Gives the whole file its name, unless somebody else has taken it meanwhile.
    fn finish(self, to: &Path) -> Result<(), FileError> {
        self.file.sync_all().map_err(|error| self.failed(error))?;
        std::fs::hard_link(&self.path, to).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Taken(to.to_owned()),
            _ => FileError::File { path: to.to_owned(), error },
        })?;
        let removed = std::fs::remove_file(&self.path)
            .and_then(|()| checkpoint::remove(&beside(&self.path, ".tag")))
            .and_then(|()| sync_folder_of(to));
        removed.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> FileError {
        FileError::File { path: self.path.clone(), error }
    }
}

impl Drop for Part {
    /// A part of which nothing has come goes away again.
    fn drop(&mut self) {
        if self.length == 0 {
            let _ = std::fs::remove_file(&self.path);
            let _ = checkpoint::remove(&beside(&self.path, ".tag"));
        }
    }
}
