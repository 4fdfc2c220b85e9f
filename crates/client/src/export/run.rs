//! An export from its first part to its last: each is durable before the next is taken.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strongroom_model::{CollectionName, JobId};

use crate::checkpoint;
use crate::export::NewExportJob;
use crate::export::assignees::Assignees;
use crate::export::references::References;
use crate::import::Format;
use crate::{ClientError, Scoped, Shown};

/// Why an export stopped before its last record.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server does not give any more.
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
    /// An export to this file broke off.
    #[error("an export to this file broke off; go on with it, or remove `{}`", .0.display())]
    BrokeOff(PathBuf),
    /// There is nothing to go on with.
    #[error("there is no export to go on with: `{}` is not there", .0.display())]
    NothingToResume(PathBuf),
    /// What broke off was an export of something else.
    #[error("the export that broke off was of another collection, format or choice of fields")]
    Another,
    /// What the server gave is no line of an export.
    #[error("the server's answer is no page of an export")]
    Unintelligible,
}

/// What is to be exported, and how.
#[derive(Debug, Clone)]
pub struct Export {
    /// The collection.
    pub collection: CollectionName,
    /// How the file writes its records.
    pub format: Format,
    /// Which fields.
    pub shown: Shown,
    /// Most records of a part, at most 1,000.
    pub part_records: u32,
    /// Whether references are written as the external ids of the records that they lead to, so that the
    /// file can be imported elsewhere. Only NDJSON has them.
    pub references: bool,
    /// Whether the users to whom records are assigned are written as their external ids, for the same end.
    /// Only NDJSON has them, and only who manages users may read them.
    pub assignees: bool,
}

/// How far an export has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportSummary {
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
    /// References that stay ids of records, because the caller does not see where they lead, or that
    /// has no external id; and assignees who stay ids of users, because they have no external id.
    pub unresolved: u64,
}

/// What a checkpoint says.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    /// What is exported, in words of its own.
    what: String,
    /// The job whose parts are taken.
    job: JobId,
    /// The number of the part that comes next.
    next: u32,
    summary: ExportSummary,
}

/// Exports a collection to a file. Until all of it is there, it stands in a file with `.part` behind its
/// name, and a checkpoint beside that. `progress` is called after each part.
///
/// # Errors
/// [`ExportError`]; what was written stays, and with `resume` the next run goes on with the same job, as
/// long as nobody has stopped it.
pub async fn export(
    scoped: Scoped<'_>,
    wanted: &Export,
    to: &Path,
    resume: bool,
    mut progress: impl FnMut(&ExportSummary),
) -> Result<ExportSummary, ExportError> {
    let mut part = Part::open(wanted, to, resume)?;
    let mut names = Names::of(scoped, wanted).await?;
    let mut summary = part.summary;
    let (job, mut number) = if let Some(known) = part.known {
        known
    } else {
        let job = scoped.begin_export(&of_server(wanted)).await?.value.id;
        part.remember(job, FIRST_PART, summary)?;
        (job, FIRST_PART)
    };
    loop {
        let (mut bytes, next) = scoped.export_part(job, number).await?.value;
        if let Some(names) = &mut names {
            bytes = names.resolve(scoped, &bytes, &mut summary.unresolved).await?;
        }
        summary.records += records(wanted.format, &bytes, number == FIRST_PART)?;
        summary.bytes += bytes.len() as u64;
        part.append(&bytes)?;
        let Some(next) = next else { break };
        number = next.parse().map_err(|_| ExportError::Unintelligible)?;
        part.remember(job, number, summary)?;
        progress(&summary);
    }
    progress(&summary);
    part.finish(to)?;
    Ok(summary)
}

/// What stands in a file by external ids instead of ids.
struct Names {
    references: Option<References>,
    assignees: Option<Assignees>,
}

impl Names {
    /// Nothing, where lines stay as the server writes them.
    async fn of(scoped: Scoped<'_>, wanted: &Export) -> Result<Option<Self>, ExportError> {
        let references = References::of(scoped, wanted).await?;
        let names_users = wanted.assignees && wanted.format == Format::Ndjson;
        let assignees = names_users.then(Assignees::default);
        let is_needed = references.is_some() || assignees.is_some();
        Ok(is_needed.then_some(Self { references, assignees }))
    }

    /// The lines of a part with its names in place of ids.
    async fn resolve(
        &mut self,
        scoped: Scoped<'_>,
        part: &[u8],
        unresolved: &mut u64,
    ) -> Result<Vec<u8>, ExportError> {
        let lines = part.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records: Result<Vec<Map<String, Value>>, _> =
            lines.map(serde_json::from_slice).collect();
        let mut records = records.map_err(|_| ExportError::Unintelligible)?;
        if let Some(references) = &mut self.references {
            references.resolve(scoped, &mut records, unresolved).await?;
        }
        if let Some(assignees) = &mut self.assignees {
            assignees.resolve(scoped, &mut records, unresolved).await?;
        }
        let mut resolved = Vec::with_capacity(part.len());
        for record in records {
            serde_json::to_writer(&mut resolved, &record)
                .map_err(|_| ExportError::Unintelligible)?;
            resolved.push(b'\n');
        }
        Ok(resolved)
    }
}

/// The number of the first part of an export.
const FIRST_PART: u32 = 1;

fn of_server(wanted: &Export) -> NewExportJob {
    let Shown { fields, reveal } = wanted.shown.clone();
    NewExportJob {
        collection: wanted.collection.clone(),
        format: match wanted.format {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        },
        fields: (!fields.is_empty()).then_some(fields),
        reveal,
        part_records: wanted.part_records,
    }
}

/// How many records a part has.
fn records(format: Format, page: &[u8], has_names: bool) -> Result<u64, ExportError> {
    match format {
        Format::Ndjson => {
            let lines = page.split(|byte| *byte == b'\n');
            Ok(lines.filter(|line| !line.is_empty()).count() as u64)
        }
        Format::Csv => {
            let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(page);
            let mut count = 0_u64;
            let mut row = csv::ByteRecord::new();
            while rows.read_byte_record(&mut row).map_err(|_| ExportError::Unintelligible)? {
                count += 1;
            }
            Ok(count.saturating_sub(u64::from(has_names)))
        }
    }
}

/// The file while it is not whole.
struct Part {
    file: File,
    path: PathBuf,
    checkpoint: PathBuf,
    what: String,
    /// The job that is gone on with, and the part that comes next.
    known: Option<(JobId, u32)>,
    summary: ExportSummary,
}

impl Part {
    fn open(wanted: &Export, to: &Path, resume: bool) -> Result<Self, ExportError> {
        if to.exists() {
            return Err(ExportError::Taken(to.to_owned()));
        }
        let path = checkpoint::beside(to, ".part");
        let checkpoint = checkpoint::beside(to, ".checkpoint");
        let what = what(wanted);
        let known: Option<Checkpoint> =
            checkpoint::read(&checkpoint).map_err(|error| file(&checkpoint, error))?;
        let mut options = OpenOptions::new();
        options.write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        if !resume {
            if path.exists() {
                return Err(ExportError::BrokeOff(path));
            }
            let opened =
                options.create_new(true).open(&path).map_err(|error| file(&path, error))?;
            checkpoint::remove(&checkpoint).map_err(|error| file(&checkpoint, error))?;
            let summary = ExportSummary::default();
            return Ok(Self { file: opened, path, checkpoint, what, known: None, summary });
        }
        // One that was killed before its first checkpoint begins again.
        let opened = options.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ExportError::NothingToResume(path.clone()),
            _ => file(&path, error),
        });
        let mut opened = opened?;
        let (known, summary) = match known {
            Some(known) if known.what == what => (Some((known.job, known.next)), known.summary),
            Some(_) => return Err(ExportError::Another),
            None => (None, ExportSummary::default()),
        };
        // What came after the checkpoint comes again.
        let cut = opened
            .set_len(summary.bytes)
            .and_then(|()| opened.seek(SeekFrom::Start(summary.bytes)).map(|_| ()));
        cut.map_err(|error| file(&path, error))?;
        Ok(Self { file: opened, path, checkpoint, what, known, summary })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        written.map_err(|error| file(&self.path, error))
    }

    /// Says that everything before a part is there.
    fn remember(&self, job: JobId, next: u32, summary: ExportSummary) -> Result<(), ExportError> {
        let checkpoint = Checkpoint { what: self.what.clone(), job, next, summary };
        checkpoint::write(&self.checkpoint, &checkpoint)
            .map_err(|error| file(&self.checkpoint, error))
    }

    /// Gives the whole file its name.
    fn finish(self, to: &Path) -> Result<(), ExportError> {
        if to.exists() {
            return Err(ExportError::Taken(to.to_owned()));
        }
        let named = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, to));
        named.map_err(|error| file(to, error))?;
        let cleared =
            checkpoint::remove(&self.checkpoint).and_then(|()| checkpoint::sync_folder_of(to));
        cleared.map_err(|error| file(&self.checkpoint, error))
    }
}

fn file(path: &Path, error: io::Error) -> ExportError {
    ExportError::File { path: path.to_owned(), error }
}

/// What an export is of, so that one is not gone on with as another.
fn what(wanted: &Export) -> String {
    let Export { collection, format, shown, references, assignees, part_records: _ } = wanted;
    format!("{collection} {format:?} {shown:?} {references} {assignees}")
}
