//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use strongroom_model::{Clock, Timestamp};

/// Monday, 2026-03-02T09:00:00Z, in microseconds since 1970.
const BEGINNING: i64 = 1_772_442_000_000_000;

/// Wall clock and elapsed time, moved together.
#[derive(Debug, Default)]
pub struct ManualClock {
    moved: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at the beginning of a working week.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass, in seconds.
    pub fn advance(&self, seconds: i64) {
        self.moved.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// The moment that is so many seconds from now, as requests spell it.
    pub fn in_seconds(&self, seconds: i64) -> String {
        self.now().plus_seconds(seconds).to_string()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(BEGINNING + self.moved.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.moved.load(Ordering::SeqCst).unsigned_abs())
    }
}
