//! The place where a disturbance runs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tokend_harness::{Daemon, Site};

/// Everything a disturbance needs to know.
pub(super) struct Place {
    pub(super) site: Site,
    pub(super) daemon: Daemon,
    /// Set when it should stop.
    pub(super) over: AtomicBool,
}

impl Place {
    /// Whether it should go on, after a pause.
    pub(super) fn goes_on(&self, rest: Duration) -> bool {
        thread::park_timeout(rest);
        !self.over.load(Ordering::Relaxed)
    }
}
