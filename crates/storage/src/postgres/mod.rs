//! The engine of a PostgreSQL database: rows and lines in its tables, one server at a time.
//!
//! Each lane of lines is one writer with a connection of its own, which makes what has queued up
//! durable in one serialisable transaction; readers share a few connections. `sql` has every
//! statement, `lane` says how a commit whose answer was lost is resolved, and `lease` who may write.

mod address;
mod group;
mod lane;
mod lease;
mod link;
mod problem;
mod readers;
mod schema;
mod sql;
mod tls;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::Row as Found;

use crate::batch::{check_append, refuse_if};
use crate::line::AppendPosition;
use crate::store::{KEYS_MAX, PAGE_MAX};
use crate::{
    Batch, Committed, Description, Expect, KeyRange, Line, LinePosition, LineRange, OpenError, Row,
    RowKey, Store, StoreError, Sums,
};
pub use address::PostgresUrl;
use lane::{Job, Lane, LaneName};
use lease::Lease;
use link::{Connector, Parameter};
pub use problem::DatabaseProblem;
use readers::Readers;
use sql::Sql;

/// Bytes of a key that stand in the column `tenant`.
const TENANT_BYTES: usize = 16;
/// Most batches, and most appends, that wait; whoever comes then waits to be let in.
const QUEUE_JOBS_MAX: usize = 1_024;
/// Most bytes of waiting batches, in KiB, with room for the largest batch.
const QUEUE_KIB_MAX: u32 = 128 * 1_024;
/// Threads that carry bytes between the database and the server.
const THREADS: usize = 2;
/// Longest time to give the store back when it is closed.
const RELEASE_TIME_MAX: Duration = Duration::from_secs(3);

/// What a lane that has ended leaves behind.
const STOPPED: StoreError = StoreError::Unavailable("it is being closed");
const DAMAGED: StoreError = StoreError::Damaged("the tables of the database");

/// A store in a database. Dropping it waits for what was already sent.
pub struct PostgresStore {
    parts: Option<Parts>,
    sums: Arc<Sums>,
    thread: Option<JoinHandle<()>>,
}

/// What an open store is made of.
struct Parts {
    readers: Readers,
    commits: mpsc::Sender<Job>,
    appends: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    commit_groups: Arc<AtomicU64>,
    append_groups: Arc<AtomicU64>,
    /// Dropped when the store is closed.
    _closing: oneshot::Sender<()>,
}

/// Whether there is a store already.
#[derive(Clone, Copy)]
enum Begin {
    Create,
    Open,
}

impl PostgresStore {
    /// Makes a store in a database that has none and opens it. It blocks.
    ///
    /// # Errors
    /// [`OpenError::Database`] with the place, without a password, and what to do.
    pub fn create(url: &PostgresUrl) -> Result<Self, OpenError> {
        Self::start(url, Begin::Create)
    }

    /// Opens the store that is there. It blocks; if its server has crashed, for some seconds, until it is
    /// certain that it will not go on.
    ///
    /// # Errors
    /// [`OpenError::Database`] with the place, without a password, and what to do.
    pub fn open(url: &PostgresUrl) -> Result<Self, OpenError> {
        Self::start(url, Begin::Open)
    }

    /// A thread with a runtime of its own carries the connections, so that they do not end with the
    /// runtime of whoever has opened the store.
    fn start(url: &PostgresUrl, begin: Begin) -> Result<Self, OpenError> {
        let failed = |problem| OpenError::Database { place: url.to_string(), problem };
        let (opened, parts) = std::sync::mpsc::channel();
        let at = url.clone();
        let sums = Arc::new(Sums::default());
        let summed = Arc::clone(&sums);
        let thread = thread::Builder::new()
            .name("store-postgres".to_owned())
            .spawn(move || serve(at, begin, summed, &opened))
            .map_err(|reason| failed(no_thread(&reason)))?;
        let parts = parts.recv().unwrap_or_else(|_| {
            Err(DatabaseProblem::Other("its thread has ended by itself".to_owned()))
        });
        match parts {
            Ok(parts) => Ok(Self { parts: Some(parts), sums, thread: Some(thread) }),
            Err(problem) => {
                let _ = thread.join();
                Err(failed(problem))
            }
        }
    }

    fn parts(&self) -> Result<&Parts, StoreError> {
        self.parts.as_ref().ok_or(STOPPED)
    }

    async fn send(&self, lane: LaneName, batch: Batch) -> Result<Committed, StoreError> {
        let parts = self.parts()?;
        let kib = u32::try_from(batch.size() / 1_024 + 1).unwrap_or(QUEUE_KIB_MAX);
        let room = Arc::clone(&parts.room).acquire_many_owned(kib).await.map_err(|_| STOPPED)?;
        let (answer, outcome) = oneshot::channel();
        let jobs = match lane {
            LaneName::Commits => &parts.commits,
            LaneName::Appends => &parts.appends,
        };
        jobs.send(Job { batch, answer, _room: room }).await.map_err(|_| STOPPED)?;
        outcome.await.map_err(|_| STOPPED)?
    }

    async fn lines(
        &self,
        lane: LaneName,
        after: u64,
        range: &LineRange,
        limit: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let number = lane.number();
        let found = self
            .parts()?
            .readers
            .read(|link| async move {
                match range.tenant {
                    Some(tenant) => {
                        let tenant = &tenant.as_bytes()[..];
                        link.query(&sql::LINES_OF, &[&number, &after, &limit, &tenant]).await
                    }
                    None => link.query(&sql::LINES, &[&number, &after, &limit]).await,
                }
            })
            .await?;
        let line = |row: &Found| {
            let number = u64::try_from(row.try_get::<_, i64>(0).ok()?).ok()?;
            Some((number, Bytes::copy_from_slice(row.try_get(1).ok()?)))
        };
        found.iter().map(line).collect::<Option<_>>().ok_or(DAMAGED)
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        drop(self.parts.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        refuse_if(keys.len() > KEYS_MAX, "too many keys at once")?;
        let mut rows = vec![None; keys.len()];
        if keys.is_empty() {
            return Ok(rows);
        }
        let (tenants, rests): (Vec<&[u8]>, Vec<&[u8]>) =
            keys.iter().map(|key| split(key.as_bytes())).unzip();
        let (tenants, rests) = (&tenants, &rests);
        let found = self
            .parts()?
            .readers
            .read(|link| async move { link.query(&sql::ROWS, &[tenants, rests]).await })
            .await?;
        for row in &found {
            let place = row.try_get::<_, i64>(0).ok().and_then(|place| usize::try_from(place).ok());
            let place = place.and_then(|place| place.checked_sub(1)).ok_or(DAMAGED)?;
            *rows.get_mut(place).ok_or(DAMAGED)? = Some(row_of(row, 1).ok_or(DAMAGED)?);
        }
        Ok(rows)
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        refuse_if(limit > PAGE_MAX, "the page is too long")?;
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (tenant, rest) = split(range.start());
        let end = range.end().map(split);
        let statement: &'static Sql = match (end.is_some(), range.is_descending()) {
            (true, false) => &sql::SCAN,
            (true, true) => &sql::SCAN_BACKWARDS,
            (false, false) => &sql::SCAN_ON,
            (false, true) => &sql::SCAN_ON_BACKWARDS,
        };
        let found = self
            .parts()?
            .readers
            .read(|link| async move {
                let mut parameters: Vec<Parameter<'_>> = vec![&tenant, &rest, &limit];
                if let Some((end_tenant, end_rest)) = &end {
                    parameters.push(end_tenant);
                    parameters.push(end_rest);
                }
                link.query(statement, &parameters).await
            })
            .await?;
        let entry = |row: &Found| {
            let (tenant, rest): (&[u8], &[u8]) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
            Some((RowKey::of_parts([tenant, rest]), row_of(row, 2)?))
        };
        found.iter().map(entry).collect::<Option<_>>().ok_or(DAMAGED)
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        batch.check()?;
        let is_too_great = batch.puts.iter().any(|put| i64::try_from(put.version).is_err());
        refuse_if(is_too_great, "a version is too great")?;
        self.send(LaneName::Commits, batch).await
    }

    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError> {
        check_append(&lines, &facts)?;
        let batch = Batch { expects: facts, lines, ..Batch::default() };
        self.send(LaneName::Appends, batch).await
    }

    async fn read_lines(
        &self,
        range: &LineRange,
    ) -> Result<Vec<(LinePosition, Bytes)>, StoreError> {
        refuse_if(range.limit > PAGE_MAX, "the page is too long")?;
        let mut position = range.after;
        let mut found = Vec::new();
        if range.limit == 0 {
            return Ok(found);
        }
        for (commits, line) in
            self.lines(LaneName::Commits, position.commits, range, range.limit).await?
        {
            position.commits = commits;
            found.push((position, line));
        }
        let limit = range.limit - found.len();
        if limit > 0 {
            let seen = number_of(position.appends);
            for (number, line) in self.lines(LaneName::Appends, seen, range, limit).await? {
                position.appends = position_of(number);
                found.push((position, line));
            }
        }
        Ok(found)
    }

    fn sums(&self) -> &Sums {
        &self.sums
    }

    fn describe(&self) -> Description {
        let parts = self.parts.as_ref();
        let count = |groups: fn(&Parts) -> &AtomicU64| {
            parts.map_or(0, |parts| groups(parts).load(Ordering::Relaxed))
        };
        Description {
            engine: "postgres",
            commit_groups: count(|parts| &parts.commit_groups),
            append_groups: count(|parts| &parts.append_groups),
            syncs: 0,
        }
    }
}

/// A key's two columns. They are compared one after the other as the whole key is.
fn split(key: &[u8]) -> (&[u8], &[u8]) {
    key.split_at_checked(TENANT_BYTES).unwrap_or((key, &[]))
}

fn row_of(row: &Found, from: usize) -> Option<Row> {
    let version = u64::try_from(row.try_get::<_, i64>(from).ok()?).ok()?;
    Some(Row { version, value: Bytes::copy_from_slice(row.try_get(from + 1).ok()?) })
}

/// The number of a line of the lane of appends, in the place of a segment and an offset.
fn number_of(position: AppendPosition) -> u64 {
    u64::from(position.segment) << 32 | u64::from(position.offset)
}

fn position_of(number: u64) -> AppendPosition {
    let part = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
    AppendPosition { segment: part(number >> 32), offset: part(number), index: 0 }
}

fn no_thread(reason: &io::Error) -> DatabaseProblem {
    DatabaseProblem::Other(format!("no thread can be started: {reason}"))
}

/// The thread of a store: opens it, hands it over, and closes it when it is let go.
fn serve(
    url: PostgresUrl,
    begin: Begin,
    sums: Arc<Sums>,
    opened: &std::sync::mpsc::Sender<Result<Parts, DatabaseProblem>>,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("store-postgres")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(reason) => {
            let _ = opened.send(Err(no_thread(&reason)));
            return;
        }
    };
    runtime.block_on(async {
        match open(url, begin, sums).await {
            Ok((parts, running)) => {
                let _ = opened.send(Ok(parts));
                running.until_closed().await;
            }
            Err(problem) => drop(opened.send(Err(problem))),
        }
    });
    runtime.shutdown_background();
}

/// What goes on in the background of an open store.
struct Running {
    lease: Arc<Lease>,
    connector: Arc<Connector>,
    lanes: [tokio::task::JoinHandle<()>; 2],
    beat: tokio::task::JoinHandle<()>,
    closed: oneshot::Receiver<()>,
}

impl Running {
    async fn until_closed(self) {
        let _ = self.closed.await;
        for lane in self.lanes {
            let _ = lane.await;
        }
        self.beat.abort();
        match timeout(RELEASE_TIME_MAX, self.lease.release(&self.connector)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the database could not be given back"),
            Err(_) => tracing::warn!("the database could not be given back in time"),
        }
    }
}

async fn open(
    url: PostgresUrl,
    begin: Begin,
    sums: Arc<Sums>,
) -> Result<(Parts, Running), DatabaseProblem> {
    let connector = Arc::new(Connector::new(url, tokio::runtime::Handle::current())?);
    let link = connector.connect(&[]).await.map_err(link_problem)?;
    match begin {
        Begin::Create => schema::create(&link).await?,
        Begin::Open => schema::check(&link).await?,
    }
    let lease = Arc::new(Lease::take(&link).await?);
    let beat = tokio::spawn(Arc::clone(&lease).beat(Arc::clone(&connector)));
    let commit_groups = Arc::<AtomicU64>::default();
    let append_groups = Arc::<AtomicU64>::default();
    let lane = |name, groups: &Arc<AtomicU64>| {
        Lane::new(
            name,
            Arc::clone(&lease),
            Arc::clone(&connector),
            Arc::clone(groups),
            Arc::clone(&sums),
        )
    };
    let mut commit_lane = lane(LaneName::Commits, &commit_groups);
    let mut append_lane = lane(LaneName::Appends, &append_groups);
    commit_lane.begin().await.map_err(link_problem)?;
    append_lane.begin().await.map_err(link_problem)?;
    let (commits, commit_jobs) = mpsc::channel(QUEUE_JOBS_MAX);
    let (appends, append_jobs) = mpsc::channel(QUEUE_JOBS_MAX);
    let lanes =
        [tokio::spawn(commit_lane.run(commit_jobs)), tokio::spawn(append_lane.run(append_jobs))];
    let (closing, closed) = oneshot::channel();
    let parts = Parts {
        readers: Readers::new(Arc::clone(&connector), Arc::clone(&lease)),
        commits,
        appends,
        room: Arc::new(Semaphore::new(usize::try_from(QUEUE_KIB_MAX).unwrap_or(1))),
        commit_groups,
        append_groups,
        _closing: closing,
    };
    Ok((parts, Running { lease, connector, lanes, beat, closed }))
}

fn link_problem(error: problem::LinkError) -> DatabaseProblem {
    error.problem()
}
