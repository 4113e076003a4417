//! Signals: what an operator says with kill(1).
//!
//! Owns which signal means what. SIGHUP reloads; SIGTERM and SIGINT drain, and a second one ends the wait for what still runs.

use std::io;

use futures_util::StreamExt as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Read the configuration again.
    Reload,
    /// Finish and exit.
    Stop,
}

/// The signals as they come.
pub(crate) struct Incoming(Signals);

impl Incoming {
    /// Begins to listen. From here on none of these signals ends the process by itself.
    pub(crate) fn register() -> io::Result<Self> {
        Signals::new([SIGHUP, SIGINT, SIGTERM]).map(Self)
    }

    /// Waits to be asked to stop, whatever else is asked meanwhile.
    pub(crate) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        match self.0.next().await {
            Some(SIGHUP) => Asked::Reload,
            _ => Asked::Stop,
        }
    }
}
