//! Work that is given up when it takes too long.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What `work` gives, if it does so in time. Work that is late is left alone, and ends with the process.
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
