//! Where log lines go and what they look like.
//!
//! Owns the `tracing` subscriber: one event, one line, on standard error. Must never let a value start a new line or pass for
//! another key, whatever a provider put into it. Format and level can change while the daemon runs.

mod line;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::IsTerminal as _;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use line::{Fields, Line, Look};

/// The environment variable that overrides the configured level.
pub(crate) const LEVEL_VARIABLE: &str = "TOKEND_LOG";

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// [`Format::Human`] on a terminal, [`Format::Journal`] otherwise.
    #[default]
    Auto,
    /// Time, level, message, values; colours on a terminal unless `$NO_COLOR` is set.
    Human,
    /// A priority in front as sd-daemon(3) has it, no time, as the journal keeps its own.
    Journal,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "journal" => Ok(Self::Journal),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

/// A level (`info`) or a list of directives (`info,tokend::driver=debug`), as tracing-subscriber's `EnvFilter` reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level(String);

/// A text that is neither a level nor a list of directives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no log level; use error, warn, info, debug, trace or off, or directives such as info,tokend=debug"
)]
pub(crate) struct BadLevel {
    text: String,
}

impl FromStr for Level {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, BadLevel> {
        let bad = || BadLevel {
            text: text.to_owned(),
        };
        // EnvFilter takes a bare word it does not know for the name of a module, so `inof` would silence the daemon.
        let known = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
        let directives = text.split(',').map(str::trim);
        if !directives
            .clone()
            .all(|word| known(word) || word.contains(['=', ':', '[']))
        {
            return Err(bad());
        }
        EnvFilter::try_new(text).map_err(|_| bad())?;
        Ok(Self(text.to_owned()))
    }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

impl Default for Level {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Level {
    /// The level asked for by `$TOKEND_LOG`, where it is set and not empty.
    ///
    /// # Errors
    ///
    /// When it is set to something that is no level.
    pub(crate) fn from_environment() -> Result<Option<Self>, BadLevel> {
        match std::env::var(LEVEL_VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse().map(Some),
            _ => Ok(None),
        }
    }

    fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

/// The handle on the running log.
#[derive(Debug, Clone)]
pub(crate) struct Logging {
    look: Arc<AtomicU8>,
    filter: reload::Handle<EnvFilter, Registry>,
    terminal: bool,
}

impl Logging {
    /// Starts logging to standard error for the whole process. Call once, before anything worth logging.
    ///
    /// Until the configuration is read this logs with `format` and `level` as the command line and the environment have them.
    pub(crate) fn start(format: Format, level: &Level) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let (subscriber, logging) = subscriber(format, level, terminal, std::io::stderr);
        // A second call changes nothing: the first subscriber stays.
        let _already_started = subscriber.try_init();
        logging
    }

    /// Changes format and level from the next event on.
    pub(crate) fn apply(&self, format: Format, level: &Level) {
        self.look
            .store(look(format, self.terminal) as u8, Ordering::Relaxed);
        // Fails only when the subscriber is gone, and then nobody logs.
        let _gone = self.filter.reload(level.filter());
    }
}

/// A subscriber that writes to `writer`, and its handle.
fn subscriber<W>(
    format: Format,
    level: &Level,
    terminal: bool,
    writer: W,
) -> (impl Subscriber + Send + Sync + use<W>, Logging)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let shared = Arc::new(AtomicU8::new(look(format, terminal) as u8));
    let (filter, handle) = reload::Layer::new(level.filter());
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .fmt_fields(Fields)
        .event_format(Line::new(Arc::clone(&shared)))
        .with_writer(writer);
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    (
        subscriber,
        Logging {
            look: shared,
            filter: handle,
            terminal,
        },
    )
}

fn look(format: Format, terminal: bool) -> Look {
    match format {
        Format::Auto if terminal => look(Format::Human, terminal),
        Format::Auto | Format::Journal => Look::Journal,
        Format::Human if terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) => {
            Look::HumanInColour
        }
        Format::Human => Look::Human,
        Format::Json => Look::Json,
    }
}
