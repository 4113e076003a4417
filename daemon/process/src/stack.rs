//! Stacks that keep no secret.
//!
//! Code that hashes, seals, parses or sends a secret leaves pieces of it in finished stack frames, until other
//! code happens to run as deep; the allocator wipes the heap only. Owns the wiping of those frames, right after
//! such work or before a thread rests. Does not wipe a frame that is still in use: its owner has to.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinHandle;
use zeroize::zeroize_stack;

/// How far below a caller the work on secrets goes: a TLS handshake or a deep JSON document takes less than half of it, and without
/// optimisation three times as much. It is also what each thread that works on secrets keeps in memory of its stack.
pub(crate) const DEPTH: usize = if cfg!(debug_assertions) {
    384 * 1024
} else {
    128 * 1024
};

/// Runs work on secrets, and leaves nothing of them on this thread's stack, even if the work panics.
pub fn wiped<T>(work: impl FnOnce() -> T) -> T {
    struct Afterwards;

    impl Drop for Afterwards {
        fn drop(&mut self) {
            wipe();
        }
    }

    let _afterwards = Afterwards;
    apart(work)
}

/// The same for work that goes on over time, after each of its steps.
pub async fn wiped_throughout<F: Future>(work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|context| wiped(|| work.as_mut().poll(context))).await
}

/// The same on a thread of its own that may wait for a disk.
pub fn wiped_off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    tokio::task::spawn_blocking(|| wiped(work))
}

/// The same, but wipes only if the result says that the work was on a secret: for fast work that mostly is not.
pub fn wiped_if<T>(work: impl FnOnce() -> T, is_secret: impl FnOnce(&T) -> bool) -> T {
    let done = apart(work);
    if is_secret(&done) {
        wipe();
    }
    done
}

/// Runs work in a frame of its own, beneath the caller's, from where it can be wiped.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Overwrites what frames beneath the caller's left.
#[inline(never)]
fn wipe() {
    zeroize_stack::<DEPTH>();
}

/// How many conversations with providers are under way, and how many there were. Their connections are driven by tasks of the HTTP
/// library, on whatever thread is free, and those can be wiped only from outside.
static TALKING: AtomicUsize = AtomicUsize::new(0);
static TALKED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How many there had been when this thread was wiped last.
    static WIPED_AFTER: Cell<usize> = const { Cell::new(0) };
}

/// A conversation with a provider, as long as it lives.
#[derive(Debug)]
pub struct Conversation(());

impl Conversation {
    /// It lasts until this is dropped.
    pub fn begin() -> Self {
        TALKING.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // In this order: a thread that sees no conversation under way also sees that there was one.
        TALKED.fetch_add(1, Ordering::AcqRel);
        TALKING.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Wipes the stack of a runtime thread that is about to rest. Costs nothing if there was no conversation with a
/// provider since its last wipe.
pub fn before_rest() {
    let talking = TALKING.load(Ordering::Acquire);
    let talked = TALKED.load(Ordering::Acquire);
    if WIPED_AFTER.replace(talked) != talked || talking > 0 {
        wipe();
    }
}

#[cfg(test)]
mod tests;
