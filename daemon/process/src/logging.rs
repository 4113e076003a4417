//! Where log lines go and what they look like.
//!
//! Owns the `tracing` subscriber: one event, one line, on standard error. Must never let a value start a new
//! line or pass for another key, even if a provider chose it, and must never make a caller wait for the reader
//! of the lines. Format and level can change while the daemon runs.

mod line;
mod queue;
mod rate_limit;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokend_config::{Format, Level};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::clock::Clock;
use crate::panics;

pub use rate_limit::ACCEPTING;

use line::{Fields, Line, Style};
use queue::{LogNotices, Queue, Why, Writer};
use rate_limit::RateLimit;

/// How long the end of the process waits for the last lines to be read.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the thread that writes waits before it looks again at a standard error that takes nothing.
const AGAIN: rustix::event::Timespec = rustix::event::Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// The handle on the running log.
#[derive(Debug, Clone)]
pub struct Logging {
    style: Arc<Mutex<Style>>,
    filter: reload::Handle<EnvFilter, Registry>,
    destination: Destination,
    lines: Lines,
    writing: Arc<Mutex<bool>>,
}

/// How many lines were dropped or counted so far. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lines {
    queue: Queue,
    rate_limit: RateLimit,
}

/// Writes the last lines when it is dropped, however that comes about.
#[derive(Debug)]
pub struct LastLines(Logging);

impl Logging {
    /// Starts logging to standard error for the whole process. Call once, before anything worth logging.
    ///
    /// Until the configuration is read this logs with `format` and `level` as the command line and the environment have them. Lines
    /// are written once [`Logging::write`] was called, or at the end.
    pub fn start(format: Format, level: &Level) -> Self {
        let destination = Destination::of_standard_error();
        let lines = Lines::new(Clock::system());
        let writer = lines.queue.clone();
        let (subscriber, logging) = subscriber(format, level, destination, lines, writer);
        // A second call changes nothing: the first subscriber stays.
        let _already_started = subscriber.try_init();
        logging
    }

    /// From now on panics of this process are lines of the log, without their messages. Not called by tests,
    /// which share their process with others.
    pub fn take_panics(&self) {
        panics::withhold(|panic| {
            tracing::error!("a part of tokend panicked; please report this: {panic}");
        });
    }

    /// Starts the thread that writes. Call it after the process has given up its privileges: a thread keeps
    /// those it began with.
    pub fn write(&self) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if *writing {
            return;
        }
        let writer = Writer::new(self.lines.queue.clone(), write, self.lines.clone());
        let thread = std::thread::Builder::new().name("log".to_owned());
        // If this thread cannot start, no other thread can either; the exit code at least says so.
        *writing = thread.spawn(move || writer.run()).is_ok();
    }

    /// What becomes of lines.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Has the last lines written when what this gives is dropped.
    pub fn last_lines(&self) -> LastLines {
        LastLines(self.clone())
    }

    /// Where text that is no event is written, in turn with the lines.
    pub fn plain(&self) -> impl Write + '_ {
        self.lines.queue.make_writer()
    }

    /// Changes format and level from the next event on.
    pub fn apply(&self, format: Format, level: &Level) {
        *self.style.lock().unwrap_or_else(PoisonError::into_inner) =
            style(format, self.destination);
        // Fails only when the subscriber is gone, and then nobody logs.
        let _gone = self.filter.reload(level.filter());
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        self.0.write();
        // A reader that reads nothing for so long does not get the last lines.
        let _unread = self.0.lines.queue.finish(PATIENCE);
    }
}

impl Lines {
    fn new(clock: Clock) -> Self {
        let queue = Queue::default();
        Self {
            rate_limit: RateLimit::new(clock, queue.clone()),
            queue,
        }
    }

    /// How many were dropped because they could not be written, or not soon enough.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// How many were counted instead of being written, because there were too many like them.
    pub fn counted(&self) -> u64 {
        self.rate_limit.counted()
    }
}

impl LogNotices for Lines {
    fn dropped(&self, lines: u64, why: &Why) {
        match why {
            Why::Unread => tracing::warn!(
                "the log was not read: {lines} log lines were dropped because the reader of standard error did not keep up"
            ),
            Why::Failed(error) => tracing::warn!(
                "the log could not be written: {lines} log lines were dropped: {error}"
            ),
        }
    }

    fn due(&self, last: bool) -> Option<Duration> {
        self.rate_limit.report(last)
    }
}

/// Writes to standard error, and waits until it takes something. It bypasses the lock of the standard library,
/// so that no other thread finds the lock held by one that waits for a reader.
fn write(text: &[u8]) -> io::Result<usize> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    let standard_error = io::stderr();
    loop {
        match rustix::io::write(&standard_error, text) {
            Err(Errno::INTR) => {}
            // Another process that shares this descriptor made it non-blocking.
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(&standard_error, PollFlags::OUT)];
                let _tried_again = poll(&mut fds, Some(&AGAIN));
            }
            done => return Ok(done?),
        }
    }
}

/// A subscriber that writes to `writer`, and its handle.
fn subscriber<W>(
    format: Format,
    level: &Level,
    destination: Destination,
    lines: Lines,
    writer: W,
) -> (impl Subscriber + Send + Sync + use<W>, Logging)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let shared = Arc::new(Mutex::new(style(format, destination)));
    let (filter, handle) = reload::Layer::new(level.filter());
    let written = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .fmt_fields(Fields)
        .event_format(Line(Arc::clone(&shared)))
        .with_writer(writer);
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(lines.rate_limit.clone())
        .with(written);
    (
        subscriber,
        Logging {
            style: shared,
            filter: handle,
            destination,
            lines,
            writing: Arc::default(),
        },
    )
}

/// What standard error is, as far as lines look by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Destination {
    Terminal,
    Journal,
    /// A file, or a pipe to something that is not the journal.
    Elsewhere,
}

impl Destination {
    fn of_standard_error() -> Self {
        let standard_error = io::stderr();
        match std::env::var("JOURNAL_STREAM") {
            _ if standard_error.is_terminal() => Self::Terminal,
            Ok(named) if is_stream(&standard_error, &named) => Self::Journal,
            _ => Self::Elsewhere,
        }
    }
}

/// Whether this is what systemd connected to the journal, by the numbers of device and inode in `$JOURNAL_STREAM`: a process that inherits
/// the variable may have been given another standard error.
fn is_stream(file: impl AsFd, named: &str) -> bool {
    rustix::fs::fstat(file).is_ok_and(|own| format!("{}:{}", own.st_dev, own.st_ino) == named)
}

fn style(format: Format, destination: Destination) -> Style {
    let coloured = || std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    match (format, destination) {
        (Format::Journal, _) | (Format::Auto, Destination::Journal) => Style::Journal,
        (Format::Human | Format::Auto, Destination::Terminal) if coloured() => Style::HumanInColour,
        (Format::Human | Format::Auto, _) => Style::Human,
        (Format::Json, _) => Style::Json,
    }
}
