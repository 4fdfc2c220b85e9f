//! `strongroom import`: records from the rows of a file.

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use strongroom_client::import::{Format, Mapping, Rejects, Rows, Summary, check, import};
use tokio::time::Instant;

use crate::exit::{Exit, Failure};
use crate::files::{self, SecretFile};
use crate::screen::say;
use crate::session::Session;

/// Where nobody looks at a bar, a line is said so often.
const LINE_SECONDS: u64 = 10;

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The CSV or NDJSON file
    file: PathBuf,
    /// The mapping file: which column becomes which field
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// How the file writes its rows [default: what its name tells]
    #[arg(long)]
    format: Option<FormatArgument>,
    /// Write rejected rows down in this new file [default: FILE.rejects.ndjson, which is replaced]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Keep rejected rows, with all they hold, in the file of rejects
    #[arg(long)]
    keep_rows: bool,
    /// Read and map all rows, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArgument {
    /// Comma-separated values with a line of names
    Csv,
    /// One JSON object a line
    Ndjson,
}

impl Import {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let format = match self.format {
            Some(FormatArgument::Csv) => Format::Csv,
            Some(FormatArgument::Ndjson) => Format::Ndjson,
            None => Format::of_name(&self.file).ok_or_else(|| {
                Failure::usage("the file's name tells no format; name it with `--format`")
            })?,
        };
        let mapping = Mapping::parse(&files::text(&self.map)?)
            .map_err(|error| Failure::local(format!("`{}`: {error}", self.map.display())))?;
        let file = File::open(&self.file).map_err(|error| Failure::file(&self.file, &error))?;
        let length = file.metadata().map_or(0, |facts| facts.len());
        let rows = Rows::new(format, file, &mapping)
            .map_err(|error| Failure::local(format!("`{}`: {error}", self.file.display())))?;
        let mut rejects = self.place_for_rejects()?;
        let mut progress = Progress::new(length);
        let outcome = if self.dry_run {
            check(&mapping, rows, &mut rejects, |summary| progress.show(summary)).await
        } else {
            let scoped = session.scoped().await?;
            import(scoped, &mapping, rows, &mut rejects, |summary| progress.show(summary)).await
        };
        progress.end();
        let summary = outcome.map_err(|error| {
            let mut failure = Failure::from(error);
            failure.message.push_str(
                "\n  what was imported before stays; running the same command again is safe",
            );
            failure
        })?;
        report(&summary, &rejects, format, self.dry_run)
    }
}

impl Import {
    /// Where rejects go, made sure of before anything is sent: a row that is neither taken nor
    /// written down would be lost.
    fn place_for_rejects(&self) -> Result<Rejects, Failure> {
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
