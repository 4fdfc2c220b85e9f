//! The load generator: N connections, each of which sends its next request when the last one has
//! been answered (closed loop), or at set times (half load).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Failure;
use crate::http::Connection;
use crate::time::Start;

/// Threads of the generator; each has its share of the connections.
const THREADS: usize = 2;

/// Writes the request of a number into an empty buffer.
pub(crate) type Source = Arc<dyn Fn(u64, &mut Vec<u8>) + Send + Sync>;

/// A load to be made.
#[derive(Clone)]
pub(crate) struct Load {
    /// Of whom.
    pub(crate) address: SocketAddr,
    /// How many connections.
    pub(crate) connections: usize,
    /// How long.
    pub(crate) turn: Duration,
    /// How much of the beginning is not counted.
    pub(crate) warm: Duration,
    /// Requests in a second over all connections; as many as are answered, if absent.
    pub(crate) pace: Option<f64>,
    /// The requests.
    pub(crate) source: Source,
    /// Numbers the requests, over all turns.
    pub(crate) numbers: Arc<AtomicU64>,
}

/// What a load gave.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// What each counted request took, in nanoseconds, ascending.
    sorted: Vec<u64>,
    /// Over how long they were counted.
    span: Duration,
}

impl Outcome {
    /// What came of samples in nanoseconds, in any order.
    pub(crate) fn of(mut samples: Vec<u64>, span: Duration) -> Self {
        samples.sort_unstable();
        Self { sorted: samples, span }
    }

    /// Answers in a second.
    pub(crate) fn rate(&self) -> f64 {
        count(self.sorted.len()) / self.span.as_secs_f64()
    }

    /// How many requests were counted.
    pub(crate) fn requests(&self) -> usize {
        self.sorted.len()
    }

    /// What this share of the requests took at most, in milliseconds.
    pub(crate) fn quantile_ms(&self, permille: usize) -> f64 {
        let index = (self.sorted.len().saturating_sub(1) * permille).div_ceil(1_000);
        self.sorted.get(index).map_or(0.0, |nanos| Duration::from_nanos(*nanos).as_secs_f64() * 1e3)
    }
}

/// A number of things for a quotient.
#[expect(clippy::cast_precision_loss, reason = "counts of requests and bytes stay below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// A number that looks like any other, but is the same in every run: the finaliser of SplitMix64.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Makes the load and gives what it gave.
///
/// # Errors
/// If any request is answered with anything but success.
pub(crate) fn make(load: &Load) -> Result<Outcome, Failure> {
    let start = Start::now();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let load = load.clone();
            std::thread::spawn(move || share(&load, thread, start))
        })
        .collect();
    let mut samples = Vec::new();
    for thread in threads {
        samples.extend(thread.join().map_err(|_| "a thread of the load generator panicked")??);
    }
    Ok(Outcome::of(samples, load.turn.saturating_sub(load.warm)))
}

/// What one thread does: its share of the connections on a runtime of its own.
fn share(load: &Load, thread: usize, start: Start) -> Result<Vec<u64>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for index in (thread..load.connections).step_by(THREADS) {
            let load = load.clone();
            connections.push(tokio::spawn(async move { one(&load, index, start).await }));
        }
        let mut samples = Vec::new();
        for connection in connections {
            samples.extend(connection.await.map_err(|_| "a connection's task panicked")??);
        }
        Ok(samples)
    })
}

/// What one connection does. With a pace, a request that could not be sent in time because the one
/// before it was late counts from when it should have been sent.
async fn one(load: &Load, index: usize, start: Start) -> Result<Vec<u64>, Failure> {
    let mut connection = Connection::open(load.address).await?;
    let mut samples = Vec::new();
    let mut request = Vec::new();
    let interval = load.pace.map(|pace| Duration::from_secs_f64(count(load.connections) / pace));
    let mut due = interval
        .map(|interval| start.plus(interval.mul_f64(count(index) / count(load.connections))));
    loop {
        let mut begun = Start::now();
        if let (Some(at), Some(interval)) = (due, interval) {
            if at.has_come() {
                begun = at;
            } else {
                tokio::time::sleep_until(at.for_timer()).await;
                begun = Start::now();
            }
            due = Some(at.plus(interval));
        }
        if start.elapsed() >= load.turn {
            return Ok(samples);
        }
        request.clear();
        (load.source)(load.numbers.fetch_add(1, Ordering::Relaxed), &mut request);
        connection.exchange(&request).await?.expect_success()?;
        let took = begun.nanos();
        let at = start.elapsed();
        if at >= load.warm && at <= load.turn {
            samples.push(took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_samples() {
        let outcome = Outcome {
            sorted: (1..=1_000).map(|n| n * 1_000_000).collect(),
            span: Duration::from_secs(2),
        };
        assert!((outcome.rate() - 500.0).abs() < 1e-9);
        assert!((outcome.quantile_ms(500) - 501.0).abs() < 1.5);
        assert!((outcome.quantile_ms(990) - 991.0).abs() < 1.5);
        assert!((outcome.quantile_ms(1_000) - 1_000.0).abs() < 1e-9);
    }
}
