//! How much is measured: in the short run, in the long one, and in a dry one.

use std::time::Duration;

/// The sizes of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// How the run is called.
    pub(crate) name: &'static str,
    /// How often every case has its turn.
    pub(crate) rounds: usize,
    /// How long a turn is.
    pub(crate) turn: Duration,
    /// How much of a turn's beginning is not counted.
    pub(crate) warm: Duration,
    /// Records that are there before, from which reads choose.
    pub(crate) population: usize,
    /// Records of the import.
    pub(crate) import: usize,
    /// Tenants that do nothing.
    pub(crate) tenants: usize,
    /// Records that are there when the start is timed.
    pub(crate) start: usize,
    /// Tenants that one backend serves.
    pub(crate) shops: usize,
    /// Bytes of values that are written to each engine's store.
    pub(crate) room: usize,
}

impl Sizes {
    /// A run of a few minutes.
    pub(crate) const SHORT: Self = Self {
        name: "short",
        rounds: 3,
        turn: Duration::from_secs(2),
        warm: Duration::from_millis(300),
        population: 20_000,
        import: 10_000,
        tenants: 1_000,
        start: 100_000,
        shops: 1_000,
        room: 64 * 1024 * 1024,
    };

    /// A run that shows that everything works, and measures nothing worth keeping.
    pub(crate) const DRY: Self = Self {
        name: "dry",
        rounds: 2,
        turn: Duration::from_secs(1),
        warm: Duration::from_millis(100),
        population: 500,
        import: 500,
        tenants: 20,
        start: 500,
        shops: 10,
        room: 4 * 1024 * 1024,
    };

    /// A run with five minutes for every case, and the full sizes.
    pub(crate) const LONG: Self = Self {
        name: "long",
        rounds: 5,
        turn: Duration::from_mins(1),
        warm: Duration::from_secs(2),
        population: 100_000,
        import: 100_000,
        tenants: 10_000,
        start: 1_000_000,
        shops: 1_000,
        room: 1_024 * 1024 * 1024,
    };
}
