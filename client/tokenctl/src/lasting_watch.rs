//! A watch that outlasts restarts of the daemon.
//!
//! Owns when it is tried again to reach a daemon that is away, and which ends of a watch that may help. The daemon tells the same token once
//! more after each connection; whether that is news is the caller's matter.

use std::thread;
use std::time::Duration;

use tokend_client::{
    BlockingClient, BlockingWatch, ClientError, FaultCode, SinkReport, SocketPath, WatchEvent,
    WatchOptions,
};

/// The pauses between attempts to reach a daemon that is away: doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A watch with as many connections as it takes, one at a time.
pub(crate) struct LastingWatch {
    path: SocketPath,
    demand: WatchOptions,
    watch: Option<BlockingWatch>,
    /// What the daemon is to know of a file, over each connection.
    report: Option<SinkReport>,
    /// The next pause.
    pause: Duration,
    /// What is left of this one.
    rest: Duration,
}

/// What happened.
pub(crate) enum Heard {
    Event(WatchEvent),
    /// The daemon could not be reached, and it is tried again.
    Away(ClientError),
}

impl LastingWatch {
    /// A watch of a daemon that is there.
    pub(crate) fn connect(path: SocketPath, demand: WatchOptions) -> Result<Self, ClientError> {
        let mut lasting = Self::later(path, demand);
        lasting.reach()?;
        Ok(lasting)
    }

    /// A watch that connects when it is first asked what happened.
    pub(crate) fn later(path: SocketPath, demand: WatchOptions) -> Self {
        Self {
            path,
            demand,
            watch: None,
            report: None,
            pause: FIRST_PAUSE,
            rest: Duration::ZERO,
        }
    }

    /// Tells the daemon this of a file from now on, in place of what it was told before.
    pub(crate) fn report(&mut self, report: SinkReport) {
        if self.report.as_ref() == Some(&report) {
            return;
        }
        if let Some(watch) = &mut self.watch {
            // A lost connection is noticed by the next wait, and the next one gets the report.
            drop(watch.report(report.clone()));
        }
        self.report = Some(report);
    }

    /// Waits for what happens next, about this long; `None` when nothing did. An error ends the watch.
    pub(crate) fn next_within(&mut self, limit: Duration) -> Result<Option<Heard>, ClientError> {
        match self.hear(limit) {
            Ok(None) => Ok(None),
            Ok(Some(event)) => {
                self.pause = FIRST_PAUSE;
                Ok(Some(Heard::Event(event)))
            }
            Err(error) if passes(&error) => {
                self.watch = None;
                self.rest = self.pause;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Ok(Some(Heard::Away(error)))
            }
            Err(error) => Err(error),
        }
    }

    fn hear(&mut self, limit: Duration) -> Result<Option<WatchEvent>, ClientError> {
        if let Some(watch) = &mut self.watch {
            return watch.next_within(limit);
        }
        let pause = self.rest.min(limit);
        thread::sleep(pause);
        self.rest = self.rest.saturating_sub(pause);
        if self.rest.is_zero() {
            self.reach()?;
        }
        Ok(None)
    }

    fn reach(&mut self) -> Result<(), ClientError> {
        let mut watch = BlockingClient::connect(&self.path)?.watch(&self.demand)?;
        if let Some(report) = &self.report {
            watch.report(report.clone())?;
        }
        self.watch = Some(watch);
        Ok(())
    }
}

/// Whether a restart or a pause may help: the daemon is away, is about to stop, or has no room now.
fn passes(error: &ClientError) -> bool {
    match error {
        ClientError::Lost { .. }
        | ClientError::NotReachable { .. }
        | ClientError::Silent { .. }
        | ClientError::TimedOut { .. } => true,
        ClientError::Fault(fault) => {
            matches!(fault.code, FaultCode::Draining | FaultCode::TooBusy)
        }
        _ => false,
    }
}
