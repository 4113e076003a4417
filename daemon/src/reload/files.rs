//! Reading files that may lie on a file system that does not answer.
//!
//! Owns the threads for that, and their bound: a thread that waits for such a file cannot be ended, only left behind. Must never let
//! anybody wait for one beyond a limit.

use std::sync::Arc;
use std::time::Duration;

use tokend_config::Config;
use tokio::sync::Semaphore;

use crate::panics::ending;

/// How many threads may be left to wait for files that do not answer. The runtime has five hundred, and others need them.
const MOST_WAITING: usize = 8;

/// How often a configuration is read again because its files changed meanwhile.
const READINGS: usize = 3;

/// Reads a configuration while nobody changes it: one that is half written is none that anybody wants in force.
///
/// # Errors
/// What is wrong with it, or that it was changed each time.
pub(super) fn read_at_rest(read: impl Fn() -> Result<Config, String>) -> Result<Config, String> {
    for _ in 0..READINGS {
        let config = read()?;
        if config.stamps.are_as_they_were() {
            return Ok(config);
        }
    }
    Err("its files were changed each time they were read: load them once that is done".to_owned())
}

/// Threads that read files, which may lie on a file system that does not answer: such a thread stays, and its number is bounded.
#[derive(Debug, Clone)]
pub(crate) struct FileThreads(Arc<Semaphore>);

impl FileThreads {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST_WAITING)))
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
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            return Err(format!(
                "{MOST_WAITING} threads still wait for files that do not answer: see to the disk or network they are on"
            ));
        };
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        match tokio::time::timeout(limit, task).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(format!(
                "loading it failed inside tokend: {}",
                ending(&error)
            )),
            Err(_elapsed) => Err(format!(
                "its files were not read within {} seconds: see to the disk or network they are on",
                limit.as_secs()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::mpsc;

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
                Ok(config)
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
            let (end, wait) = mpsc::sync_channel::<()>(0);
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
        let room = threads.0.acquire_many(u32::try_from(MOST_WAITING).unwrap());
        drop(room.await.unwrap());
        assert_eq!(threads.run(LIMIT, || 7).await, Ok(7));
    }
}
