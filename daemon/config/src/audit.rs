//! `[audit]`: where records of releases, denials, attempts and administrative acts go.
//!
//! Owns the settings, their defaults and bounds, and the names of the events. Opens nothing: an unwritable file is reported when the
//! configuration is applied.

use std::path::PathBuf;

use tokend_document::{Diagnostics, Section, Value, choose_from};

use super::reading::Reading;

/// What is recorded, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Whether records go to the journal; `None` decides by whether systemd started the daemon.
    pub journal: Option<bool>,
    /// The file records go to.
    pub file: Option<AuditFile>,
    /// What is recorded.
    pub events: AuditEvents,
    /// Whether a token is released only while its release can be recorded.
    pub required: bool,
}

/// A file of records, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFile {
    /// Where it is.
    pub path: PathBuf,
    /// Permission bits of a new file.
    pub mode: u32,
    /// The size in bytes at which the file is renamed and a new one is started.
    pub max_size: u64,
    /// How many renamed files are kept.
    pub keep: u32,
}

/// Something that can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditEvent {
    /// A token was handed out.
    Release,
    /// A peer's request was denied.
    Denial,
    /// A peer with permission to get a token got none.
    Failure,
    /// A request was sent to a provider, or was about to be.
    Attempt,
    /// A peer with permission to reject tokens, but not to get them, rejected one.
    Reject,
    /// A person asked for a new token.
    Refresh,
    /// A person entered a credential.
    Login,
    /// A person made the daemon forget an account.
    Forget,
    /// A reload of the configuration was requested.
    Reload,
    /// The daemon started to serve.
    Start,
    /// The daemon ended.
    Stop,
    /// Records were lost. Always recorded.
    Lost,
}

/// A set of [`AuditEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEvents(u16);

/// The events that a configuration can name. Lost records are not among them, since they are always recorded.
const NAMED: [AuditEvent; 11] = [
    AuditEvent::Release,
    AuditEvent::Denial,
    AuditEvent::Failure,
    AuditEvent::Attempt,
    AuditEvent::Reject,
    AuditEvent::Refresh,
    AuditEvent::Login,
    AuditEvent::Forget,
    AuditEvent::Reload,
    AuditEvent::Start,
    AuditEvent::Stop,
];

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Room for about 50,000 releases.
const MAX_SIZE: usize = 16 * MIB;
const KEEP: u32 = 8;

impl AuditEvent {
    /// Its stable name, in records and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Denial => "denial",
            Self::Failure => "failure",
            Self::Attempt => "attempt",
            Self::Reject => "reject",
            Self::Refresh => "refresh",
            Self::Login => "login",
            Self::Forget => "forget",
            Self::Reload => "reload",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Lost => "lost",
        }
    }
}

impl AuditEvents {
    /// Everything.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether the set contains `event`.
    pub fn holds(self, event: AuditEvent) -> bool {
        self.0 & Self::bit(event) != 0
    }

    /// The set as bits, so that a caller can keep it in an atomic number.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// The set from the result of [`Self::bits`].
    pub fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    fn bit(event: AuditEvent) -> u16 {
        1 << event as u16
    }
}

impl FromIterator<AuditEvent> for AuditEvents {
    fn from_iter<I: IntoIterator<Item = AuditEvent>>(events: I) -> Self {
        let lost = Self::bit(AuditEvent::Lost);
        Self(
            events
                .into_iter()
                .fold(lost, |all, event| all | Self::bit(event)),
        )
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            journal: None,
            file: None,
            events: AuditEvents::ALL,
            required: false,
        }
    }
}

impl Audit {
    /// Reads `[audit]`, if it is there.
    pub(super) fn read(root: &mut Section<'_>, reading: &mut Reading<'_>) -> Self {
        let Reading {
            base, diagnostics, ..
        } = reading;
        let default = Self::default();
        let Some(mut section) = root.section("audit", diagnostics) else {
            return default;
        };
        let journal = section.read("journal", diagnostics, Value::boolean);
        let path = section.take("file");
        let path = path.and_then(|value| value.path(base, diagnostics));
        let words = [("0600", 0o600), ("0640", 0o640)];
        let mode = section.take("file_mode");
        let mode = mode.and_then(|value| value.word(&words, diagnostics));
        let max_size = section.take("max_size");
        let max_size = max_size.and_then(|it| it.size(64 * KIB..=1024 * MIB, diagnostics));
        let keep = section.take("keep");
        let keep = keep.and_then(|value| value.integer(0..=1000, diagnostics));
        let named = section.read("events", diagnostics, events);
        let required = section.read("required", diagnostics, Value::boolean);
        let of_a_file = [
            ("file_mode", mode.is_some()),
            ("max_size", max_size.is_some()),
            ("keep", keep.is_some()),
        ];
        for (key, is_set) in of_a_file {
            if is_set && !section.has("file") {
                let message = format!("`{key}` is about a file, and there is none");
                let help = "add `file`: where records go".to_owned();
                section.note_key(key, diagnostics, message, help);
            }
        }
        if required == Some(true) && journal == Some(false) && !section.has("file") {
            let message = "records are required, and go nowhere";
            let help = "add `file`, or take `journal = false` away".to_owned();
            section.note_key("required", diagnostics, message, help);
        }
        section.finish(diagnostics);
        Self {
            journal,
            file: path.map(|path| AuditFile {
                path,
                mode: mode.unwrap_or(0o600),
                max_size: max_size.unwrap_or(MAX_SIZE) as u64,
                keep: keep.unwrap_or(KEEP),
            }),
            events: named.unwrap_or(default.events),
            required: required.unwrap_or(default.required),
        }
    }
}

fn events(value: Value<'_>, diagnostics: &mut Diagnostics) -> Option<AuditEvents> {
    let before = diagnostics.count();
    let named: Vec<_> = value
        .array(diagnostics)?
        .filter_map(|value| {
            let name = value.text(diagnostics)?;
            let event = NAMED.into_iter().find(|event| event.as_str() == name);
            event.or_else(|| {
                let valid: Vec<_> = NAMED.iter().map(|event| event.as_str()).collect();
                let message = format!("`{name}` is nothing that is recorded");
                value.wrong(diagnostics, message, choose_from(name, &valid))
            })
        })
        .collect();
    (diagnostics.count() == before).then(|| named.into_iter().collect())
}
