//! Who had which token, when and why: one record for each release, denial, attempt and administrative act.
//!
//! Owns the way of an event to the journal and to files (`AUDIT.md` describes the records). A caller never waits for a disk: records are
//! queued, numbered and written by separate threads. A record never holds a token, only a keyed fingerprint.

mod destination;
mod event;
mod file;
mod fingerprint;
mod journal;
mod outcome;
mod queue;
mod repeats;
mod tally;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokend_config::{Audit as Settings, AuditEvent};

use tokend_process::clock::Clock;

pub use destination::PrepareError;
pub use event::{Attempt, Event};
pub use fingerprint::{FingerprintKey, TokenFingerprint};
pub use outcome::{Outcome, Trigger};
pub use queue::Refused;
pub use tally::Tally;

use destination::Destination;
#[cfg(test)]
use event::Record;
use queue::{Queues, SinkChange};
#[cfg(test)]
use {file::File, journal::Journal};

/// The places that records can be written to. Each has its own queue, thread and counters; metrics and messages use its name.
static DESTINATIONS: [Destination; 3] = [journal::DESTINATION, file::DESTINATION, file::OF_DENIALS];

/// How long the daemon waits at its end until the last records are written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Records all events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queues: Arc<Queues>,
    fingerprint_key: FingerprintKey,
}

/// Checked settings, with the places they open.
#[derive(Debug)]
pub struct Prepared {
    settings: Settings,
    changes: Vec<SinkChange>,
}

/// Required records need a place that releases wait for.
fn must_go_somewhere(
    settings: &Settings,
    mut on: impl Iterator<Item = (&'static Destination, bool)>,
) -> Result<(), PrepareError> {
    if settings.required && !on.any(|(destination, on)| on && destination.required) {
        return Err(PrepareError::Nowhere);
    }
    Ok(())
}

impl Audit {
    /// An audit that records nothing yet. `run` identifies this run of the daemon in its records.
    pub fn new(fingerprint_key: FingerprintKey, clock: Clock, run: &str) -> Self {
        Self(Arc::new(Inner {
            queues: Arc::new(Queues::new(run, clock, &DESTINATIONS)),
            fingerprint_key,
        }))
    }

    /// Opens the places that these settings ask for.
    ///
    /// # Errors
    /// Which place cannot be opened, and how to mend that.
    pub fn prepare(settings: &Settings) -> Result<Prepared, PrepareError> {
        let changes = DESTINATIONS.iter().map(|destination| {
            let open = (destination.open)(settings)?;
            Ok(open.map_or(SinkChange::Off, SinkChange::To))
        });
        let changes = changes.collect::<Result<Vec<_>, _>>()?;
        let on = changes
            .iter()
            .map(|change| matches!(change, SinkChange::To(_)));
        must_go_somewhere(settings, DESTINATIONS.iter().zip(on))?;
        Ok(Prepared {
            settings: settings.clone(),
            changes,
        })
    }

    /// Whether [`Audit::prepare`] could open the places that these settings ask for, as far as that can be found without creating or
    /// writing anything. `is_made` says which directories will exist by then, and names the daemon's user.
    ///
    /// # Errors
    /// The same as of `prepare`.
    pub fn check(settings: &Settings, is_made: impl Fn(&Path) -> bool) -> Result<(), PrepareError> {
        let checks = DESTINATIONS.iter();
        let checks = checks.map(|it| Ok((it, (it.check)(settings, &is_made)?)));
        let on = checks.collect::<Result<Vec<_>, _>>()?;
        must_go_somewhere(settings, on.into_iter())
    }

    /// Records by these settings from now on. Queued records are still written.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn apply(&self, prepared: Prepared) -> std::io::Result<()> {
        let Prepared { settings, changes } = prepared;
        self.0.queues.apply(
            changes,
            settings.events,
            settings.required,
            queue::writer::run,
        )
    }

    /// Whether records of this kind are written anywhere.
    pub fn wants(&self, event: AuditEvent) -> bool {
        self.0.queues.wants(event)
    }

    /// Whether anything at all is recorded.
    pub fn is_on(&self) -> bool {
        self.0.queues.is_on()
    }

    /// Records an event.
    ///
    /// # Errors
    /// When the record cannot be kept and is required: then the event must not happen. If the record is not required and finds no room, it
    /// is counted as lost.
    pub fn record(&self, event: Event) -> Result<(), Refused> {
        if !self.wants(event.kind) {
            return Ok(());
        }
        self.0.queues.push(event)
    }

    /// Records an event that has already happened.
    pub fn note(&self, event: Event) {
        // The loss is counted, and reported by a record of its own.
        let _lost = self.record(event);
    }

    /// Whether a token may be released: not while a release has to be recorded and cannot be.
    pub fn may_release(&self) -> bool {
        self.0.queues.may_release()
    }

    /// The fingerprint of a token.
    pub fn fingerprint(&self, token: &str) -> TokenFingerprint {
        self.0.fingerprint_key.fingerprint(token)
    }

    /// The counts of written and lost records for each place, by its name.
    pub fn tallies(&self) -> impl Iterator<Item = (&'static str, &Tally)> {
        self.0.queues.tallies()
    }

    /// Writes the queued records and ends. Later records are lost.
    pub fn finish(&self) {
        let complete = self.0.queues.finish(PATIENCE);
        for (sink, tally) in self.tallies() {
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

/// Queued records are written however the daemon ends. After [`Audit::finish`] nothing is left to do.
impl Drop for Inner {
    fn drop(&mut self) {
        self.queues.finish(PATIENCE);
    }
}
