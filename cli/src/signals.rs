//! The two signals that stop a running cloud cleanly.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::outcome::Failure;

/// SIGINT and SIGTERM, caught from the moment this exists.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts catching them.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn catch() -> Result<Self, Failure> {
        let caught =
            |kind| signal(kind).map_err(|error| Failure::Fault(format!("signals cannot be caught: {error}")));
        Ok(Self { interrupt: caught(SignalKind::interrupt())?, terminate: caught(SignalKind::terminate())? })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
