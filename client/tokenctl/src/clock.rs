//! The one place of tokenctl that reads a clock, to tell people when to come back, and when a file has to go.
//!
//! Never used to judge a token: the daemon tells how long a token lives.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

/// Now, on the wall clock; the epoch if that is beyond what a timestamp can hold.
#[expect(clippy::disallowed_methods, reason = "the one clock of tokenctl")]
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or_default()
}

/// Now, on a clock that never steps: for how long ago something was, and when something is due.
#[expect(clippy::disallowed_methods, reason = "the one clock of tokenctl")]
pub(crate) fn steady() -> Instant {
    Instant::now()
}

/// The time since the machine was started, which goes on while it sleeps and is the same for every process.
pub(crate) fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}
