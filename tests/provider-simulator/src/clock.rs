//! The only place of the tests that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One instant, on the monotonic clock of one [`Stopwatch`] and on the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since the stopwatch was started.
    pub elapsed: Duration,
    /// Since the Unix epoch.
    pub unix: Duration,
}

impl Now {
    /// The wall clock part as the standard library's type, for HTTP dates.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        UNIX_EPOCH + self.unix
    }
}

/// A monotonic origin.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts counting.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock of the tests")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Reads both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock of the tests")]
    pub fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            elapsed: self.0.elapsed(),
            unix: unix.unwrap_or_default(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
