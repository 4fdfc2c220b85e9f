//! Who may use the store: one server at a time, shown by signs of life in the database.
//!
//! Whoever opens the store looks for the holder's signs of life and takes the store over when there
//! have been none for [`SILENCE_MAX`], by its own clock; the clocks of the machines need not agree.
//! Taking over makes the new holder the owner of the lanes, so that nothing of the former one can
//! be written afterwards, whatever it believes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join;
use tokio::time::{Instant, sleep};

use super::link::{Connector, Link, in_time};
use super::problem::{DatabaseProblem, LinkError, Trouble};
use super::schema::damaged;
use super::sql;
use crate::StoreError;

/// How often the holder gives a sign of life.
const BEAT_EVERY: Duration = Duration::from_millis(800);
/// Without a sign of life for this long the store is taken over.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// The holder, whose own clock may go a little slower, believes in itself for less than that.
const BELIEF_MAX: Duration = Duration::from_secs(5);
/// How often somebody who waits looks for a sign of life.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Tries to take the store over while others, or what is left of them, are in the way.
const TAKE_TRIES_MAX: u32 = 20;

/// What a store answers after another server has taken it over.
pub(super) const REPLACED: StoreError =
    StoreError::Unavailable("another server has taken the database over");

/// Holding the store.
pub(super) struct Lease {
    owner: i64,
    began: Instant,
    /// When the latest sign of life that arrived was sent, in milliseconds after the beginning.
    beaten_ms: AtomicU64,
    is_replaced: AtomicBool,
}

/// What the holder can be sure of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nobody else can have taken the store over.
    Holds,
    /// Somebody may have.
    Unsure,
    /// Somebody has.
    Replaced,
}

/// The lease as it stands in the database.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    owner: i64,
    is_held: bool,
    beat: i64,
}

impl Lease {
    /// Takes the store; waits as long as its holder may still be alive.
    pub(super) async fn take(link: &Link) -> Result<Self, DatabaseProblem> {
        let mut seen = look(link).await?;
        let mut silent_since = Instant::now();
        for _ in 0..TAKE_TRIES_MAX {
            while seen.is_held && silent_since.elapsed() < SILENCE_MAX {
                sleep(LOOK_EVERY).await;
                let now = look(link).await?;
                if now.is_held && now != seen {
                    return Err(DatabaseProblem::InUse);
                }
                seen = now;
            }
            let began = Instant::now();
            match replace(link, seen).await {
                Ok(Some(owner)) => {
                    let (beaten_ms, is_replaced) = Default::default();
                    return Ok(Self { owner, began, beaten_ms, is_replaced });
                }
                Ok(None) => {
                    seen = look(link).await?;
                    silent_since = Instant::now();
                }
                Err(error) if matches!(error.trouble(), Trouble::Passing(_)) => {
                    // What is left of a transaction goes by itself, after its time.
                    let _ = link.run("ROLLBACK").await;
                    sleep(LOOK_EVERY).await;
                }
                Err(error) => return Err(error.problem()),
            }
        }
        Err(DatabaseProblem::InUse)
    }

    /// The number under which the lanes are owned.
    pub(super) fn owner(&self) -> i64 {
        self.owner
    }

    pub(super) fn standing(&self) -> Standing {
        let beaten = Duration::from_millis(self.beaten_ms.load(Ordering::Relaxed));
        if self.is_replaced.load(Ordering::Relaxed) {
            Standing::Replaced
        } else if self.began.elapsed().saturating_sub(beaten) < BELIEF_MAX {
            Standing::Holds
        } else {
            Standing::Unsure
        }
    }

    /// Somebody else owns the lanes.
    pub(super) fn is_lost(&self) {
        if !self.is_replaced.swap(true, Ordering::Relaxed) {
            tracing::error!("another server has taken the database over; stop this one");
        }
    }

    /// Gives signs of life until the store is lost.
    pub(super) async fn beat(self: Arc<Self>, connector: Arc<Connector>) {
        let mut link = None;
        while !self.is_replaced.load(Ordering::Relaxed) {
            match self.beat_once(&mut link, &connector).await {
                Ok(()) => sleep(BEAT_EVERY).await,
                Err(error) => {
                    tracing::warn!(%error, "no sign of life could be given to the database");
                    link = None;
                    sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    async fn beat_once(
        &self,
        link: &mut Option<Link>,
        connector: &Connector,
    ) -> Result<(), LinkError> {
        let usable = match link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => connector.connect(&[&sql::BEAT]).await?,
        };
        let sent = self.began.elapsed();
        if in_time(usable.execute(&sql::BEAT, &[&self.owner])).await? == 0 {
            self.is_lost();
        }
        let sent_ms = u64::try_from(sent.as_millis()).unwrap_or(0);
        self.beaten_ms.store(sent_ms, Ordering::Relaxed);
        *link = Some(usable);
        Ok(())
    }

    /// Gives the store back, so that the next one need not wait.
    pub(super) async fn release(&self, connector: &Connector) -> Result<(), LinkError> {
        let link = connector.connect(&[]).await?;
        in_time(link.execute(&sql::RELEASE, &[&self.owner])).await?;
        Ok(())
    }
}

async fn look(link: &Link) -> Result<Seen, DatabaseProblem> {
    let rows = in_time(link.query(&sql::LEASE, &[])).await.map_err(LinkError::problem)?;
    seen(&rows).ok_or_else(damaged)
}

fn seen(rows: &[tokio_postgres::Row]) -> Option<Seen> {
    let row = rows.first()?;
    let (owner, is_held, beat) = (row.try_get(0).ok()?, row.try_get(1).ok()?, row.try_get(2).ok()?);
    Some(Seen { owner, is_held, beat })
}

/// Makes a new owner, if everything is still as it was seen.
async fn replace(link: &Link, expected: Seen) -> Result<Option<i64>, LinkError> {
    let begun = async {
        let (begun, rows) = join(link.run(sql::BEGIN), link.query(&sql::LOCK_LEASE, &[])).await;
        begun?;
        rows
    };
    let rows = in_time(begun).await?;
    if seen(&rows) != Some(expected) {
        in_time(link.run(sql::COMMIT)).await?;
        return Ok(None);
    }
    let owner = expected.owner + 1;
    in_time(link.execute(&sql::TAKE_LEASE, &[&owner])).await?;
    in_time(link.execute(&sql::TAKE_LANES, &[&owner])).await?;
    in_time(link.run(sql::COMMIT)).await?;
    Ok(Some(owner))
}
