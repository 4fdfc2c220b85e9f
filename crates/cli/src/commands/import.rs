//! `strongroom import`: records from the rows of a file.

use std::fs::{File, Metadata};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use strongroom_client::archive::ArchiveImport;
use strongroom_client::import::{
    Checkpoints, Format, Mapping, NewImportJob, Parts, Rejects, Rows, Sending, Summary, Verified,
    check, import, send, verify,
};
use strongroom_model::CollectionName;
use tokio::time::Instant;

use crate::commands::{archive, jobs};
use crate::exit::{Exit, Failure};
use crate::files::{self, SecretFile};
use crate::screen::say;
use crate::session::Session;

/// Where nobody looks at a bar, a line is said so often.
const LINE_SECONDS: u64 = 10;

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The CSV or NDJSON file, or the archive
    file: PathBuf,
    /// The mapping file: which column becomes which field
    #[arg(long, value_name = "FILE", required_unless_present_any = ["exported", "archive"])]
    map: Option<PathBuf>,
    /// The file is an NDJSON export; make its records those of this collection again
    #[arg(long, value_name = "COLLECTION", conflicts_with = "map")]
    exported: Option<CollectionName>,
    /// The file is an archive; make the records of its collections again
    #[arg(long, requires = "identity", conflicts_with_all = ["map", "exported", "format", "rejects", "dry_run", "resume", "checkpoint"])]
    archive: bool,
    /// The file with the identity that opens the archive, as `age-keygen` writes it
    #[arg(long, value_name = "FILE", requires = "archive")]
    identity: Option<PathBuf>,
    /// Only these collections of the archive [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "archive")]
    collections: Vec<CollectionName>,
    /// Make collections that are not there as the archive describes them
    #[arg(long, requires = "archive")]
    create_collections: bool,
    /// How the file writes its rows [default: what its name tells]
    #[arg(long)]
    format: Option<FormatArgument>,
    /// Write rejected rows down in this new file [default: FILE.rejects.ndjson, which is replaced]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Keep rejected rows, with all they hold, in the file of rejects
    #[arg(long)]
    keep_rows: bool,
    /// Read and map all rows, and send nothing; with `--job` the server looks at them and makes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on where the last import of this file was broken off
    #[arg(long)]
    resume: bool,
    /// Keep in this file how far the import has come [default: FILE.checkpoint]
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    checkpoint: Option<PathBuf>,
    /// Send the file to the server, and have a job make the records; it goes on by itself
    #[arg(long, conflicts_with_all = ["verify", "keep_rows", "rejects"])]
    pub(crate) job: bool,
    /// Wait until the job has ended; to stop waiting leaves the job
    #[arg(long, requires = "job")]
    wait: bool,
    /// Read every row once more afterwards, and compare it with what the server has
    #[arg(long, conflicts_with = "dry_run")]
    verify: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FormatArgument {
    /// Comma-separated values with a line of names
    Csv,
    /// One JSON object a line
    Ndjson,
}

impl Import {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if let (true, Some(identity)) = (self.archive, &self.identity) {
            let collections = (!self.collections.is_empty()).then(|| self.collections.clone());
            let (create_collections, verify) = (self.create_collections, self.verify);
            let wanted = ArchiveImport { collections, create_collections, verify };
            return archive::bring(session, &self.file, identity, &wanted, self.keep_rows).await;
        }
        let format = match self.format {
            Some(FormatArgument::Csv) => Format::Csv,
            Some(FormatArgument::Ndjson) => Format::Ndjson,
            None => Format::of_name(&self.file).ok_or_else(|| {
                Failure::usage("the file's name tells no format; name it with `--format`")
            })?,
        };
        let (mapping, told) = self.mapping()?;
        if self.dry_run && self.resume && !self.job {
            return Err(Failure::usage("a dry run is not gone on with"));
        }
        if self.job {
            return self.send(session, format, &mapping, &told).await;
        }
        let open = || {
            let file = File::open(&self.file).map_err(|error| Failure::file(&self.file, &error))?;
            let facts = file.metadata().map_err(|error| Failure::file(&self.file, &error))?;
            let rows = Rows::new(format, file, &mapping)
                .map_err(|error| Failure::local(format!("`{}`: {error}", self.file.display())))?;
            Ok::<_, Failure>((rows, facts))
        };
        let (rows, facts) = open()?;
        let mut rejects = self.place_for_rejects()?;
        let checkpoints = self.checkpoints(&facts, &told)?;
        let mut progress = Progress::new(facts.len());
        let outcome = if self.dry_run {
            check(&mapping, rows, &mut rejects, |summary| progress.show(summary)).await
        } else {
            let scoped = session.scoped().await?;
            let show = |summary: &Summary| progress.show(summary);
            import(scoped, &mapping, rows, &mut rejects, checkpoints.as_ref(), show).await
        };
        progress.end();
        let summary = outcome.map_err(|error| {
            let mut failure = Failure::from(error);
            failure.message.push_str(
                "\n  what was imported before stays; running the same command again is safe, and with \
                 `--resume` it goes on from here",
            );
            failure
        })?;
        let reported = report(&summary, &rejects, format, self.dry_run);
        if self.verify {
            let scoped = session.scoped().await?;
            let (rows, _) = open()?;
            compared(&verify(scoped, &mapping, rows, |_| ()).await?)?;
        }
        reported
    }

    /// Sends the file to the server, whose job makes the records.
    async fn send(
        &self,
        session: &Session,
        format: Format,
        mapping: &Mapping,
        told: &str,
    ) -> Result<(), Failure> {
        let file = File::open(&self.file).map_err(|error| Failure::file(&self.file, &error))?;
        let facts = file.metadata().map_err(|error| Failure::file(&self.file, &error))?;
        let parts = Parts::new(format, file, mapping)
            .map_err(|error| Failure::local(format!("`{}`: {error}", self.file.display())))?;
        let wanted = NewImportJob {
            mapping: self
                .map
                .as_ref()
                .map(|_| Mapping::file_to_json(told))
                .transpose()
                .map_err(|error| Failure::local(error.to_string()))?,
            exported: self.exported.clone(),
            dry_run: self.dry_run,
        };
        let path = self.checkpoint.clone().unwrap_or_else(|| {
            let mut name = self.file.clone().into_os_string();
            name.push(".job");
            PathBuf::from(name)
        });
        let sending = Sending { path, what: what(&facts, told), resume: self.resume };
        let mut last = Instant::now();
        let show = |rows: u64| {
            if last.elapsed() >= Duration::from_secs(LINE_SECONDS) {
                say(&format!("{rows} rows sent"));
                last = Instant::now();
            }
        };
        let scoped = session.scoped().await?;
        let sent = send(scoped, &wanted, format, parts, &sending, show).await.map_err(|error| {
            let mut failure = Failure::from(error);
            failure.message.push_str("\n  with `--resume` it goes on from here");
            failure
        })?;
        if !self.wait {
            say(&format!("sent; `strongroom jobs wait {}` waits for its end", sent.value.id));
            return session.screen.one(&sent);
        }
        let ended = jobs::wait(session, sent.value.id).await?;
        session.screen.one(&ended)?;
        jobs::report(&ended.value)
    }

    /// The mapping, and what it was read from.
    fn mapping(&self) -> Result<(Mapping, String), Failure> {
        match (&self.map, &self.exported) {
            (Some(path), _) => {
                let text = files::text(path)?;
                let mapping = Mapping::parse(&text)
                    .map_err(|error| Failure::local(format!("`{}`: {error}", path.display())))?;
                Ok((mapping, text))
            }
            (None, Some(collection)) => {
                Ok((Mapping::of_export(collection.clone()), format!("exported {collection}")))
            }
            (None, None) => Err(Failure::usage("name a mapping file with `--map`")),
        }
    }

    /// Where the import keeps how far it has come; nowhere beside a file in a folder that cannot be
    /// written to, unless somebody wants it.
    fn checkpoints(&self, facts: &Metadata, told: &str) -> Result<Option<Checkpoints>, Failure> {
        // A pipe cannot be read on from its middle, and there is no file beside it.
        let is_pipe = !facts.is_file() && self.checkpoint.is_none() && !self.resume;
        if self.dry_run || is_pipe {
            return Ok(None);
        }
        let path = self.checkpoint.clone().unwrap_or_else(|| {
            let mut name = self.file.clone().into_os_string();
            name.push(".checkpoint");
            PathBuf::from(name)
        });
        if !path.exists() && !self.resume {
            match writable(&path) {
                Ok(()) => {}
                Err(failure) if self.checkpoint.is_some() => return Err(failure),
                Err(_) => {
                    say("warning: no checkpoint can be kept beside the file; name one with \
                         `--checkpoint`");
                    return Ok(None);
                }
            }
        }
        Ok(Some(Checkpoints { path, what: what(facts, told), resume: self.resume }))
    }
}

/// What is imported, so that one import is not gone on with as another.
fn what(facts: &Metadata, told: &str) -> String {
    let changed = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{} bytes, {:?}, {told}", facts.len(), changed.unwrap_or_default())
}

impl Import {
    /// Where rejects go, made sure of before anything is sent: a row that is neither taken nor
    /// written down would be lost.
    fn place_for_rejects(&self) -> Result<Rejects, Failure> {
        if self.resume {
            let path = self.rejects.clone().unwrap_or_else(|| Rejects::name_beside(&self.file));
            return Ok(Rejects::again(path, self.keep_rows));
        }
        let Some(path) = &self.rejects else {
            let rejects = Rejects::beside(&self.file, self.keep_rows)
                .map_err(|error| unfit(&format!("the file of rejects: {error}")))?;
            return writable(rejects.path()).map(|()| rejects);
        };
        // What somebody names may be something else; it is never overwritten.
        writable(path)?;
        Rejects::at(path.clone(), self.keep_rows).map_err(|error| unfit(&error.to_string()))
    }
}

/// Whether a new file can be made there: it is, and goes away again.
fn writable(path: &Path) -> Result<(), Failure> {
    SecretFile::create(path).map(drop).map_err(|failure| unfit(&failure.message))
}

fn unfit(why: &str) -> Failure {
    Failure::local(format!(
        "{why}\n  nothing was sent, because rejected rows could not be written down\n  next: name a new \
         file elsewhere with `--rejects`"
    ))
}

fn report(
    summary: &Summary,
    rejects: &Rejects,
    format: Format,
    dry_run: bool,
) -> Result<(), Failure> {
    // A CSV file's first line has said which columns there are.
    if format == Format::Ndjson {
        for column in &summary.never_seen {
            say(&format!("warning: no row has the column `{column}` that the mapping names"));
        }
    }
    if dry_run {
        say(&format!("{} rows, {} would be rejected", summary.rows, summary.rejected));
    } else {
        say(&line(summary));
    }
    if summary.rejected == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Partly,
        format!("{} rows were rejected; see `{}`", summary.rejected, rejects.path().display()),
    ))
}

/// Says how the comparison went.
fn compared(verified: &Verified) -> Result<(), Failure> {
    let Verified { same, different, missing, unmapped, unseen, lines } = verified;
    say(&format!(
        "verified: {same} rows are there as in the file, {different} with other values, {missing} are not \
         there, {unmapped} are no rows of the mapping"
    ));
    if *unseen > 0 {
        say(&format!("{unseen} values were not compared: you see them masked"));
    }
    if *different == 0 && *missing == 0 {
        return Ok(());
    }
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    Err(Failure::new(
        Exit::CheckFailed,
        format!("rows are not there as in the file; the first are at lines {}", lines.join(", ")),
    ))
}

fn line(summary: &Summary) -> String {
    format!(
        "{} rows: {} created, {} there already, {} rejected",
        summary.rows, summary.created, summary.exists, summary.rejected
    )
}

/// A bar on a terminal, else a line now and then.
struct Progress {
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Progress {
    fn new(length: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{bar:30} {percent}% {bytes_per_sec} {eta} left  {msg}",
            );
            let bar = ProgressBar::new(length);
            if let Ok(style) = style { bar.with_style(style) } else { bar }
        });
        Self { bar, last: Instant::now() }
    }

    fn show(&mut self, summary: &Summary) {
        if let Some(bar) = &self.bar {
            bar.set_position(summary.bytes);
            bar.set_message(line(summary));
        } else if self.last.elapsed() >= Duration::from_secs(LINE_SECONDS) {
            say(&line(summary));
            self.last = Instant::now();
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
