//! An import from its first row to its last: batches, results, rejects.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::idempotency_key;
use crate::checkpoint;
use crate::import::{Mapping, ReadRow, Rejects, Row, Rows, RowsError};
use crate::{ClientError, Flaw, ImportItem, ImportResult, ImportStatus, ProblemCode, Scoped};

/// Rows in one request.
const BATCH_ITEMS_MAX: usize = 500;
/// Deferred rows in one request: a row is below 1 MiB, and most are far below.
const DEFERRED_BATCH_ITEMS_MAX: usize = 100;
/// So many rows that refer to records which are not there wait for the file's end; further ones are
/// rejected at once.
const DEFERRED_ROWS_MAX: usize = 10_000;
/// Bytes of JSON in one request; a single larger row goes alone.
const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Why an import stopped before its last row.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read further.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The server does not take any row.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file of rejects cannot be written.
    #[error("the file of rejects cannot be written: {0}")]
    Rejects(#[from] io::Error),
    /// The results do not belong to the rows that were sent.
    #[error("the server's results do not belong to the rows that were sent")]
    Results,
    /// The checkpoint cannot be used.
    #[error("the checkpoint cannot be used: {0}")]
    Checkpoint(io::Error),
    /// There is nothing to go on with.
    #[error("there is no import to go on with: it has no checkpoint")]
    NothingToResume,
    /// The file or the mapping has changed since.
    #[error("the import that broke off was of another file, or with another mapping")]
    Another,
}

/// Where an import keeps how far it has come, so that the next run can go on after this one was killed.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// The file.
    pub path: PathBuf,
    /// What is imported, so that one import is not gone on with as another: the file's length and time,
    /// and the mapping.
    pub what: String,
    /// Whether to go on from what is there.
    pub resume: bool,
}

/// What a checkpoint says.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    what: String,
    /// What the keys of batches begin with.
    run: String,
    /// The number of the next batch.
    batch: u64,
    /// Rows that have been dealt with.
    rows: u64,
    created: u64,
    exists: u64,
    rejected: u64,
    /// Bytes of the file of rejects.
    rejects_bytes: u64,
    /// The lines of rows that wait for the file's end.
    deferred: Vec<u64>,
}

/// How far an import has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows read, bad ones included.
    pub rows: u64,
    /// Records made; none where the server is not asked.
    pub created: u64,
    /// Rows whose external id was there already; those records are left as they are.
    pub exists: u64,
    /// Rows not taken.
    pub rejected: u64,
    /// Bytes of the file that have been read.
    pub bytes: u64,
    /// Columns that the mapping names and no row has had so far: perhaps a slip of the pen.
    pub never_seen: BTreeSet<String>,
}

/// Whether rows that refer to what is not there wait for the file's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defer {
    Yes,
    No,
}

/// A row on its way.
struct Waiting {
    line: u64,
    row: Row,
    item: ImportItem,
}

/// One run over a file.
struct Run<'r> {
    scoped: Option<Scoped<'r>>,
    mapping: &'r Mapping,
    rejects: &'r mut Rejects,
    summary: Summary,
    /// Rows that refer to records which are not there, and may come later in the file.
    deferred: Vec<Waiting>,
    /// 128 random bits; with the batch's number they make its idempotency key.
    id: String,
    batch: u64,
    checkpoints: Option<&'r Checkpoints>,
}

/// Imports all rows. `progress` is called after each batch, and a checkpoint is kept where there is a
/// place for it. After a kill, the batch that was under way is sent again under the same key: what it
/// had made counts as there already.
///
/// # Errors
/// [`ImportError`] if it stopped before the last row; rows before it are imported, and running it
/// again is safe.
pub async fn import<R: Read>(
    scoped: Scoped<'_>,
    mapping: &Mapping,
    mut rows: Rows<R>,
    rejects: &mut Rejects,
    checkpoints: Option<&Checkpoints>,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary, ImportError> {
    let id = idempotency_key(scoped.client.rng()).map_err(ClientError::from)?;
    let mut run = Run::new(Some(scoped), mapping, rejects, id);
    run.checkpoints = checkpoints;
    run.begin(&mut rows)?;
    let outcome = run.all(&mut rows, &mut progress).await;
    run.rejects.flush()?;
    outcome?;
    if let Some(checkpoints) = checkpoints {
        checkpoint::remove(&checkpoints.path).map_err(ImportError::Checkpoint)?;
    }
    Ok(run.summary)
}

/// Reads all rows and rejects those that the mapping makes no record of; the server is not asked.
///
/// # Errors
/// [`ImportError`] if the file cannot be read to its end.
pub async fn check<R: Read>(
    mapping: &Mapping,
    mut rows: Rows<R>,
    rejects: &mut Rejects,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary, ImportError> {
    let mut run = Run::new(None, mapping, rejects, String::new());
    let outcome = run.all(&mut rows, &mut progress).await;
    run.rejects.flush()?;
    outcome.map(|()| run.summary)
}

impl<'r> Run<'r> {
    fn new(
        scoped: Option<Scoped<'r>>,
        mapping: &'r Mapping,
        rejects: &'r mut Rejects,
        id: String,
    ) -> Self {
        let never_seen = mapping.columns().into_iter().map(ToOwned::to_owned).collect();
        let summary = Summary { never_seen, ..Summary::default() };
        let deferred = Vec::new();
        Self { scoped, mapping, rejects, summary, deferred, id, batch: 0, checkpoints: None }
    }

    /// Goes on where the last run was killed, or begins and says so in a first checkpoint.
    fn begin<R: Read>(&mut self, rows: &mut Rows<R>) -> Result<(), ImportError> {
        let Some(checkpoints) = self.checkpoints else { return Ok(()) };
        if !checkpoints.resume {
            return self.keep(0);
        }
        let kept: Option<Checkpoint> =
            checkpoint::read(&checkpoints.path).map_err(ImportError::Checkpoint)?;
        let kept = kept.ok_or(ImportError::NothingToResume)?;
        if kept.what != checkpoints.what {
            return Err(ImportError::Another);
        }
        self.rejects.cut_to(kept.rejects_bytes)?;
        let waiting: BTreeSet<u64> = kept.deferred.iter().copied().collect();
        for _ in 0..kept.rows {
            let read = rows.read()?.ok_or(ImportError::Another)?;
            if let ReadRow::Row(line, row) = read {
                self.summary.never_seen.retain(|column| row.cell(column).is_none());
                if waiting.contains(&line)
                    && let Ok(item) = self.mapping.item(&row)
                {
                    self.deferred.push(Waiting { line, row, item });
                }
            }
        }
        let Checkpoint { run, batch, rows, created, exists, rejected, .. } = kept;
        (self.id, self.batch) = (run, batch);
        let summary = &mut self.summary;
        (summary.rows, summary.created, summary.exists) = (rows, created, exists);
        summary.rejected = rejected;
        Ok(())
    }

    /// Says that so many rows have been dealt with.
    fn keep(&mut self, rows: u64) -> Result<(), ImportError> {
        let Some(checkpoints) = self.checkpoints else { return Ok(()) };
        self.rejects.sync()?;
        let kept = Checkpoint {
            what: checkpoints.what.clone(),
            run: self.id.clone(),
            batch: self.batch,
            rows,
            created: self.summary.created,
            exists: self.summary.exists,
            rejected: self.summary.rejected,
            rejects_bytes: self.rejects.written(),
            deferred: self.deferred.iter().map(|row| row.line).collect(),
        };
        checkpoint::write(&checkpoints.path, &kept).map_err(ImportError::Checkpoint)
    }

    async fn all<R: Read>(
        &mut self,
        rows: &mut Rows<R>,
        progress: &mut impl FnMut(&Summary),
    ) -> Result<(), ImportError> {
        let mut waiting = Vec::new();
        let mut bytes = 0;
        loop {
            let read = match rows.read() {
                Ok(Some(read)) => read,
                // What was read before the end, or before the file broke, is still sent.
                end => {
                    self.send(waiting, Defer::Yes).await?;
                    self.keep(self.summary.rows)?;
                    self.send_deferred().await?;
                    self.summary.bytes = rows.bytes_read();
                    progress(&self.summary);
                    return end.map(|_| ()).map_err(ImportError::from);
                }
            };
            self.summary.rows += 1;
            if let Some(next) = self.prepared(read)? {
                let length = serde_json::to_vec(&next.item).map_or(0, |json| json.len());
                if waiting.len() == BATCH_ITEMS_MAX
                    || (bytes + length > BATCH_BYTES_MAX && !waiting.is_empty())
                {
                    self.send(std::mem::take(&mut waiting), Defer::Yes).await?;
                    // All rows before the one that was read last.
                    self.keep(self.summary.rows.saturating_sub(1))?;
                    self.summary.bytes = rows.bytes_read();
                    progress(&self.summary);
                    bytes = 0;
                }
                bytes += length;
                waiting.push(next);
            }
        }
    }

    /// The row's item; a row that becomes none is rejected here.
    fn prepared(&mut self, read: ReadRow) -> Result<Option<Waiting>, ImportError> {
        match read {
            ReadRow::Row(line, row) => {
                self.summary.never_seen.retain(|column| row.cell(column).is_none());
                match self.mapping.item(&row) {
                    Ok(item) => Ok(Some(Waiting { line, row, item })),
                    Err(flaws) => self.reject(line, flaws, || row.to_json()).map(|()| None),
                }
            }
            ReadRow::Bad { line, detail, content } => {
                let flaw = Flaw { pointer: String::new(), detail };
                self.reject(line, vec![flaw], || content).map(|()| None)
            }
        }
    }

    /// Sends a batch. Where the server takes none of it for the form of some rows, the halves are
    /// sent instead, down to the rows that are at fault.
    async fn send(&mut self, waiting: Vec<Waiting>, defer: Defer) -> Result<(), ImportError> {
        let Some(scoped) = self.scoped else { return Ok(()) };
        let mut parts = vec![waiting];
        while let Some(mut part) = parts.pop() {
            let Some(first) = part.first() else { continue };
            let line = first.line;
            let (collection, items): (_, Vec<_>) =
                (&self.mapping.collection, part.iter().map(|next| next.item.clone()).collect());
            let key = format!("{}-{}", self.id, self.batch);
            self.batch += 1;
            match scoped.import_records(collection, &items, &key).await {
                Ok(answer) => self.results(part, answer.value, defer)?,
                Err(error) if !is_about_rows(&error) => return Err(error.into()),
                Err(error) if part.len() == 1 => {
                    self.reject(line, flaws(&error), || {
                        part.first().map_or(Value::Null, |next| next.row.to_json())
                    })?;
                }
                Err(_) => {
                    let second = part.split_off(part.len() / 2);
                    parts.push(second);
                    parts.push(part);
                }
            }
        }
        Ok(())
    }

    /// Sends the deferred rows for as long as that makes records that others may refer to.
    async fn send_deferred(&mut self) -> Result<(), ImportError> {
        let mut defer = Defer::Yes;
        while !self.deferred.is_empty() {
            let created = self.summary.created;
            let mut rows = std::mem::take(&mut self.deferred);
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(DEFERRED_BATCH_ITEMS_MAX));
                self.send(std::mem::replace(&mut rows, rest), defer).await?;
            }
            // The last round writes down why.
            if self.summary.created == created {
                defer = Defer::No;
            }
        }
        Ok(())
    }

    fn results(
        &mut self,
        sent: Vec<Waiting>,
        results: Vec<ImportResult>,
        defer: Defer,
    ) -> Result<(), ImportError> {
        let belong = results.len() == sent.len()
            && results.iter().enumerate().all(|(place, result)| result.index == place);
        if !belong {
            return Err(ImportError::Results);
        }
        for (result, row) in results.into_iter().zip(sent) {
            match result.status {
                ImportStatus::Created => self.summary.created += 1,
                ImportStatus::Exists => self.summary.exists += 1,
                ImportStatus::Failed => {
                    let flaws: Vec<Flaw> = result.errors.into_iter().map(within_row).collect();
                    let refers = self.mapping.are_about_references(&flaws);
                    if refers && defer == Defer::Yes && self.deferred.len() < DEFERRED_ROWS_MAX {
                        self.deferred.push(row);
                    } else {
                        self.reject(row.line, flaws, || row.row.to_json())?;
                    }
                }
            }
        }
        Ok(())
    }

    fn reject(
        &mut self,
        line: u64,
        flaws: Vec<Flaw>,
        row: impl FnOnce() -> Value,
    ) -> Result<(), ImportError> {
        self.summary.rejected += 1;
        Ok(self.rejects.add(line, flaws, row)?)
    }
}

/// Whether the server refused for the form of what was sent, so that other rows may still go.
fn is_about_rows(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| {
        matches!(
            problem.code,
            ProblemCode::Invalid | ProblemCode::InvalidJson | ProblemCode::BodyTooLarge
        )
    })
}

/// What the server says about the only row of a batch.
fn flaws(error: &ClientError) -> Vec<Flaw> {
    let problem = error.problem();
    let named = problem.map(|problem| problem.errors.clone()).unwrap_or_default();
    if named.is_empty() {
        let detail = problem.map_or_else(|| error.to_string(), ToString::to_string);
        return vec![Flaw { pointer: String::new(), detail }];
    }
    named.into_iter().map(within_row).collect()
}

/// The pointer without the row's place in its batch, which says nothing to the reader of rejects.
fn within_row(flaw: Flaw) -> Flaw {
    let inner = flaw.pointer.strip_prefix("/items/").map(|rest| {
        rest.split_once('/').map_or_else(String::new, |(_, inner)| format!("/{inner}"))
    });
    Flaw { pointer: inner.unwrap_or(flaw.pointer), detail: flaw.detail }
}
