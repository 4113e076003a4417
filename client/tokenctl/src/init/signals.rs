//! Signals that wait while files are between their first byte and their place.
//!
//! Owns which ones, and that the process then ends as it would have ended.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{flag, low_level};

use crate::failure::{Exit, Failure};

/// While this lives, the signals that end programs are only noted.
pub(super) struct Held {
    came: Arc<AtomicUsize>,
    handlers: Vec<SigId>,
}

impl Held {
    pub(super) fn start() -> Result<Self, Failure> {
        let came = Arc::new(AtomicUsize::new(0));
        let mut held = Self {
            came: Arc::clone(&came),
            handlers: Vec::new(),
        };
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or(0);
            let handler = flag::register_usize(signal, Arc::clone(&came), number);
            held.handlers
                .push(handler.map_err(|error| failure(&error))?);
        }
        Ok(held)
    }

    /// Whether one came.
    pub(super) fn is_ended(&self) -> bool {
        self.came.load(Ordering::SeqCst) != 0
    }

    /// Ends the process as the signal would have done. Returns only if that is impossible.
    pub(super) fn end(self) -> Failure {
        self.pass_on();
        Failure::silent(Exit::Io)
    }

    fn pass_on(&self) {
        let came = self.came.load(Ordering::SeqCst);
        if let Some(signal) = i32::try_from(came).ok().filter(|signal| *signal != 0) {
            drop(low_level::emulate_default_handler(signal));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
        // One that came at the last moment: what was to be whole is whole.
        self.pass_on();
    }
}

fn failure(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Io,
        format!("signals cannot be held back: {error}"),
        "nothing was written; report this",
    )
}
