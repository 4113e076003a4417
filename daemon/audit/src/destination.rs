//! A place that records are written to.
//!
//! Owns everything about a place that is known before it is opened: its name, which records it takes, how many may wait for it, and how it
//! is opened. Each kind of place has one file with a [`Destination`], and one line in the list of `audit`.

use std::io;
use std::path::{Path, PathBuf};

use tokend_config::{Audit as Settings, AuditEvent, AuditFile, is_shortage};

use super::event::Record;

/// How many records may wait for a place, and how many denials besides. A denial never takes the room of another record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) denials: usize,
}

impl Room {
    /// Enough for three thousand releases a second over five seconds.
    pub(super) const USUAL: Self = Self {
        records: 16_384,
        denials: 4_096,
    };

    /// From this many records on, the thread stops gathering and writes.
    pub(super) fn enough(self) -> usize {
        self.records / 4
    }
}

/// Which records a place takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    All,
    /// Records that strangers cause take no room from records of released tokens.
    AllButDenials,
    Denials,
}

/// An open place, for the thread that writes to it.
pub(super) type OpenSink = Box<dyn Sink>;

/// Says which directories will exist when the daemon starts, and names the daemon's user.
pub(super) type IsMade<'a> = dyn Fn(&Path) -> bool + 'a;

/// A place that records can be written to.
#[derive(Debug)]
pub(super) struct Destination {
    /// The name of the place in metrics and messages.
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) room: Room,
    /// Whether a token whose release must be recorded waits for this place.
    pub(super) required: bool,
    /// Opens the place, if the settings ask for it.
    pub(super) open: fn(&Settings) -> Result<Option<OpenSink>, PrepareError>,
    /// Whether the settings ask for this place. Returns the error `open` would return, as far as it can be found without creating or
    /// writing anything.
    pub(super) check: fn(&Settings, &IsMade<'_>) -> Result<bool, PrepareError>,
}

impl Destination {
    pub(super) fn takes(&self, kind: AuditEvent) -> bool {
        match self.takes {
            Takes::All => true,
            Takes::AllButDenials => kind != AuditEvent::Denial,
            Takes::Denials => kind == AuditEvent::Denial,
        }
    }
}

/// An open place.
pub(super) trait Sink: Send + std::fmt::Debug {
    /// Writes records and reports through `done` how many were written, even when it fails.
    fn write(&mut self, records: &[Record], done: &mut usize) -> io::Result<()>;

    /// Makes the written records as durable as the place allows.
    fn finish(&mut self);
}

/// Why records cannot be written where the settings say.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The settings ask for the impossible.
    #[error(
        "records are `required` below [audit], and there is neither a journal nor a `file` to write them to"
    )]
    Nowhere,
    /// A file cannot be opened or created.
    // Not named `source`: code that prints the causes of an error would print this one a second time.
    #[error("the audit file {}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The error of the system.
        why: io::Error,
    },
}

impl PrepareError {
    pub(super) fn of(file: &AuditFile, why: io::Error) -> Self {
        let path = file.path.clone();
        Self::File { path, why }
    }

    /// Whether the cause is a temporary shortage of the machine, such as of descriptors. The settings are not at fault then.
    pub fn is_shortage(&self) -> bool {
        matches!(self, Self::File { why, .. } if is_shortage(why))
    }
}
