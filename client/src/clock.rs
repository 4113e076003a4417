//! The one place of the library that reads a clock, for deadlines on blocking reads and writes.
//!
//! Never used to judge a token: the daemon says how long a token lives.

use std::time::Instant;

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one clock of the library")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
