//! What an engine's files did, and the faults that tests put into them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fatal;

/// Counts syncs; a failed one ends the process. In tests it makes writes and syncs fail.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    syncs: AtomicU64,
    #[cfg(test)]
    pub(super) full: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    pub(super) sync_fails: std::sync::atomic::AtomicBool,
}

impl Disk {
    /// Times that the database was synced.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Counts this sync; if it failed the process ends.
    pub(super) fn synced(&self, outcome: io::Result<()>) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        #[cfg(test)]
        let outcome = if self.sync_fails.load(Ordering::Relaxed) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            outcome
        };
        if let Err(error) = outcome {
            fatal::end("syncing the database", &error);
        }
    }

    /// Whether a write finds room.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`], in tests alone.
    #[cfg_attr(
        not(test),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests put a fault here")
    )]
    pub(super) fn check_room(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}
