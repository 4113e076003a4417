//! A clock that tests set.

#![expect(clippy::expect_used, reason = "for tests")]

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// The handle that moves a clock made by [`FakeClock::start`].
#[derive(Debug)]
pub struct FakeClock {
    wall_ms: AtomicI64,
    boot_ms: AtomicU64,
}

impl FakeClock {
    pub(super) fn at(wall_ms: i64, boot_ms: u64) -> Self {
        Self {
            wall_ms: wall_ms.into(),
            boot_ms: boot_ms.into(),
        }
    }

    /// Time passes on all clocks.
    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).expect("a test's duration");
        self.boot_ms.fetch_add(ms, Ordering::SeqCst);
        self.step_wall(i64::try_from(ms).expect("a test's duration"));
    }

    /// Somebody sets the wall clock forward or, with a negative number, back.
    pub fn step_wall(&self, by_ms: i64) {
        self.wall_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    pub(super) fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    pub(super) fn since_boot(&self) -> Duration {
        Duration::from_millis(self.boot_ms.load(Ordering::SeqCst))
    }
}
