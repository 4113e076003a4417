//! The only place of this package that reads a clock, plus waiting for a condition.
//!
//! Must never be used to assert how fast something is: deadlines here only bound how long a failure takes.

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
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock helper of this package"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Reads both clocks.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock helper of this package"
    )]
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

/// How long a condition of a test may take before the test fails; generous, because test machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls `condition` until it yields a value.
///
/// # Errors
/// When `deadline` has passed without one; the error repeats `what`.
pub fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let watch = Stopwatch::start();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if watch.elapsed() > deadline {
            anyhow::bail!("waited {deadline:?} in vain for {what}");
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Polls `condition` until it holds.
///
/// # Errors
/// As [`wait_for`].
pub fn wait_until(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    wait_for(what, deadline, || condition().then_some(()))
}
