//! Signals: what an operator says with kill(1).
//!
//! Owns which signal means what. SIGHUP reloads; SIGTERM and SIGINT drain, and a second one ends the wait for what still runs; SIGXFSZ
//! means nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::StreamExt as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook_tokio::Signals;

/// Has a limit on the size of files (`RLIMIT_FSIZE`) refuse a write, as a full disk does, where the signal of it would end the process.
///
/// By a handler that does nothing, not by ignoring it: programs that are started, as a `command` is, begin with what they expect.
///
/// # Errors
/// When the system refuses.
pub(crate) fn outlive_a_limit_on_files() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

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
