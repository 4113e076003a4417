//! Counters of what became of records.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A counter that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of the records of one place.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) written: Count,
    pub(crate) lost: Count,
    failing: AtomicBool,
}

impl Tally {
    /// Whether the place takes nothing at the moment.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }
}
