//! The places records go to, and counters for them.

use std::sync::atomic::{AtomicU64, Ordering};

/// The places records go to, as they are called in metrics and messages. Denials have a file of their own.
pub(crate) const SINKS: [&str; 3] = ["journal", "file", "denials-file"];

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
