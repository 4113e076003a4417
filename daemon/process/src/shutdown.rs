//! How far the process is on its way to the end, and waiting for it.

use tokio::sync::watch;

/// How far the daemon is on its way to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shutdown {
    /// Connections are accepted and served.
    Serving,
    /// Connections are served, and no new ones accepted.
    Draining,
    /// Everybody has been answered: connections are closed.
    Closing,
}

/// Ends when the daemon has reached this stage.
pub async fn reached(stage: &mut watch::Receiver<Shutdown>, wanted: Shutdown) {
    // The sender is gone only when the daemon ends, and that is the last stage.
    let _ended = stage.wait_for(|stage| *stage >= wanted).await;
}
