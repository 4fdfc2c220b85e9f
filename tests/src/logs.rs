//! What a server's process logs, kept for a test to search.

use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

static LINES: Mutex<Option<Vec<u8>>> = Mutex::new(None);
static BEGUN: OnceLock<()> = OnceLock::new();

/// Everything that this process logs from its making on, at every level and from every library.
#[derive(Debug)]
pub struct Logs;

impl Logs {
    /// Begins to keep what is logged. A process has one log: tests that run at the same time write
    /// into it too.
    pub fn keep() -> Self {
        *LINES.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
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
        LINES.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        *LINES.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

struct Keeper;

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(lines) = LINES.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            lines.extend_from_slice(bytes);
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
