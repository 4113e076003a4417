//! Reading files that may lie on a file system that does not answer.
//!
//! Owns the threads for that, and their bound: a thread that waits for such a file cannot be ended, only left behind. Must never let
//! anybody wait for one beyond a limit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokend_config::Config;
use tokio::sync::{Semaphore, oneshot};

/// How many threads may be left to wait for files that do not answer: each keeps what it has read so far.
const MOST_WAITING: usize = 8;

/// How often a configuration is read again because its files changed meanwhile.
const READINGS: usize = 3;

/// Reads a configuration while nobody changes it: one that is half written is none that anybody wants in force.
///
/// # Errors
/// What is wrong with it, or that it was changed each time.
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

/// Threads that read files, which may lie on a file system that does not answer: such a thread stays, and its number is bounded. One that
/// is free is kept for the next time, since the system's allocator gives each thread a part of the memory: were it always another,
/// every part would grow to what a whole configuration takes.
#[derive(Debug, Clone)]
pub(crate) struct FileThreads {
    places: Arc<Semaphore>,
    free: Free,
}

/// The ways to threads that are free. The one that became so last comes first.
type Free = Arc<Mutex<Vec<SyncSender<Work>>>>;

/// Something to do, which gives what is to be done once its thread is free again.
type Work = Box<dyn FnOnce() -> Finish + Send>;
type Finish = Box<dyn FnOnce()>;

impl FileThreads {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            free: Free::default(),
        }
    }

    /// Does something with files, and waits so long for it.
    ///
    /// # Errors
    /// Why there is no answer.
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

    /// Has a thread do it: one that is free, or a new one.
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

/// Does one thing after another for as long as the process lives.
fn serve(first: Work, free: &Free) {
    let mut next = Ok(first);
    while let Ok(work) = next {
        let finish = work();
        let (way, works) = sync_channel(1);
        free.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(way);
        // Only now: whoever comes next finds a thread that is free, so there are never more than places.
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
                // Somebody goes on writing behind the reader.
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
        for told in join_all(waiting).await {
            assert!(told.unwrap_err().contains("within 1 seconds"));
        }
        let told = threads.run(LIMIT, || true).await;
        assert!(told.unwrap_err().contains("still wait"));
        // Once they answer after all, there is room.
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
        let told = threads.run(LIMIT, || panic!("in a test")).await;
        assert!(told.unwrap_err().contains("it panicked"));
        assert_eq!(threads.run(LIMIT, who).await, first);
    }
}
