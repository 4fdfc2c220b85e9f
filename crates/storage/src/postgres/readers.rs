//! Connections for reading: requests share them, and what they send is pipelined.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::lease::{Lease, REPLACED, Standing};
use super::link::{Connector, Link, in_time};
use super::problem::{LinkError, Trouble};
use super::sql::{self, Sql};
use crate::StoreError;

/// How many there are: enough that a long page does not hold up everybody.
const LINKS: usize = 4;
/// A reading that has not come through by then is given up.
const TRY_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// What readers mostly ask for, prepared ahead. Ranges are planned each time, because a plan that was
/// made while the table was small would read the whole of it later.
const STATEMENTS: [&Sql; 1] = [&sql::ROWS];

/// The connections. Reading is tried again when one of them breaks.
pub(super) struct Readers {
    connector: Arc<Connector>,
    lease: Arc<Lease>,
    links: [Mutex<Option<Arc<Link>>>; LINKS],
    next: AtomicUsize,
}

impl Readers {
    pub(super) fn new(connector: Arc<Connector>, lease: Arc<Lease>) -> Self {
        Self { connector, lease, links: Default::default(), next: AtomicUsize::new(0) }
    }

    /// Reads by a function that may be called again.
    pub(super) async fn read<T, F>(&self, ask: impl Fn(Arc<Link>) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        let began = Instant::now();
        loop {
            let trouble = match self.lease.standing() {
                Standing::Replaced => return Err(REPLACED),
                Standing::Unsure => Trouble::Passing("the database cannot be reached"),
                Standing::Holds => match self.read_once(&ask).await {
                    Ok(value) => return Ok(value),
                    Err(error) => error.trouble(),
                },
            };
            if began.elapsed() >= TRY_TIME_MAX || matches!(trouble, Trouble::Lasting(_)) {
                return Err(trouble.into_error());
            }
            sleep(PAUSE).await;
        }
    }

    /// The connection of a place, made anew if it has ended.
    async fn usable(&self, slot: &Mutex<Option<Arc<Link>>>) -> Result<Arc<Link>, LinkError> {
        let mut kept = slot.lock().await;
        if let Some(link) = kept.as_ref().filter(|link| !link.is_closed()) {
            return Ok(Arc::clone(link));
        }
        let link = Arc::new(self.connector.connect(&STATEMENTS).await?);
        *kept = Some(Arc::clone(&link));
        Ok(link)
    }

    async fn read_once<T, F>(&self, ask: &impl Fn(Arc<Link>) -> F) -> Result<T, LinkError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % LINKS;
        let Some(slot) = self.links.get(turn) else { return Err(LinkError::Late) };
        // Whoever waits behind others that try to connect does not wait for each of them.
        let link =
            timeout(TRY_TIME_MAX, self.usable(slot)).await.map_err(|_| LinkError::Late)??;
        let answer = in_time(ask(Arc::clone(&link))).await;
        if let Err(error) = &answer {
            tracing::warn!(%error, "a reading met a failure");
            // What comes after it over this connection could be as late.
            let mut kept = slot.lock().await;
            if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, &link)) {
                *kept = None;
            }
        }
        answer
    }
}
