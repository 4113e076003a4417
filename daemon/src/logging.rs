//! Where log lines go and what they look like.
//!
//! Owns the `tracing` subscriber: one event, one line, on standard error. Must never let a value start a new line or pass for
//! another key, whatever a provider put into it. Format and level can change while the daemon runs.

mod line;
#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokend_config::{Format, Level};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::panics;

use line::{Fields, Line, Look};

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
        panics::withhold(|panic| {
            tracing::error!("a part of tokend panicked; please report this: {panic}");
        });
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
