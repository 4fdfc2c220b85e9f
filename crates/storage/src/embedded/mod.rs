//! The store of one folder: rows and the lines of commits in an embedded engine's database, the
//! lines of reads in a journal beside it.
//!
//! One thread writes the database and one the journal, so that a read's line does not wait for a
//! commit; `ordering` is the one short section in which they meet. Each engine is a file or folder
//! here, behind the trait of `engine`.

mod appender;
mod disk;
mod engine;
pub(crate) mod fjall;
mod folder;
pub(crate) mod front;
mod mark;
mod ordering;
pub(crate) mod redb;
pub(crate) mod sled;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::batch::{check_append, refuse_if};
use crate::journal::{self, Journal, ReadError};
use crate::store::{KEYS_MAX, PAGE_MAX};
use crate::{
    Batch, Committed, Description, Expect, KeyRange, Line, LinePosition, LineRange, OpenError, Row,
    RowKey, Store, StoreError, Sums,
};
use appender::Appender;
use disk::Disk;
use engine::Engine;
pub(crate) use engine::Kind;
use ordering::Ordering;
use writer::Writer;

/// Most batches, and most appends, that wait; whoever comes then waits to be let in.
const QUEUE_JOBS_MAX: usize = 1_024;
/// Most bytes of waiting batches, in KiB, with room for the largest batch.
const QUEUE_KIB_MAX: u32 = 128 * 1_024;

/// What a thread that has ended leaves behind.
const STOPPED: StoreError = StoreError::Unavailable("it is being closed");

/// Where the outcome of a commit or an append goes.
type Answer = oneshot::Sender<Result<Committed, StoreError>>;

/// Groups that were made durable.
#[derive(Default)]
struct Groups {
    commits: AtomicU64,
    appends: AtomicU64,
}

/// A store in a folder. Dropping it waits for what was already sent.
pub(crate) struct EmbeddedStore {
    kind: &'static Kind,
    engine: Arc<dyn Engine>,
    disk: Arc<Disk>,
    ordering: Arc<Ordering>,
    journal: Arc<journal::Shared>,
    groups: Arc<Groups>,
    room: Arc<Semaphore>,
    sums: Arc<Sums>,
    commits: Option<mpsc::Sender<writer::Job>>,
    appends: Option<mpsc::Sender<appender::Job>>,
    writer: Option<JoinHandle<()>>,
    appender: Option<JoinHandle<()>>,
    /// Held as long as the store is open, so that nobody else opens it.
    _lock: folder::Lock,
}

impl EmbeddedStore {
    /// Makes a store where there is none and opens it.
    ///
    /// # Errors
    /// [`OpenError`]; no store is there then.
    pub(crate) fn create(kind: &'static Kind, path: &Path) -> Result<Self, OpenError> {
        folder::create(kind, path)?;
        Self::open(kind, path)
    }

    /// Opens the store that is there.
    ///
    /// # Errors
    /// [`OpenError`]; the store is as it was.
    pub(crate) fn open(kind: &'static Kind, path: &Path) -> Result<Self, OpenError> {
        let lock = folder::lock(kind, path)?;
        let disk = Arc::default();
        let engine: Arc<dyn Engine> = (kind.open)(path, &disk)?.into();
        let journal = Journal::open(&folder::journal_folder(path))?;
        let shared = journal.shared();
        let ordering = Arc::new(Ordering::default());
        let groups = Arc::new(Groups::default());
        let sums = Arc::new(Sums::default());
        let (commits, commit_jobs) = mpsc::channel(QUEUE_JOBS_MAX);
        let (appends, append_jobs) = mpsc::channel(QUEUE_JOBS_MAX);
        let (writer, append_node) = Writer::start(
            Arc::clone(&engine),
            Arc::clone(&ordering),
            Arc::clone(&groups),
            Arc::clone(&sums),
            &path.join(kind.database()),
        )?;
        let appender = Appender::new(
            Arc::clone(&engine),
            Arc::clone(&ordering),
            Arc::clone(&groups),
            journal,
            append_node,
            commits.clone(),
        );
        Ok(Self {
            kind,
            engine,
            disk,
            ordering,
            journal: shared,
            groups,
            sums,
            room: Arc::new(Semaphore::new(usize::try_from(QUEUE_KIB_MAX).unwrap_or(1))),
            commits: Some(commits),
            appends: Some(appends),
            writer: Some(start(path, "store-commits", move || writer.run(commit_jobs))?),
            appender: Some(start(path, "store-appends", move || appender.run(append_jobs))?),
            _lock: lock,
        })
    }
}

fn start(
    path: &Path,
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|reason| OpenError::Unreadable { path: path.to_owned(), reason })
}

impl Drop for EmbeddedStore {
    /// The appender may ask the writer for a number, so it ends first.
    fn drop(&mut self) {
        drop(self.appends.take());
        if let Some(appender) = self.appender.take() {
            let _ = appender.join();
        }
        drop(self.commits.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Reads go straight to the database: they take microseconds from its cache or the page cache, less
/// than handing them to another thread.
#[async_trait]
impl Store for EmbeddedStore {
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        refuse_if(keys.len() > KEYS_MAX, "too many keys at once")?;
        match self.ordering.recall(keys) {
            Ok(rows) => Ok(rows),
            Err(moment) => {
                let rows = self.engine.get_many(keys)?;
                self.ordering.remember(&moment, keys, &rows);
                Ok(rows)
            }
        }
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        refuse_if(limit > PAGE_MAX, "the page is too long")?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.engine.scan(range, limit)
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        batch.check()?;
        let kib = u32::try_from(batch.size() / 1_024 + 1).unwrap_or(QUEUE_KIB_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| STOPPED)?;
        let (answer, outcome) = oneshot::channel();
        let job = writer::Job::Commit(Box::new(writer::Commit { batch, answer, _room: room }));
        self.commits.as_ref().ok_or(STOPPED)?.send(job).await.map_err(|_| STOPPED)?;
        outcome.await.map_err(|_| STOPPED)?
    }

    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError> {
        check_append(&lines, &facts)?;
        let (answer, outcome) = oneshot::channel();
        let job = appender::Job { lines, facts, answer };
        self.appends.as_ref().ok_or(STOPPED)?.send(job).await.map_err(|_| STOPPED)?;
        outcome.await.map_err(|_| STOPPED)?
    }

    /// A page of the journal may mean reading much of a file, so it has a thread of its own.
    async fn read_lines(
        &self,
        range: &LineRange,
    ) -> Result<Vec<(LinePosition, Bytes)>, StoreError> {
        refuse_if(range.limit > PAGE_MAX, "the page is too long")?;
        let (engine, journal, range) =
            (Arc::clone(&self.engine), Arc::clone(&self.journal), *range);
        tokio::task::spawn_blocking(move || read_lines(&*engine, &journal, &range))
            .await
            .map_err(|_| STOPPED)?
    }

    fn sums(&self) -> &Sums {
        &self.sums
    }

    fn describe(&self) -> Description {
        Description {
            engine: self.kind.name,
            commit_groups: self.groups.commits.load(Memory::Relaxed),
            append_groups: self.groups.appends.load(Memory::Relaxed),
            syncs: self.disk.syncs().saturating_add(self.journal.syncs()),
        }
    }
}

fn read_lines(
    engine: &dyn Engine,
    journal: &journal::Shared,
    range: &LineRange,
) -> Result<Vec<(LinePosition, Bytes)>, StoreError> {
    let mut position = range.after;
    let mut found = Vec::new();
    if range.limit == 0 {
        return Ok(found);
    }
    engine.read_lines(position.commits, &mut |commits, line| {
        position.commits = commits;
        if range.wants(line) {
            found.push((position, Bytes::copy_from_slice(line)));
        }
        found.len() < range.limit
    })?;
    if found.len() < range.limit {
        let read = journal::read(journal, position.appends, |appends, line| {
            position.appends = appends;
            if range.wants(line) {
                found.push((position, line.clone()));
            }
            found.len() < range.limit
        });
        read.map_err(|error| match error {
            ReadError::Io => StoreError::Unavailable("the journal cannot be read"),
            ReadError::Damaged => StoreError::Damaged("a segment of the journal"),
        })?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
