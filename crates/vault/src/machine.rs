//! The machine's clock, and the rule that time does not go back.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use strongroom_model::{Clock, Timestamp};

/// The clock of the machine that the server runs on.
#[derive(Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock.
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is handed in at the top")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        let since = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(since.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(since.tv_nsec).unwrap_or(0))
    }
}

/// `now = max(wall clock, mark + time elapsed since the mark)`.
#[derive(Debug)]
pub(crate) struct HighWaterMark(Mutex<(Timestamp, Duration)>);

impl HighWaterMark {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self(Mutex::new((clock.now(), clock.elapsed())))
    }

    pub(crate) fn now(&self, clock: &dyn Clock) -> Timestamp {
        let (wall, elapsed) = (clock.now(), clock.elapsed());
        let mut mark = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let since = elapsed.saturating_sub(mark.1);
        let at_least =
            mark.0.as_micros().saturating_add(i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        let now = wall.max(Timestamp::from_micros(at_least));
        *mark = (now, elapsed.max(mark.1));
        now
    }

    /// Raises the mark to what an earlier run of the server has seen.
    pub(crate) fn raise(&self, seen: Timestamp) {
        let mut mark = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        mark.0 = mark.0.max(seen);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use super::*;

    struct Moved(AtomicI64, AtomicU64);

    impl Clock for Moved {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed))
        }
        fn elapsed(&self) -> Duration {
            Duration::from_micros(self.1.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_wall_clock_that_goes_back_does_not_turn_time_back() {
        let clock = Moved(AtomicI64::new(1_000), AtomicU64::new(0));
        let mark = HighWaterMark::new(&clock);
        clock.0.store(500, Ordering::Relaxed);
        clock.1.store(10, Ordering::Relaxed);
        assert_eq!(mark.now(&clock), Timestamp::from_micros(1_010));
        clock.0.store(5_000, Ordering::Relaxed);
        assert_eq!(mark.now(&clock), Timestamp::from_micros(5_000));
        mark.raise(Timestamp::from_micros(9_000));
        assert_eq!(mark.now(&clock), Timestamp::from_micros(9_000));
    }
}
