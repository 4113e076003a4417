//! Time as the engine sees it: one number that never steps.
//!
//! Owns [`Timestamp`]. The engine takes the time as an argument and never reads a clock. The shell makes timestamps from CLOCK_BOOTTIME,
//! so a step of the wall clock cannot reach a decision, and tokens age while the machine is suspended.

use std::fmt;
use std::time::Duration;

/// Milliseconds on the daemon's steady clock: Unix time when the daemon started, advanced by CLOCK_BOOTTIME from there.
///
/// It counts time spent suspended and it never steps. It is close to Unix time, but only the shell's clock may turn it into a
/// time for people or for the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The earliest stamp: before everything.
    pub const ZERO: Self = Self(0);
    /// The latest stamp: after everything that can be scheduled.
    pub const FAR: Self = Self(u64::MAX);

    /// A stamp from milliseconds on the steady clock.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds on the steady clock.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This much later; stops at [`Timestamp::FAR`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This much earlier; stops at [`Timestamp::ZERO`].
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Time from `earlier` to here; zero when `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::FAR {
            return f.write_str("far");
        }
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A duration in milliseconds; a longer one is the largest number.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::FAR.after(Duration::MAX), Timestamp::FAR);
        assert_eq!(Timestamp::ZERO.before(Duration::MAX), Timestamp::ZERO);
        assert_eq!(Timestamp::ZERO.since(Timestamp::FAR), Duration::ZERO);
        assert_eq!(
            Timestamp::from_millis(5).since(Timestamp::from_millis(2)),
            Duration::from_millis(3)
        );
    }
}
