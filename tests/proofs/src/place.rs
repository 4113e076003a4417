//! A place where a daemon is struck.

use std::fmt;

use super::tracer::Call;

/// Where a daemon dies.
pub(super) trait Place: fmt::Display + Sync {
    /// Whether it was not in the record, and may come all the same.
    fn beyond(&self) -> bool;
}

impl Place for Call {
    fn beyond(&self) -> bool {
        self.beyond
    }
}
