//! Reading files that may lie on a file system that does not answer.
//!
//! Owns the threads for that, and their bound: a thread that waits for such a file cannot be ended, only left behind. Must never let a
//! caller wait for a file beyond a limit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokend_config::Config;
use tokio::sync::{Semaphore, oneshot};

/// How many threads may be left waiting for files that do not answer. Each keeps the data it has read so far.
const MOST_WAITING: usize = 8;

/// How often a configuration is read again because its files changed meanwhile.
const READINGS: usize = 3;

/// Reads a configuration that does not change during the read: a half-written one must not come into force.
///
/// # Errors
/// The mistakes in it, or that it changed during each read.
pub(super) fn read_at_rest<E: From<String>>(
    read: impl Fn() -> Result<Config, E>,
) -> Result<Config, E> {
    for _ in 0..READINGS {
        let config = read()?;
        if config.stamps.are_as_they_were() {
            return Ok(config);
        }
    }
    Err(
        "its files were changed each time they were read: load them once that is done"
            .to_owned()
            .into(),
    )
}

/// Threads that read files on file systems that may not answer: such a thread stays, and the number of threads is bounded. A free thread is
/// kept for the next read, since the system's allocator gives each thread its own arena: with a new thread each time, every arena would
/// grow to the size of a whole configuration.
#[derive(Debug, Clone)]
pub(crate) struct FileThreads {
    places: Arc<Semaphore>,
    free: Free,
}

/// The channels to free threads. The thread that became free last comes first.
type Free = Arc<Mutex<Vec<SyncSender<Work>>>>;

/// A task; it returns the closure to run once its thread is free again.
type Work = Box<dyn FnOnce() -> Finish + Send>;
type Finish = Box<dyn FnOnce()>;

impl FileThreads {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            free: Free::default(),
        }
    }

    /// Runs a task on files, and waits up to this long.
    ///
    /// # Errors
    /// Why there is no result.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(format!(
                "{MOST_WAITING} threads still wait for files that do not answer: check the disk or network they are on"
            ));
        };
        let (reply, done) = oneshot::channel();
        let started = self.start(Box::new(move || {
            let done = catch_unwind(AssertUnwindSafe(work));
            Box::new(move || {
                drop(permit);
                let _nobody_waits = done.map(|done| reply.send(done));
            })
        }));
        started.map_err(|error| format!("a thread for its files cannot be started: {error}"))?;
        match tokio::time::timeout(limit, done).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err("loading it failed inside tokend: it panicked".to_owned()),
            Err(_elapsed) => Err(format!(
                "its files were not read within {} seconds: check the disk or network they are on",
                limit.as_secs()
            )),
        }
    }

    /// Gives the task to a free thread, or to a new one.
    fn start(&self, mut work: Work) -> std::io::Result<()> {
        loop {
            let free = self
                .free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let Some(thread) = free else { break };
            match thread.send(work) {
                Ok(()) => return Ok(()),
                Err(unsent) => work = unsent.0,
            }
        }
        let free = Arc::clone(&self.free);
        let thread = std::thread::Builder::new().name("files".to_owned());
        thread.spawn(move || serve(work, &free)).map(drop)
    }
}

/// Runs tasks for the life of the process.
fn serve(first: Work, free: &Free) {
    let mut next = Ok(first);
    while let Ok(work) = next {
        let finish = work();
        let (thread, works) = sync_channel(1);
        free.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        // Not earlier: the next caller then finds a free thread, so there are never more threads than places.
        finish();
        next = works.recv();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;
    use crate::testing::Site;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_edited_while_it_is_read_is_read_again_and_never_taken_in_halves() {
        let site = Site::new("# as it was\n");
        let times = Cell::new(0);
        let read = |edits: usize| {
            times.set(0);
            read_at_rest(|| {
                let config = site.config();
                times.set(times.get() + 1);
                // A writer keeps writing behind the reader.
                if times.get() <= edits {
                    site.write(&"# more\n".repeat(times.get() + 1));
                }
                Ok::<_, String>(config)
            })
        };
        assert!(read(0).is_ok());
        assert_eq!(times.get(), 1);
        let config = read(2).unwrap();
        assert_eq!(times.get(), 3);
        assert!(config.stamps.are_as_they_were());
        assert!(read(9).unwrap_err().contains("were changed"));
        assert_eq!(times.get(), READINGS);
    }

    #[tokio::test]
    async fn a_file_that_does_not_answer_holds_its_thread_and_nobody_else() {
        let threads = FileThreads::new();
        let mut held = Vec::new();
        let waiting = (0..MOST_WAITING).map(|_| {
            let (end, wait) = sync_channel::<()>(0);
            held.push(end);
            threads.run(LIMIT, move || wait.recv().is_ok())
        });
        for ended in join_all(waiting).await {
            assert!(ended.unwrap_err().contains("within 1 seconds"));
        }
        let ended = threads.run(LIMIT, || true).await;
        assert!(ended.unwrap_err().contains("still wait"));
        // After the files have answered, there is room again.
        held.clear();
        let room = threads
            .places
            .acquire_many(u32::try_from(MOST_WAITING).unwrap());
        drop(room.await.unwrap());
        assert_eq!(threads.run(LIMIT, || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn one_thread_does_one_thing_after_another_also_after_a_panic() {
        let threads = FileThreads::new();
        let who = || std::thread::current().id();
        let first = threads.run(LIMIT, who).await;
        for _ in 0..3 {
            assert_eq!(threads.run(LIMIT, who).await, first);
        }
        let ended = threads.run(LIMIT, || panic!("in a test")).await;
        assert!(ended.unwrap_err().contains("it panicked"));
        assert_eq!(threads.run(LIMIT, who).await, first);
    }
}
