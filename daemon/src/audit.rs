//! Who had which token, when and why: one record for each release, denial, attempt and administrative act.
//!
//! Owns the way from something that happened to the journal and a file (`AUDIT.md` describes the records). Whoever records waits for
//! no disk: records are queued, numbered and written by threads of their own. A record never holds a token, only a keyed fingerprint.

mod entry;
mod event;
mod file;
mod journal;
mod lane;
mod mark;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokend_config::{Audit as Settings, AuditEvent};

use crate::clock::Clock;

pub(crate) use entry::{Entry, unrecorded};
pub(crate) use event::{Attempt, Event};
pub(crate) use lane::{Refused, Tally};
pub(crate) use mark::{Mark, Marker};

#[cfg(test)]
use event::Record;
use file::File;
use journal::Journal;
use lane::{Change, Lanes};

/// How long the end of the daemon waits for the last records to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where everything that happens is recorded. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Audit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lanes: Arc<Lanes>,
    marker: Marker,
    clock: Clock,
}

/// Settings that have been checked, with what they need opened.
#[derive(Debug)]
pub(crate) struct Prepared {
    settings: Settings,
    changes: [Change; 2],
}

/// The settings ask for what cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct PrepareError(String);

/// The two places records go to, as they are called in metrics and messages.
pub(crate) const SINKS: [&str; 2] = ["journal", "file"];

impl Audit {
    /// An audit that records nothing yet. `run` names this run of the daemon in its records.
    pub(crate) fn new(marker: Marker, clock: Clock, run: &str) -> Self {
        Self(Arc::new(Inner {
            lanes: Arc::new(Lanes::new(run)),
            marker,
            clock,
        }))
    }

    /// Opens what these settings need.
    ///
    /// # Errors
    /// What cannot be opened, and what to do about it.
    pub(crate) fn prepare(settings: &Settings) -> Result<Prepared, PrepareError> {
        let journal = settings.journal.unwrap_or_else(journal::is_offered);
        let journal = match journal {
            true => Change::To(Box::new(Journal::new())),
            false => Change::Off,
        };
        let file = match &settings.file {
            Some(file) => Change::To(Box::new(File::open(file).map_err(|error| {
                PrepareError(format!("the audit file {}: {error}", file.path.display()))
            })?)),
            None => Change::Off,
        };
        if settings.required && matches!((&journal, &file), (Change::Off, Change::Off)) {
            return Err(PrepareError(
                "records are `required` below [audit], and there is neither a journal nor a `file` to write them to"
                    .to_owned(),
            ));
        }
        Ok(Prepared {
            settings: settings.clone(),
            changes: [journal, file],
        })
    }

    /// Records by these settings from now on. What is queued still goes out.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn apply(&self, prepared: Prepared) -> std::io::Result<()> {
        let Prepared { settings, changes } = prepared;
        self.0
            .lanes
            .apply(changes, settings.events, settings.required)
    }

    /// Whether records of this kind go anywhere.
    pub(crate) fn wants(&self, event: AuditEvent) -> bool {
        self.0.lanes.wants(event)
    }

    /// Whether anything at all is recorded.
    pub(crate) fn is_on(&self) -> bool {
        self.0.lanes.is_on()
    }

    /// Records something.
    ///
    /// # Errors
    /// When the record cannot be kept and is required: then what it tells of must not happen. Otherwise a record that finds no room
    /// is counted as lost.
    pub(crate) fn record(&self, event: Event) -> Result<(), Refused> {
        if !self.wants(event.kind) {
            return Ok(());
        }
        let clock = &self.0.clock;
        self.0.lanes.push(event, clock.wall_ms(), clock.boot_ms())
    }

    /// Records something that has happened already.
    pub(crate) fn note(&self, event: Event) {
        // Counted as lost, and told by a record of its own.
        let _lost = self.record(event);
    }

    /// Whether a token may be released: not while its release cannot be recorded and has to be.
    pub(crate) fn may_release(&self) -> bool {
        self.0.lanes.may_release()
    }

    /// The fingerprint of a token.
    pub(crate) fn mark(&self, token: &str) -> Mark {
        self.0.marker.mark(token)
    }

    /// What became of records so far, for each of [`SINKS`].
    pub(crate) fn tallies(&self) -> [&Tally; 2] {
        self.0.lanes.tallies()
    }

    /// Writes what is queued and ends. Whatever is recorded later is lost.
    pub(crate) fn finish(&self) {
        let complete = self.0.lanes.finish(PATIENCE);
        for (sink, tally) in SINKS.iter().zip(self.tallies()) {
            let lost = tally.lost.get();
            if lost > 0 {
                tracing::error!(lost, "audit records were lost to the {sink} in this run");
            }
            if !complete && tally.is_failing() {
                tracing::error!("the last audit records could not be written to the {sink}");
            }
        }
    }
}

/// However the daemon ends, what is queued is written. After [`Audit::finish`] nothing is left to do.
impl Drop for Inner {
    fn drop(&mut self) {
        self.lanes.finish(PATIENCE);
    }
}

/// A counter that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
