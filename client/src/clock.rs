//! The one place of the library that reads a clock: for deadlines, and for the end of a token that is kept.
//!
//! How long a token lives is never computed from a wall clock: the daemon says it.

#[cfg(feature = "async")]
use std::time::Duration;
use std::time::Instant;

/// Now, on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one clock of the library")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time since the machine was started. It goes on while the machine sleeps, as the life of a token does.
#[cfg(feature = "async")]
pub(crate) fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}
