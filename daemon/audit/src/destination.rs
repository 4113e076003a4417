//! What a place is that records go to.
//!
//! Owns what is known of one before anything is opened: its name, what it takes, how far it may be behind, and how it is opened. A kind
//! of place is one file that has a [`Destination`], and one line in the list of `audit`.

use std::io;
use std::path::{Path, PathBuf};

use tokend_config::{Audit as Settings, AuditEvent, AuditFile, is_shortage};

use super::event::Record;

/// How many records a place may be behind, and how many denials on top. No denial takes room from another record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) denials: usize,
}

impl Room {
    /// As much as three thousand releases in a second, for five seconds.
    pub(super) const USUAL: Self = Self {
        records: 16_384,
        denials: 4_096,
    };

    /// From this many on a thread gathers no longer.
    pub(super) fn enough(self) -> usize {
        self.records / 4
    }
}

/// Which records a place takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    All,
    /// What strangers cause takes no room from what was released.
    AllButDenials,
    Denials,
}

/// An open place, for the thread that writes there.
pub(super) type OpenSink = Box<dyn Sink>;

/// Tells which directories there will be when the daemon starts, and this user's.
pub(super) type IsMade<'a> = dyn Fn(&Path) -> bool + 'a;

/// A place records can go to.
#[derive(Debug)]
pub(super) struct Destination {
    /// What it is called in metrics and messages.
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    pub(super) room: Room,
    /// Whether a token that must not be released without a record waits for this place.
    pub(super) required: bool,
    /// Opens it, where the settings ask for it.
    pub(super) open: fn(&Settings) -> Result<Option<OpenSink>, PrepareError>,
    /// Whether the settings ask for it. Says what `open` would, as far as that shows without making or writing anything.
    pub(super) look: fn(&Settings, &IsMade<'_>) -> Result<bool, PrepareError>,
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
    /// Writes records, and says by `done` how many, also when it fails.
    fn write(&mut self, records: &[Record], done: &mut usize) -> io::Result<()>;

    /// Makes what was written as durable as it gets.
    fn finish(&mut self);
}

/// Why records cannot go where the settings say.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The settings ask for what cannot be.
    #[error(
        "records are `required` below [audit], and there is neither a journal nor a `file` to write them to"
    )]
    Nowhere,
    /// A file cannot be opened or made.
    // Not `source`, which whoever shows the causes of an error would show once more.
    #[error("the audit file {}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

impl PrepareError {
    pub(super) fn of(file: &AuditFile, why: io::Error) -> Self {
        let path = file.path.clone();
        Self::File { path, why }
    }

    /// Whether the machine is short of something that passes, such as descriptors: nothing is wrong with the settings.
    pub fn is_shortage(&self) -> bool {
        matches!(self, Self::File { why, .. } if is_shortage(why))
    }
}
