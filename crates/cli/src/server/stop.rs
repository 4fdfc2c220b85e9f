//! Waiting for the signal to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Failure;

/// Returns at the first SIGTERM or SIGINT.
pub(super) async fn asked_for() -> Result<(), Failure> {
    let failed = |error| Failure::local(format!("cannot wait for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
