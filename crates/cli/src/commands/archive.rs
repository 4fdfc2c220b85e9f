//! `strongroom archive`, and archives in `export` and `import`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_client::archive::{
    ArchiveError, ArchiveImport, ArchiveImportError, FetchError, Imported, NewArchive, fetch,
    import, verify,
};
use strongroom_client::import::{Rejects, Summary};
use strongroom_crypto::hash::sha256;
use strongroom_model::CollectionName;
use tokio::time::Instant;

use crate::age::{OpenedFile, recipients};
use crate::exit::{Exit, Failure};
use crate::screen::{Screen, say};
use crate::session::Session;

/// How often it is said how far it has come.
const LINE_SECONDS: u64 = 10;

#[derive(Debug, Subcommand)]
pub(crate) enum Archive {
    /// Read an archive to its end, and say what is in it, without any server
    Verify(Verify),
}

/// Verifies an archive that lies in a file.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The archive
    file: PathBuf,
    /// The file with the identity that opens it, as `age-keygen` writes it
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
}

impl Verify {
    pub(crate) fn run(self, screen: Screen) -> Result<(), Failure> {
        let mut clock = Lines::default();
        let opened = OpenedFile::open(&self.file, &self.identity)
            .map_err(|error| Failure::local(format!("`{}`: {error}", self.file.display())))?;
        let archived = verify(opened, sha256, |records| clock.say(|| format!("{records} records")))
            .map_err(|error| of_archive(&self.file, &error))?;
        let manifest = archived.manifest;
        let records: u64 = archived.collections.iter().map(|written| written.records).sum();
        let collections: serde_json::Map<String, serde_json::Value> = archived
            .collections
            .iter()
            .map(|written| (written.name.to_string(), written.records.into()))
            .collect();
        screen.value(&json!({
            "tenant": manifest.tenant, "made_at": manifest.made_at, "purpose": manifest.purpose,
            "records": records, "collections": collections,
        }))?;
        say("the archive is whole");
        Ok(())
    }
}

fn of_archive(path: &Path, error: &ArchiveError) -> Failure {
    Failure::new(Exit::CheckFailed, format!("`{}`: {error}", path.display()))
}

/// Says lines now and then.
struct Lines(Instant);

impl Default for Lines {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Lines {
    fn say(&mut self, line: impl FnOnce() -> String) {
        if self.0.elapsed() >= Duration::from_secs(LINE_SECONDS) {
            say(&line());
            self.0 = Instant::now();
        }
    }
}

/// For whom an archive is sealed.
#[derive(Debug, Args)]
pub(crate) struct RecipientArguments {
    /// Seal the archive for this recipient of age, `age1…`; may be said several times
    #[arg(long, value_name = "RECIPIENT", requires = "archive")]
    recipient: Vec<String>,
    /// Seal the archive for the recipients in this file, one a line
    #[arg(long, value_name = "FILE", requires = "archive")]
    recipients_file: Option<PathBuf>,
}

impl RecipientArguments {
    fn all(self) -> Result<Vec<String>, Failure> {
        let mut all = self.recipient;
        if let Some(path) = &self.recipients_file {
            all.extend(recipients(path)?);
        }
        if all.is_empty() {
            return Err(Failure::usage(
                "an archive is sealed for somebody: name them with `--recipient` or `--recipients-file`",
            ));
        }
        Ok(all)
    }
}

/// Has an archive made and writes it to a file.
pub(crate) async fn export(
    session: &Session,
    collections: Vec<CollectionName>,
    recipients: RecipientArguments,
    to: &Path,
) -> Result<(), Failure> {
    let collections = (!collections.is_empty()).then_some(collections);
    let wanted = NewArchive { collections, recipients: recipients.all()? };
    let mut clock = Lines::default();
    let progress = |bytes| clock.say(|| format!("{bytes} bytes"));
    let scoped = session.scoped().await?;
    let fetched = tokio::select! {
        fetched = fetch(scoped, &wanted, to, progress) => fetched,
        // What has been written of it goes away with it.
        _ = tokio::signal::ctrl_c() => return Err(Failure::local("given up; nothing is left of the archive")),
    };
    let bytes = fetched.map_err(|error| match error {
        FetchError::Client(error) => Failure::from(error),
        FetchError::File { .. } | FetchError::Taken(_) => Failure::local(error.to_string()),
    })?;
    say(&format!("{bytes} bytes; `strongroom archive verify` says whether it is whole"));
    Ok(())
}

/// Brings an archive in.
pub(crate) async fn bring(
    session: &Session,
    file: &Path,
    identity: &Path,
    wanted: &ArchiveImport,
    keep_rows: bool,
) -> Result<(), Failure> {
    let scoped = session.scoped().await?;
    let open = || OpenedFile::open(file, identity);
    let rejects =
        |collection: &CollectionName| Rejects::at(rejects_of(file, collection), keep_rows);
    let mut clock = Lines::default();
    let progress = |collection: &CollectionName, summary: &Summary| {
        clock.say(|| format!("{collection}: {} records", summary.rows));
    };
    let imported = import(scoped, open, sha256, wanted, rejects, progress).await;
    report(file, &imported.map_err(|error| failure(file, error))?)
}

fn rejects_of(file: &Path, collection: &CollectionName) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{collection}.rejects.ndjson"));
    PathBuf::from(name)
}

fn failure(file: &Path, error: ArchiveImportError) -> Failure {
    match error {
        ArchiveImportError::Archive(error) => of_archive(file, &error),
        ArchiveImportError::Client(error) => error.into(),
        ArchiveImportError::Import(error) => {
            let mut failure = Failure::from(error);
            failure.message.push_str(
                "\n  what was imported before stays; running the same command again is safe",
            );
            failure
        }
        ArchiveImportError::NoCollection(_) => Failure::usage(error.to_string()),
        ArchiveImportError::Again(ref inner) if inner.kind() == io::ErrorKind::NotFound => {
            Failure::file(file, inner)
        }
        ArchiveImportError::Again(_) => Failure::local(error.to_string()),
    }
}

fn report(file: &Path, imported: &[Imported]) -> Result<(), Failure> {
    let mut rejected = 0;
    let mut unlike = 0;
    for Imported { collection, made, summary, verified } in imported {
        let made = if *made { ", made" } else { "" };
        say(&format!(
            "{collection}{made}: {} records: {} created, {} there already, {} rejected",
            summary.rows, summary.created, summary.exists, summary.rejected
        ));
        rejected += summary.rejected;
        if let Some(verified) = verified {
            let (different, missing) = (verified.different, verified.missing);
            say(&format!(
                "{collection}, verified: {} are there as in the archive, {different} with other values, \
                 {missing} are not there",
                verified.same
            ));
            unlike += different + missing;
        }
    }
    if unlike > 0 {
        let message = format!("{unlike} records are not there as in the archive");
        return Err(Failure::new(Exit::CheckFailed, message));
    }
    if rejected > 0 {
        let message = format!(
            "{rejected} records were rejected; see `{}.COLLECTION.rejects.ndjson`",
            file.display()
        );
        return Err(Failure::new(Exit::Partly, message));
    }
    Ok(())
}
