//! Where a disturbance plays.

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
    /// Set when it is to stop.
    pub(super) over: AtomicBool,
}

impl Place {
    /// Whether it is to go on, after a rest.
    pub(super) fn goes_on(&self, rest: Duration) -> bool {
        thread::park_timeout(rest);
        !self.over.load(Ordering::Relaxed)
    }
}
