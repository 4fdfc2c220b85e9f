//! `strongroom export`: the records of a collection to a file.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use strongroom_client::ClientError;
use strongroom_client::export::{Export, ExportError, ExportSummary, Verified, export, verify};
use strongroom_client::import::Format;
use strongroom_model::CollectionName;
use tokio::time::Instant;

use crate::commands::archive::{self, RecipientArguments};
use crate::commands::import::FormatArgument;
use crate::commands::records::ShownArguments;
use crate::exit::{Exit, Failure};
use crate::screen::say;
use crate::session::Session;

/// How often it is said how far the export has come.
const LINE_SECONDS: u64 = 10;

#[derive(Debug, Args)]
pub(crate) struct ExportFile {
    /// The collection; for an archive any number of them, or none for all that you may export
    #[arg(value_name = "COLLECTION", required_unless_present = "archive")]
    collections: Vec<CollectionName>,
    /// Write an archive, sealed for its recipients: the format that `docs/formats/archive.md` describes
    #[arg(long, conflicts_with_all = ["format", "fields", "reveal", "ids", "assignees", "resume", "verify"])]
    archive: bool,
    #[command(flatten)]
    recipients: RecipientArguments,
    /// The new file; until it is whole it has `.part` behind its name
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// How the file writes its records [default: what its name tells]
    #[arg(long)]
    format: Option<FormatArgument>,
    #[command(flatten)]
    shown: ShownArguments,
    /// So many records in one part
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    page: u32,
    /// Leave references as the ids of records, instead of their external ids
    #[arg(long)]
    ids: bool,
    /// Write the users to whom records are assigned by their external ids, so that an import assigns them
    /// elsewhere too; you need to manage users. NDJSON only
    #[arg(long)]
    assignees: bool,
    /// Go on with the export to this file that was broken off, within 24 hours
    #[arg(long)]
    resume: bool,
    /// Read the file afterwards, and compare it with the collection; NDJSON only
    #[arg(long)]
    verify: bool,
}

impl ExportFile {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        if self.archive {
            return archive::export(session, self.collections, self.recipients, &self.to).await;
        }
        let [collection] = self.collections.as_slice() else {
            return Err(Failure::usage("name one collection; only an archive takes several"));
        };
        let format = match self.format {
            Some(FormatArgument::Csv) => Format::Csv,
            Some(FormatArgument::Ndjson) => Format::Ndjson,
            None => Format::of_name(&self.to).ok_or_else(|| {
                Failure::usage("the file's name tells no format; name it with `--format`")
            })?,
        };
        if format == Format::Csv && (self.verify || self.assignees) {
            return Err(Failure::usage("`--verify` and `--assignees` are for NDJSON alone"));
        }
        let wanted = Export {
            collection: collection.clone(),
            format,
            shown: self.shown.shown(),
            part_records: self.page,
            references: !self.ids,
            assignees: self.assignees,
        };
        let scoped = session.scoped().await?;
        let mut last = Instant::now();
        let progress = |summary: &ExportSummary| {
            if last.elapsed() >= Duration::from_secs(LINE_SECONDS) {
                say(&line(summary));
                last = Instant::now();
            }
        };
        let summary = export(scoped, &wanted, &self.to, self.resume, progress).await?;
        say(&line(&summary));
        if summary.unresolved > 0 {
            say(&format!(
                "{} references or assignees stay ids: you do not see where they lead, or that has no external id",
                summary.unresolved
            ));
        }
        if self.verify {
            let file = File::open(&self.to).map_err(|error| Failure::file(&self.to, &error))?;
            let verified = verify(scoped, &wanted.collection, &wanted.shown, file, |_| ()).await?;
            return compared(&verified);
        }
        Ok(())
    }
}

fn line(summary: &ExportSummary) -> String {
    format!("{} records, {} bytes", summary.records, summary.bytes)
}

/// Says how the comparison went. What others change meanwhile is no fault of the file.
fn compared(verified: &Verified) -> Result<(), Failure> {
    let Verified { same, changed, different, gone } = verified;
    say(&format!(
        "verified: {same} records are as in the file, {changed} have been changed since, {gone} are gone"
    ));
    if *different == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::CheckFailed,
        format!("{different} records are not as in the file although nobody changed them"),
    ))
}

/// Whether the server's job has ended, so that there is nothing to go on with.
fn is_over(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.code.as_str() == "wrong_state")
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let more = match &error {
            ExportError::Client(error) if is_over(error) => {
                "\n  next: the export was stopped or left for too long; remove the file with `.part` \
                 behind its name and begin again"
            }
            ExportError::Client(_) => "\n  next: with `--resume` the export goes on from here",
            ExportError::BrokeOff(_) => "\n  next: name `--resume` to go on with it",
            ExportError::File { .. }
            | ExportError::Taken(_)
            | ExportError::NothingToResume(_)
            | ExportError::Another
            | ExportError::Unintelligible => "",
        };
        let mut failure = match error {
            ExportError::Client(error) => Self::from(error),
            ExportError::File { .. }
            | ExportError::Taken(_)
            | ExportError::BrokeOff(_)
            | ExportError::NothingToResume(_)
            | ExportError::Another
            | ExportError::Unintelligible => Self::local(error.to_string()),
        };
        failure.message.push_str(more);
        failure
    }
}
