//! Tasks without a waiter, and tasks whose panic must be noticed.

use crate::panics::ending;
use crate::stack;

/// Starts a task without a waiter.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

/// Runs a future whose panic must not go unnoticed, and that may work on secrets: `None` when it panicked.
pub async fn guarded<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    match tokio::spawn(stack::wiped_throughout(work)).await {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(error = ending(&error), "a task died; please report this");
            None
        }
    }
}
