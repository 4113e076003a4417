//! Waiting for a condition, by the clock that the simulator reads.
//!
//! Must never be used to assert a speed: deadlines here only bound how long a failure takes.

use std::time::Duration;

pub use tokend_provider_simulator::clock::{Now, Stopwatch};

/// How long a condition of a test may take before the test fails; generous, because test machines are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls `condition` until it yields a value.
///
/// # Errors
/// When `deadline` passes first; the error repeats `what`.
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
