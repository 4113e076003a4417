//! The wait for running work at the end, and the audit record of the end.
//!
//! Must never report a death as a clean stop, nor wait for a task that is gone.

use std::time::Duration;

use tokend_config::AuditEvent;
use tokio::sync::oneshot;

use crate::broker::inbox::{Driver, Message};
use tokend_audit::{Audit, Event, Outcome};

/// Lets the driver finish running work, and waits up to this long. Returns how that ended.
pub(super) async fn drain(
    driver: &Driver,
    patience: Duration,
    asked_again: impl Future<Output = ()>,
) -> Outcome {
    let (reply, drained) = oneshot::channel();
    let draining = async {
        driver.send(Message::Drain(reply)).await.ok()?;
        drained.await.ok()
    };
    tokio::select! {
        done = tokio::time::timeout(patience, draining) => match done {
            Ok(Some(())) => {
                tracing::info!("stopped");
                Outcome::Ok
            }
            // The cause of the end is logged where it happens.
            Ok(None) => Outcome::Died,
            Err(_) => {
                // Only memory holds what the store did not take.
                tracing::error!("stopped although the store refused what is in memory; see the errors above");
                Outcome::Unsaved
            }
        },
        () = asked_again => {
            tracing::warn!("stopped at once, as requested twice; an attempt in flight will be in doubt");
            Outcome::CutShort
        }
    }
}

/// Records the end, and waits for the disk: no other work is left.
///
/// # Errors
/// When the daemon died instead of stopping.
pub(super) fn record_end(end: Outcome, audit: &Audit) -> anyhow::Result<()> {
    audit.note(Event::new(AuditEvent::Stop, end));
    tokio::task::block_in_place(|| audit.finish());
    // The engine is gone; exit, so that systemd restarts the daemon from the store.
    anyhow::ensure!(
        end != Outcome::Died,
        "the task that decides died; please report this"
    );
    Ok(())
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
        assert_eq!(end, Outcome::Died);
        drop(messages);
        let gone = tokio::time::timeout(PATIENCE / 2, drain(&driver, PATIENCE, pending()));
        assert_eq!(
            gone.await,
            Ok(Outcome::Died),
            "it was gone before it was asked"
        );
    }

    #[tokio::test]
    async fn a_driver_without_room_is_not_waited_for_beyond_the_limit() {
        let (driver, _messages) = mpsc::channel(1);
        let (reply, _) = oneshot::channel();
        driver.send(Message::Drain(reply)).await.unwrap();
        let end = drain(&driver, Duration::from_millis(1), pending()).await;
        assert_eq!(end, Outcome::Unsaved);
        assert_eq!(
            drain(&driver, PATIENCE, std::future::ready(())).await,
            Outcome::CutShort
        );
    }
}
