//! The wait for running work at the end, and the audit record of the end.
//!
//! Owns the ways in which a stopping daemon can end. Must never report a death as a clean stop, nor wait for a task that is gone.

use std::time::Duration;

use tokend_config::AuditEvent;
use tokio::sync::oneshot;

use crate::broker::inbox::{Driver, Message};
use tokend_audit::{Audit, Event, Outcome};

/// How a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// All work was finished.
    Finished,
    /// The store did not take the facts that only memory holds.
    Unsaved,
    /// A second signal asked for an immediate stop.
    CutShort,
    /// The driver is gone.
    Died,
}

/// Lets the driver finish running work, and waits up to this long.
pub(super) async fn drain(
    driver: &Driver,
    patience: Duration,
    asked_again: impl Future<Output = ()>,
) -> End {
    let (reply, drained) = oneshot::channel();
    let draining = async {
        driver.send(Message::Drain(reply)).await.ok()?;
        drained.await.ok()
    };
    tokio::select! {
        done = tokio::time::timeout(patience, draining) => match done {
            Ok(Some(())) => {
                tracing::info!("stopped");
                End::Finished
            }
            // The cause of the end is logged where it happens.
            Ok(None) => End::Died,
            Err(_) => {
                tracing::error!("stopped although the store refused what is in memory; see the errors above");
                End::Unsaved
            }
        },
        () = asked_again => {
            tracing::warn!("stopped at once, as requested twice; an attempt in flight will be in doubt");
            End::CutShort
        }
    }
}

impl End {
    /// Records the end, and waits for the disk: no other work is left.
    ///
    /// # Errors
    /// When the daemon died instead of stopping.
    pub(super) fn record(self, audit: &Audit) -> anyhow::Result<()> {
        let outcome = match self {
            Self::Finished => Outcome::Ok,
            Self::Unsaved => Outcome::Unsaved,
            Self::CutShort => Outcome::CutShort,
            Self::Died => Outcome::Died,
        };
        audit.note(Event::new(AuditEvent::Stop, outcome));
        tokio::task::block_in_place(|| audit.finish());
        // The engine is gone; exit, so that systemd restarts the daemon from the store.
        anyhow::ensure!(
            self != Self::Died,
            "the task that decides died; please report this"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_driver_that_dies_while_it_drains_is_no_clean_stop() {
        let (driver, mut messages) = mpsc::channel(1);
        let dies = async {
            drop(messages.recv().await);
        };
        let (end, ()) = tokio::join!(drain(&driver, PATIENCE, pending()), dies);
        assert_eq!(end, End::Died);
        drop(messages);
        let gone = tokio::time::timeout(PATIENCE / 2, drain(&driver, PATIENCE, pending()));
        assert_eq!(gone.await, Ok(End::Died), "it was gone before it was asked");
    }

    #[tokio::test]
    async fn a_driver_without_room_is_not_waited_for_beyond_the_limit() {
        let (driver, _messages) = mpsc::channel(1);
        let (reply, _) = oneshot::channel();
        driver.send(Message::Drain(reply)).await.unwrap();
        let end = drain(&driver, Duration::from_millis(1), pending()).await;
        assert_eq!(end, End::Unsaved);
        assert_eq!(
            drain(&driver, PATIENCE, std::future::ready(())).await,
            End::CutShort
        );
    }
}
