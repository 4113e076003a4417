//! Work that is given up when it takes too long.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The result of `work`, if it comes in time. Late work is left running, and ends with the process.
pub(crate) fn within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, done) = mpsc::sync_channel(1);
    thread::Builder::new()
        .spawn(move || sender.send(work()))
        .ok()?;
    done.recv_timeout(patience).ok()
}
