//! Counters of written and lost records.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one place.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many were written.
    pub written: Count,
    /// How many were lost.
    pub lost: Count,
    failing: AtomicBool,
}

impl Tally {
    /// Whether the place accepts nothing at the moment.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }
}
