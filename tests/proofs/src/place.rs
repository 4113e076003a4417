//! A place where a daemon is killed.

use std::fmt;

use super::tracer::Call;

/// Where a daemon dies.
pub(super) trait Place: fmt::Display + Sync {
    /// Whether it was not in the record, and may still come.
    fn beyond(&self) -> bool;
}

impl Place for Call {
    fn beyond(&self) -> bool {
        self.beyond
    }
}
