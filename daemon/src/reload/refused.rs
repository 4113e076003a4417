//! Why a configuration was not loaded or not put in force, and whether that passes by itself.
//!
//! Owns the sentences that are about the whole; those about a file, a proxy or a record come with what refused it. Goes by the types of
//! errors, never by their words.

use std::time::Duration;

use tokend_config::ConfigError;
use tokend_store::StoreError;

use crate::broker::inbox::Driver;
use tokend_audit::PrepareError;
use tokend_upstream::ClientError;

/// How long a reload may take before anything is changed. A hundred thousand accounts take seconds; what takes longer waits for a file
/// system that does not answer, or for commands.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Why a configuration was not put in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotApplied {
    /// The store does not give its records out.
    #[error(transparent)]
    Store(StoreError),
    /// The task that reads them died.
    #[error("reading the stored records failed inside tokend: {0}; please report this")]
    Died(&'static str),
    /// The store's thread does nothing more, although the daemon does not stop.
    #[error("the store's thread has ended; restart tokend, and please report this")]
    NoStoreThread,
    /// The driver takes nothing more.
    #[error("the daemon is stopping")]
    Stopping,
    /// Records and secrets were not read in time.
    #[error(
        "stored records and secrets were not read within {} seconds: check the disk, and the commands that fetch secrets", LIMIT.as_secs()
    )]
    TooSlow,
    /// Accounts came and went each time their records were read.
    #[error("accounts came and went while the configuration was put in force; try again")]
    Unsettled,
}

impl NotApplied {
    /// Why nobody answers to a job that the driver took for the store's thread: that has ended, or the driver with the job.
    pub(crate) fn without_the_store(driver: &Driver) -> Self {
        match driver.is_closed() {
            true => Self::Stopping,
            false => Self::NoStoreThread,
        }
    }
}

/// Why a configuration was not loaded, in words, and whether that passes by itself.
#[derive(Debug)]
pub(super) struct NotLoaded {
    pub(super) why: String,
    pub(super) passes: bool,
}

impl From<String> for NotLoaded {
    fn from(why: String) -> Self {
        Self { why, passes: false }
    }
}

impl From<ConfigError> for NotLoaded {
    fn from(error: ConfigError) -> Self {
        Self {
            why: error.to_string(),
            passes: error.is_shortage(),
        }
    }
}

impl From<ClientError> for NotLoaded {
    fn from(error: ClientError) -> Self {
        Self {
            why: error.to_string(),
            passes: error.is_shortage(),
        }
    }
}

impl From<PrepareError> for NotLoaded {
    fn from(error: PrepareError) -> Self {
        Self {
            why: error.to_string(),
            passes: error.is_shortage(),
        }
    }
}
