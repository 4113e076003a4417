//! Why a configuration was not loaded or not put in force, and whether the cause is temporary.
//!
//! Owns the sentences about the whole reload; sentences about a file, a proxy or a record come with the error of that part. Goes by the
//! types of errors, never by their texts.

use std::time::Duration;

use tokend_store::StoreError;

use crate::broker::inbox::Driver;

/// The time limit of a reload before its first change. A hundred thousand accounts take seconds; a longer reload waits for a file system
/// that does not answer, or for commands.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Why a configuration was not put in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotApplied {
    #[error(transparent)]
    Store(StoreError),
    #[error("reading the stored records failed inside tokend: {0}; please report this")]
    Died(&'static str),
    /// The store thread is gone, although the daemon does not stop.
    #[error("the store's thread has ended; restart tokend, and please report this")]
    NoStoreThread,
    #[error("the daemon is stopping")]
    Stopping,
    #[error(
        "stored records and secrets were not read within {} seconds: check the disk, and the commands that fetch secrets", LIMIT.as_secs()
    )]
    TooSlow,
    #[error("accounts came and went while the configuration was put in force; try again")]
    Unsettled,
}

impl NotApplied {
    /// Why a job for the store thread has no answer: that thread has ended, or the driver with the job.
    pub(crate) fn without_the_store(driver: &Driver) -> Self {
        match driver.is_closed() {
            true => Self::Stopping,
            false => Self::NoStoreThread,
        }
    }
}

/// Why a configuration was not loaded, in words, and whether the cause is temporary.
#[derive(Debug)]
pub(super) struct NotLoaded {
    pub(super) why: String,
    pub(super) passes: bool,
}

impl NotLoaded {
    /// `is_shortage` is whether the machine lacks something, such as descriptors.
    pub(super) fn by(error: &dyn std::error::Error, is_shortage: bool) -> Self {
        Self {
            why: error.to_string(),
            passes: is_shortage,
        }
    }
}

impl From<String> for NotLoaded {
    fn from(why: String) -> Self {
        Self { why, passes: false }
    }
}
