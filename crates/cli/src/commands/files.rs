//! `strongroom files`: files of records, sent from and taken to files here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use strongroom_client::files::{FileAt, FileError, NewFile};
use strongroom_model::{CollectionName, FieldName, RecordId};
use tokio::time::Instant;

use crate::arguments::VersionArguments;
use crate::exit::Failure;
use crate::screen::say;
use crate::session::Session;

/// How often it is said how much has come.
const LINE_SECONDS: u64 = 10;
/// Where a process finds what is given to it.
const STANDARD_INPUT: &str = "/dev/stdin";

#[derive(Debug, Subcommand)]
pub(crate) enum Files {
    /// Write a file into a field of a record, in the place of the one that is there
    Put {
        #[command(flatten)]
        at: AtArguments,
        /// The file; `-` for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What it is, such as `image/jpeg` [default: application/octet-stream]
        #[arg(long = "type", value_name = "MEDIA TYPE")]
        media_type: Option<String>,
        /// What it is called [default: no name]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        version: VersionArguments,
    },
    /// Read a file; where the class may only reveal it, that is recorded as such
    Get {
        #[command(flatten)]
        at: AtArguments,
        /// The new file; until it is whole it has `.part` behind its name. `-` for standard output
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Go on with what was broken off
        #[arg(long)]
        resume: bool,
    },
    /// Remove a file: it cannot be read any more, and its key dies with the next erasure
    Remove {
        #[command(flatten)]
        at: AtArguments,
        #[command(flatten)]
        version: VersionArguments,
    },
}

/// Where a file is.
#[derive(Debug, Clone, Args)]
pub(crate) struct AtArguments {
    /// The collection
    collection: CollectionName,
    /// The record's id
    record: RecordId,
    /// The field, of type `file`
    field: FieldName,
}

impl AtArguments {
    fn at(self) -> FileAt {
        FileAt { collection: self.collection, record: self.record, field: self.field }
    }
}

impl Files {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::Put { at, file, media_type, name, version } => {
                let is_input = file == Path::new("-");
                let path = if is_input { Path::new(STANDARD_INPUT) } else { file.as_path() };
                let failed = |error| Failure::file(&file, &error);
                let from = tokio::fs::File::open(path).await.map_err(failed)?;
                let known = from.metadata().await.map_err(failed)?;
                let length = known.is_file().then_some(known.len()).filter(|_| !is_input);
                let new = NewFile { media_type, name, length };
                let version = version.if_match();
                session.screen.one(&scoped.put_file(&at.at(), &new, version, from).await?)
            }
            Self::Get { at, to, resume } => {
                if to == Path::new("-") {
                    scoped.get_file(&at.at(), &mut std::io::stdout().lock()).await?;
                    return Ok(());
                }
                let mut last = Instant::now();
                let progress = |bytes: u64| {
                    if last.elapsed() >= Duration::from_secs(LINE_SECONDS) {
                        say(&format!("{bytes} bytes"));
                        last = Instant::now();
                    }
                };
                let bytes = scoped.fetch_file(&at.at(), &to, resume, progress).await?;
                say(&format!("`{}` has {bytes} bytes", to.display()));
                Ok(())
            }
            Self::Remove { at, version } => {
                let at = at.at();
                let what = format!("the file in `{}` of {} is removed", at.field, at.record);
                let answer = scoped.remove_file(&at, version.if_match()).await?;
                session.screen.done(&answer, &what);
                Ok(())
            }
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Client(error) => error.into(),
            FileError::File { .. }
            | FileError::Taken(_)
            | FileError::Another(_)
            | FileError::NothingToResume(_) => Self::local(error.to_string()),
        }
    }
}
