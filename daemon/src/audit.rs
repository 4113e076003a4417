//! Who had which token, when and why: one record for each release, denial, attempt and administrative act.
//!
//! Owns the way from something that happened to the journal and a file (`AUDIT.md` describes the records). Whoever records waits for
//! no disk: records are queued, numbered and written by threads of their own. A record never holds a token, only a keyed fingerprint.

mod event;
mod file;
mod journal;
mod lane;
mod mark;
mod repeats;
mod sinks;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokend_config::{Audit as Settings, AuditEvent, AuditFile, is_shortage};

use tokend_process::clock::Clock;

pub(crate) use event::{Attempt, Event};
pub(crate) use lane::{Refused, Tally};
pub(crate) use mark::{Mark, Marker};
pub(crate) use sinks::SINKS;

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
}

/// Settings that have been checked, with what they need opened.
#[derive(Debug)]
pub(crate) struct Prepared {
    settings: Settings,
    changes: [Change; SINKS.len()],
}

/// Why records cannot go where the settings say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// The settings ask for what cannot be.
    #[error(
        "records are `required` below [audit], and there is neither a journal nor a `file` to write them to"
    )]
    Nowhere,
    /// A file cannot be opened or made.
    // Not `source`, which whoever shows the causes of an error would show once more.
    #[error("the audit file {}: {why}", path.display())]
    File { path: PathBuf, why: std::io::Error },
}

impl PrepareError {
    fn of(file: &AuditFile, why: std::io::Error) -> Self {
        let path = file.path.clone();
        Self::File { path, why }
    }

    /// Whether the machine is short of something that passes, such as descriptors: nothing is wrong with the settings.
    pub(crate) fn is_shortage(&self) -> bool {
        matches!(self, Self::File { why, .. } if is_shortage(why))
    }
}

/// Records that are required need a place.
fn must_go_somewhere(settings: &Settings, journal: bool) -> Result<(), PrepareError> {
    if settings.required && !journal && settings.file.is_none() {
        return Err(PrepareError::Nowhere);
    }
    Ok(())
}

impl Audit {
    /// An audit that records nothing yet. `run` names this run of the daemon in its records.
    pub(crate) fn new(marker: Marker, clock: Clock, run: &str) -> Self {
        Self(Arc::new(Inner {
            lanes: Arc::new(Lanes::new(run, clock)),
            marker,
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
        let open = |file: &AuditFile| match File::open(file) {
            Ok(file) => Ok(Change::To(Box::new(file))),
            Err(error) => Err(PrepareError::of(file, error)),
        };
        let (file, denials) = match &settings.file {
            Some(file) => (open(file)?, open(&File::of_denials(file))?),
            None => (Change::Off, Change::Off),
        };
        must_go_somewhere(settings, matches!(journal, Change::To(_)))?;
        Ok(Prepared {
            settings: settings.clone(),
            changes: [journal, file, denials],
        })
    }

    /// Whether [`Audit::prepare`] could open what these settings need, as far as that shows without making or writing anything. `is_made`
    /// tells which directories will be there, and this user's, by then.
    ///
    /// # Errors
    /// As `prepare`.
    pub(crate) fn look(
        settings: &Settings,
        is_made: impl Fn(&Path) -> bool,
    ) -> Result<(), PrepareError> {
        let journal = settings.journal.unwrap_or_else(journal::is_offered);
        must_go_somewhere(settings, journal)?;
        let Some(file) = &settings.file else {
            return Ok(());
        };
        let is_made = file.path.parent().is_some_and(is_made);
        for file in [file, &File::of_denials(file)] {
            if is_made && !file.path.exists() {
                continue;
            }
            File::could_open(file).map_err(|error| PrepareError::of(file, error))?;
        }
        Ok(())
    }

    /// Records by these settings from now on. What is queued still goes out.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn apply(&self, prepared: Prepared) -> std::io::Result<()> {
        let Prepared { settings, changes } = prepared;
        self.0.lanes.apply(
            changes,
            settings.events,
            settings.required,
            lane::writer::run,
        )
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
        self.0.lanes.push(event)
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
    pub(crate) fn tallies(&self) -> [&Tally; SINKS.len()] {
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
