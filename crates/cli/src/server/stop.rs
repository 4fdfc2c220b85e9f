//! Waiting for the signal to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// The signals to stop, SIGTERM and SIGINT. They are heard from here on, so this comes before
/// anybody is told that the server is there.
pub(super) struct Stopping {
    terminate: Signal,
    interrupt: Signal,
}

impl Stopping {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
        })
    }

    /// Returns at the first of them.
    pub(super) async fn asked_for(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Begins to listen for one signal.
pub(super) fn hear(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::local(format!("cannot wait for signals: {error}")))
}
