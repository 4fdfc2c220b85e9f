//! A lane: what has queued up becomes durable in one transaction after the other.
//!
//! A transaction begins by locking the lane's row and ends by counting it there. Whoever has locked
//! the row knows therefore whether the transaction before took place, also when the connection was
//! lost at its commit: that one has ended, one way or the other, or the lock would not have been
//! given. The row's owner shows whether the store was taken over.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join4, join5};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::group::{Change, Group, Verdict, rows_that_decide};
use super::lease::{Lease, REPLACED};
use super::link::{Connector, Link, in_time};
use super::problem::{LinkError, Trouble};
use super::sql::{self, Sql};
use super::{row_of, split};
use crate::chain::Chain;
use crate::{Batch, Committed, Row, RowKey, StoreError, Sums};

/// Most batches that become durable together.
const GROUP_BATCHES_MAX: usize = 256;
/// A group takes no further batch when it has this many bytes.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Tries of one group, also if each of them fails at once.
const TRIES_MAX: u32 = 40;
/// A group that has not come through by then is given up; it is looked at between tries.
const TRY_TIME_MAX: Duration = Duration::from_secs(10);
/// The same, while the database has been away since the group before.
const TRY_TIME_AWAY_MAX: Duration = Duration::from_secs(1);
/// Longest pause between two tries, before chance is added.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// What a lane's connection is mostly used for, prepared ahead. What is not here is planned each time,
/// because a plan that was made while the table was small would read the whole of it later.
const STATEMENTS: [&Sql; 7] = [
    &sql::LOCK_LANE,
    &sql::VERSIONS,
    &sql::ROWS,
    &sql::PUT,
    &sql::ADD_LINES,
    &sql::END_GROUP,
    &sql::TAKE_NODE,
];

/// Where the outcome of a commit or an append goes.
pub(super) type Answer = oneshot::Sender<Result<Committed, StoreError>>;

/// A batch that waits, with the room it takes in the queue. Lines of reads are a batch without
/// changes.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) answer: Answer,
    pub(super) _room: OwnedSemaphorePermit,
}

/// The lanes, by their number in the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LaneName {
    /// Changes, with their lines.
    Commits,
    /// Lines of reads.
    Appends,
}

impl LaneName {
    pub(super) fn number(self) -> i16 {
        match self {
            Self::Commits => 1,
            Self::Appends => 2,
        }
    }
}

/// The only writer of a lane, as long as nobody takes the store over.
pub(super) struct Lane {
    name: LaneName,
    lease: Arc<Lease>,
    connector: Arc<Connector>,
    /// Groups that were made durable.
    groups: Arc<AtomicU64>,
    sums: Arc<Sums>,
    link: Option<Link>,
    /// None after a failed write: its lines may stand in the database's files, and a place is
    /// never used twice, so that the next lines need a new node.
    chain: Option<Chain>,
    is_away: bool,
    chance: u64,
}

/// A lane that is locked, as it was before this transaction.
struct Begun {
    groups: i64,
    lines: i64,
    versions: HashMap<RowKey, u64>,
    /// The rows of the sums that may change.
    sums: HashMap<RowKey, Row>,
}

/// A group whose commit was sent and not answered.
struct Doubt {
    /// The lane's count if it took place.
    groups: i64,
    verdicts: Vec<Verdict>,
}

impl Lane {
    pub(super) fn new(
        name: LaneName,
        lease: Arc<Lease>,
        connector: Arc<Connector>,
        groups: Arc<AtomicU64>,
        sums: Arc<Sums>,
    ) -> Self {
        // Chance here only keeps servers from trying in step; nobody gains by guessing it.
        let chance = lease.owner().unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let chance = (chance ^ u64::from(name.number().unsigned_abs())) | 1;
        let (link, chain, is_away) = (None, None, false);
        Self { name, lease, connector, groups, sums, link, chain, is_away, chance }
    }

    /// Takes the node of this start.
    pub(super) async fn begin(&mut self) -> Result<(), LinkError> {
        let link = self.connector.connect(&STATEMENTS).await?;
        self.chain = Some(Chain::new(take_node(&link).await?));
        self.link = Some(link);
        Ok(())
    }

    /// Works until nobody can send any more.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.recv().await {
            let mut bytes = first.batch.size();
            let mut group = vec![first];
            while group.len() < GROUP_BATCHES_MAX
                && bytes < GROUP_BYTES_MAX
                && let Ok(job) = jobs.try_recv()
            {
                bytes += job.batch.size();
                group.push(job);
            }
            self.settle(group).await;
        }
    }

    async fn settle(&mut self, mut jobs: Vec<Job>) {
        let outcome = self.write(&mut jobs).await;
        self.is_away = matches!(outcome, Err(StoreError::Unavailable(_)));
        match outcome {
            Ok(verdicts) => {
                self.groups.fetch_add(1, Ordering::Relaxed);
                for (job, verdict) in jobs.into_iter().zip(verdicts) {
                    let _ = job.answer.send(verdict.map(Committed::new));
                }
            }
            Err(error) => {
                for job in jobs {
                    let _ = job.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Makes a group durable, and tries again as long as it is certain that it did not take place.
    /// The jobs are not changed; lines may only be looked at by one thread at a time.
    async fn write(&mut self, jobs: &mut [Job]) -> Result<Vec<Verdict>, StoreError> {
        let time_max = if self.is_away { TRY_TIME_AWAY_MAX } else { TRY_TIME_MAX };
        let began = Instant::now();
        let mut doubt = None;
        for attempt in 1.. {
            let error = match self.attempt(jobs, &mut doubt).await {
                Ok(verdicts) => return Ok(verdicts),
                Err(error) => error,
            };
            let has_time = attempt < TRIES_MAX && began.elapsed() < time_max;
            match error {
                Trouble::Passing(_) if has_time => self.pause(attempt).await,
                // Nothing else than "it may have taken place" would be true.
                Trouble::Lasting(StoreError::Full) if doubt.is_some() && has_time => {
                    self.pause(attempt).await;
                }
                Trouble::Lasting(StoreError::Full) if doubt.is_some() => {
                    return Err(StoreError::Unavailable("the disk of the database is full"));
                }
                error @ (Trouble::Passing(_) | Trouble::Lasting(_)) => {
                    return Err(error.into_error());
                }
            }
        }
        Err(StoreError::Unavailable("the database is busy"))
    }

    async fn attempt(
        &mut self,
        jobs: &mut [Job],
        doubt: &mut Option<Doubt>,
    ) -> Result<Vec<Verdict>, Trouble> {
        let link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => self.connector.connect(&STATEMENTS).await.map_err(|error| self.told(&error))?,
        };
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => Chain::new(take_node(&link).await.map_err(|error| self.told(&error))?),
        };
        let changed = jobs.iter().flat_map(|job| job.batch.changed_keys());
        let summation = self.sums.begin(changed);
        let begun = match self.lock(&link, &rows_that_decide(jobs), &summation.keys).await {
            Ok(begun) => begun,
            Err(trouble) => {
                // Nothing was sealed, so that the chain is as it was.
                self.chain = Some(chain);
                return Err(trouble);
            }
        };
        if let Some(doubt) = doubt.take()
            && begun.groups >= doubt.groups
        {
            // It took place, and its lines were sealed under a node that has been left.
            self.chain = Some(chain);
            return Ok(doubt.verdicts);
        }
        let mut group = Group::judge(jobs, &begun.versions, &mut chain);
        group.sum(&summation, &begun.versions, &begun.sums).map_err(Trouble::Lasting)?;
        if !group.is_change() {
            self.chain = Some(chain);
            in_time(link.run(sql::COMMIT)).await.map_err(|error| self.told(&error))?;
            self.link = Some(link);
            return Ok(group.verdicts);
        }
        let groups = begun.groups + 1;
        let written = self.finish(&link, groups, begun.lines, &group).await;
        match written {
            Ok(()) => {
                self.chain = Some(chain);
                self.link = Some(link);
                Ok(group.verdicts)
            }
            Err(error) => {
                *doubt = Some(Doubt { groups, verdicts: group.verdicts });
                Err(self.told(&error))
            }
        }
    }

    /// Begins a transaction: locks the lane and reads the versions on which it depends.
    async fn lock(&self, link: &Link, keys: &[&RowKey], sums: &[RowKey]) -> Result<Begun, Trouble> {
        let (tenants, rests): (Vec<&[u8]>, Vec<&[u8]>) =
            keys.iter().map(|key| split(key.as_bytes())).unzip();
        let (sum_tenants, sum_rests): (Vec<&[u8]>, Vec<&[u8]>) =
            sums.iter().map(|key| split(key.as_bytes())).unzip();
        let number = self.name.number();
        let answers = async {
            let (begun, lane, versions, rows) = join4(
                link.run(sql::BEGIN),
                link.query(&sql::LOCK_LANE, &[&number]),
                async {
                    if tenants.is_empty() {
                        return Ok(Vec::new());
                    }
                    link.query(&sql::VERSIONS, &[&tenants, &rests]).await
                },
                async {
                    if sum_tenants.is_empty() {
                        return Ok(Vec::new());
                    }
                    link.query(&sql::ROWS, &[&sum_tenants, &sum_rests]).await
                },
            )
            .await;
            begun?;
            Ok((lane?, versions?, rows?))
        };
        let (lane, versions, rows) = in_time(answers).await.map_err(|error| self.told(&error))?;
        let lane = lane.first().and_then(|row| {
            let (owner, groups, lines) =
                (row.try_get(0).ok()?, row.try_get(1).ok()?, row.try_get(2).ok()?);
            Some((owner, groups, lines))
        });
        let (owner, groups, lines): (i64, i64, i64) = lane.ok_or(DAMAGED)?;
        if owner != self.lease.owner() {
            self.lease.is_lost();
            return Err(Trouble::Lasting(REPLACED));
        }
        let version = |row: &tokio_postgres::Row| {
            let place = usize::try_from(row.try_get::<_, i64>(0).ok()?).ok()?;
            let version = u64::try_from(row.try_get::<_, i64>(1).ok()?).ok()?;
            Some(((*keys.get(place.checked_sub(1)?)?).clone(), version))
        };
        let versions = versions.iter().map(version).collect::<Option<_>>().ok_or(DAMAGED)?;
        let row = |found: &tokio_postgres::Row| {
            let place = usize::try_from(found.try_get::<_, i64>(0).ok()?).ok()?;
            Some((sums.get(place.checked_sub(1)?)?.clone(), row_of(found, 1)?))
        };
        let sums = rows.iter().map(row).collect::<Option<_>>().ok_or(DAMAGED)?;
        Ok(Begun { groups, lines, versions, sums })
    }

    /// Writes what a group comes to and commits. Everything is sent at once: if one of the
    /// statements fails, those after it do nothing, and the commit is a roll-back.
    async fn finish(
        &self,
        link: &Link,
        groups: i64,
        lines: i64,
        group: &Group,
    ) -> Result<(), LinkError> {
        let number = self.name.number();
        let puts = Puts::of(group);
        let deletes = group.changes.iter().filter_map(|(key, change)| match change {
            Change::Delete => Some(split(key.as_bytes())),
            Change::Put { .. } => None,
        });
        let (gone_tenants, gone_rests): (Vec<&[u8]>, Vec<&[u8]>) = deletes.unzip();
        let (tenants, sealed): (Vec<&[u8]>, Vec<&[u8]>) =
            group.lines.iter().map(|(tenant, line)| (&tenant.as_bytes()[..], &**line)).unzip();
        let lines_then = lines + i64::try_from(sealed.len()).unwrap_or(i64::MAX);
        let sent = async {
            let (put, gone, added, ended, committed) = join5(
                async {
                    if puts.rests.is_empty() {
                        return Ok(0);
                    }
                    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                        [&puts.tenants, &puts.rests, &puts.versions, &puts.values];
                    link.execute(&sql::PUT, &values).await
                },
                async {
                    if gone_rests.is_empty() {
                        return Ok(0);
                    }
                    link.execute(&sql::DELETE, &[&gone_tenants, &gone_rests]).await
                },
                async {
                    if sealed.is_empty() {
                        return Ok(0);
                    }
                    link.execute(&sql::ADD_LINES, &[&number, &lines, &tenants, &sealed]).await
                },
                link.execute(&sql::END_GROUP, &[&number, &groups, &lines_then]),
                link.run(sql::COMMIT),
            )
            .await;
            // The first that failed says why; the others only that one before them did.
            put?;
            gone?;
            added?;
            ended?;
            committed
        };
        in_time(sent).await
    }

    /// What a failure means; it is put into the log, because whoever asked is told less.
    fn told(&self, error: &LinkError) -> Trouble {
        tracing::warn!(lane = ?self.name, %error, "a group of writes met a failure");
        error.trouble()
    }

    /// Waits longer after each failed try, and not as long as anybody else.
    async fn pause(&mut self, attempt: u32) {
        let pause = Duration::from_millis(2 << attempt.min(12)).min(PAUSE_MAX);
        // Marsaglia, Xorshift RNGs, 2003.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let thousandths = u32::try_from(self.chance % 1_000).unwrap_or(0);
        sleep(pause + pause * thousandths / 1_000).await;
    }
}

/// Rows as they will stand, column by column.
#[derive(Default)]
struct Puts<'g> {
    tenants: Vec<&'g [u8]>,
    rests: Vec<&'g [u8]>,
    versions: Vec<i64>,
    values: Vec<&'g [u8]>,
}

impl<'g> Puts<'g> {
    fn of(group: &'g Group) -> Self {
        let mut puts = Self::default();
        for (key, change) in &group.changes {
            if let Change::Put { version, value } = change {
                let (tenant, rest) = split(key.as_bytes());
                puts.tenants.push(tenant);
                puts.rests.push(rest);
                puts.versions.push(i64::try_from(*version).unwrap_or(i64::MAX));
                puts.values.push(bytes_of(value));
            }
        }
        puts
    }
}

fn bytes_of(value: &Bytes) -> &[u8] {
    value
}

const DAMAGED: Trouble = Trouble::Lasting(StoreError::Damaged("the tables of the database"));

/// A node number that nobody has used or will use. If the answer is lost, the number stays unused.
async fn take_node(link: &Link) -> Result<u32, LinkError> {
    let rows = in_time(link.query(&sql::TAKE_NODE, &[])).await?;
    let node = rows.first().and_then(|row| row.try_get::<_, i64>(0).ok());
    node.and_then(|node| u32::try_from(node).ok())
        .ok_or_else(|| LinkError::Problem(super::schema::damaged()))
}
