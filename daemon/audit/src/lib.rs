//! Who had which token, when and why: one record for each release, denial, attempt and administrative act.
//!
//! Owns the way from something that happened to the journal and a file (`AUDIT.md` describes the records). Whoever records waits for
//! no disk: records are queued, numbered and written by threads of their own. A record never holds a token, only a keyed fingerprint.

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

/// The places records can go to. Each has a queue, a thread and counters of its own; metrics and messages have their names.
static DESTINATIONS: [Destination; 3] = [journal::DESTINATION, file::DESTINATION, file::OF_DENIALS];

/// How long the end of the daemon waits for the last records to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where everything that happens is recorded. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queues: Arc<Queues>,
    fingerprint_key: FingerprintKey,
}

/// Settings that have been checked, with what they need opened.
#[derive(Debug)]
pub struct Prepared {
    settings: Settings,
    changes: Vec<SinkChange>,
}

/// Records that are required need a place that releases wait for.
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
    /// An audit that records nothing yet. `run` names this run of the daemon in its records.
    pub fn new(fingerprint_key: FingerprintKey, clock: Clock, run: &str) -> Self {
        Self(Arc::new(Inner {
            queues: Arc::new(Queues::new(run, clock, &DESTINATIONS)),
            fingerprint_key,
        }))
    }

    /// Opens what these settings need.
    ///
    /// # Errors
    /// What cannot be opened, and what to do about it.
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

    /// Whether [`Audit::prepare`] could open what these settings need, as far as that shows without making or writing anything. `is_made`
    /// tells which directories will be there, and this user's, by then.
    ///
    /// # Errors
    /// As `prepare`.
    pub fn look(settings: &Settings, is_made: impl Fn(&Path) -> bool) -> Result<(), PrepareError> {
        let looks = DESTINATIONS.iter();
        let looks = looks.map(|it| Ok((it, (it.look)(settings, &is_made)?)));
        let on = looks.collect::<Result<Vec<_>, _>>()?;
        must_go_somewhere(settings, on.into_iter())
    }

    /// Records by these settings from now on. What is queued still goes out.
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

    /// Whether records of this kind go anywhere.
    pub fn wants(&self, event: AuditEvent) -> bool {
        self.0.queues.wants(event)
    }

    /// Whether anything at all is recorded.
    pub fn is_on(&self) -> bool {
        self.0.queues.is_on()
    }

    /// Records something.
    ///
    /// # Errors
    /// When the record cannot be kept and is required: then what it tells of must not happen. Otherwise a record that finds no room
    /// is counted as lost.
    pub fn record(&self, event: Event) -> Result<(), Refused> {
        if !self.wants(event.kind) {
            return Ok(());
        }
        self.0.queues.push(event)
    }

    /// Records something that has happened already.
    pub fn note(&self, event: Event) {
        // Counted as lost, and told by a record of its own.
        let _lost = self.record(event);
    }

    /// Whether a token may be released: not while its release cannot be recorded and has to be.
    pub fn may_release(&self) -> bool {
        self.0.queues.may_release()
    }

    /// The fingerprint of a token.
    pub fn fingerprint(&self, token: &str) -> TokenFingerprint {
        self.0.fingerprint_key.fingerprint(token)
    }

    /// What became of records so far, for each place, by its name.
    pub fn tallies(&self) -> impl Iterator<Item = (&'static str, &Tally)> {
        self.0.queues.tallies()
    }

    /// Writes what is queued and ends. Whatever is recorded later is lost.
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

/// However the daemon ends, what is queued is written. After [`Audit::finish`] nothing is left to do.
impl Drop for Inner {
    fn drop(&mut self) {
        self.queues.finish(PATIENCE);
    }
}
