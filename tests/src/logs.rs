//! What a server's process logs, kept for a test to search.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

static KEPT: Mutex<Kept> = Mutex::new(Kept { keepers: 0, lines: Vec::new() });
static BEGUN: OnceLock<()> = OnceLock::new();

/// The lines, and for how many tests they are kept.
struct Kept {
    keepers: usize,
    lines: Vec<u8>,
}

/// Everything that this process logs from its making on, at every level and from every library.
#[derive(Debug)]
pub struct Logs;

impl Logs {
    /// Begins to keep what is logged, until the last that was made is dropped. A process has one log:
    /// tests that run at the same time write into it too.
    pub fn keep() -> Self {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).keepers += 1;
        BEGUN.get_or_init(|| {
            tracing_subscriber::fmt()
                .with_max_level(LevelFilter::TRACE)
                .with_ansi(false)
                .with_writer(Keeper)
                .init();
        });
        Self
    }

    /// What was logged so far.
    pub fn so_far(&self) -> Vec<u8> {
        KEPT.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.keepers = kept.keepers.saturating_sub(1);
        if kept.keepers == 0 {
            kept.lines = Vec::new();
        }
    }
}

struct Keeper;

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.keepers > 0 {
            kept.lines.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Keeper {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
