//! Changes of records by others, as a shared store reports them.
//!
//! Bounded: a reader that falls behind learns that it missed some. Must never report a change the reader made itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::account::{AccountId, Version};

/// How many changes wait for a slow reader before some are dropped and reported as [`RecordChange::Missed`].
const WAITING: usize = 1024;

/// One change made by another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordChange {
    /// A record was written.
    Written {
        /// The account.
        account: AccountId,
        /// Its new version.
        version: Version,
    },
    /// A record was removed.
    Removed {
        /// The account.
        account: AccountId,
    },
    /// The reader fell behind, and changes were dropped: load everything again.
    Missed,
}

/// A reader of changes. Each watch gets all changes made after it was taken.
#[derive(Debug)]
pub struct Watch(Option<Source>);

#[derive(Debug)]
struct Source {
    changes: Receiver<RecordChange>,
    missed: Arc<AtomicBool>,
}

impl Watch {
    /// A watch that never reports, of a store that has no other writer.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    /// The next change, or `None` after `timeout` without one; at once when the watch is silent or the store is gone.
    pub fn wait(&mut self, timeout: Duration) -> Option<RecordChange> {
        let source = self.0.as_ref()?;
        if source.missed.swap(false, Ordering::AcqRel) {
            return Some(RecordChange::Missed);
        }
        source.changes.recv_timeout(timeout).ok()
    }
}

/// The other end of a [`Watch`].
#[derive(Debug)]
pub struct Reporter {
    changes: SyncSender<RecordChange>,
    missed: Arc<AtomicBool>,
}

impl Reporter {
    /// A watch, and the end that reports to it.
    #[must_use]
    pub fn pair() -> (Self, Watch) {
        let (sender, changes) = sync_channel(WAITING);
        let missed = Arc::new(AtomicBool::new(false));
        let source = Source {
            changes,
            missed: Arc::clone(&missed),
        };
        (
            Self {
                changes: sender,
                missed,
            },
            Watch(Some(source)),
        )
    }

    /// Reports without ever waiting. `false` if the reader is gone.
    #[must_use]
    pub fn report(&self, change: RecordChange) -> bool {
        match self.changes.try_send(change) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.store(true, Ordering::Release);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_is_told_that_it_missed_changes() {
        let (reporter, mut watch) = Reporter::pair();
        let account = AccountId::new("ads").unwrap();
        for number in 0..=WAITING as u64 {
            let version = Version::from(number);
            assert!(reporter.report(RecordChange::Written {
                account: account.clone(),
                version
            }));
        }
        assert_eq!(watch.wait(Duration::ZERO), Some(RecordChange::Missed));
        assert!(matches!(
            watch.wait(Duration::ZERO),
            Some(RecordChange::Written { .. })
        ));
        drop(watch);
        assert!(!reporter.report(RecordChange::Missed));
    }

    #[test]
    fn a_silent_watch_never_waits() {
        assert_eq!(Watch::silent().wait(Duration::MAX), None);
    }
}
