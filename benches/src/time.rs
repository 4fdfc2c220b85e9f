//! The stop-watch: the one place that reads the machine's clock.

use std::time::{Duration, Instant};

/// A moment, for measuring from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start(Instant);

impl Start {
    /// This moment.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures; nothing depends on it")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// What has passed since.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// The same in nanoseconds.
    pub(crate) fn nanos(self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment that is so much later.
    pub(crate) fn plus(self, later: Duration) -> Self {
        Self(self.0 + later)
    }

    /// The same moment as the runtime's timer takes it.
    pub(crate) fn for_timer(self) -> tokio::time::Instant {
        self.0.into()
    }

    /// Whether it has come.
    pub(crate) fn has_come(self) -> bool {
        self.0 <= Self::now().0
    }
}
