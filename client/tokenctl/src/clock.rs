//! The one place of tokenctl that reads a clock, to tell people when to come back.
//!
//! Never used to judge a token: the daemon tells how long a token lives.

use std::time::{Instant, SystemTime};

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
