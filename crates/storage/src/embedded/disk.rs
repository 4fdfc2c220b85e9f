//! What an engine's files did, the room they have, and the faults that tests put into them.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use super::engine::{Changes, Failure};
use crate::fatal;

/// Room on the disk that is left to an engine which does not survive a write that finds none: its log
/// and what it makes of it later.
const RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// How often such an engine may write a change, in its log and in what it makes of it later.
const COPIES: u64 = 8;

/// Room that commits leave to the lines of reads, so that reading goes on for a while when the disk gets full.
const LINES_BYTES: u64 = 16 * 1024 * 1024;

/// Counts syncs; a failed one ends the process. In tests it makes writes and syncs fail.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    syncs: AtomicU64,
    #[cfg(test)]
    pub(super) full: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    pub(super) sync_fails: std::sync::atomic::AtomicBool,
    /// Held by a test for as long as no sync may end.
    #[cfg(test)]
    pub(super) sync_waits: std::sync::RwLock<()>,
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
        drop(self.sync_waits.read());
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

/// Whether the disk of this file has room for these changes, and for the engine to go on.
///
/// # Errors
/// [`Failure::Full`] if not. A file system that does not say how much room it has is trusted.
pub(super) fn room_for(file: impl AsFd, changes: &Changes) -> Result<(), Failure> {
    let needed = u64::try_from(changes.bytes()).unwrap_or(u64::MAX).saturating_mul(COPIES);
    if room(file) < RESERVE_BYTES.saturating_add(needed) { Err(Failure::Full) } else { Ok(()) }
}

/// Whether the disk of this file has room for commits, beside that of the lines of reads.
pub(super) fn has_room(file: impl AsFd) -> bool {
    room(file) > LINES_BYTES
}

fn room(file: impl AsFd) -> u64 {
    let Ok(disk) = rustix::fs::fstatvfs(file) else { return u64::MAX };
    disk.f_bavail.saturating_mul(disk.f_frsize)
}
