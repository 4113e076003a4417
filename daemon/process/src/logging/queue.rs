//! The queue of lines between the code that logs and the reader of standard error.
//!
//! Owns the bound, the count of what found no room, and the thread that writes. Code that logs never waits for
//! a reader, a stopped terminal or a disk: a line that finds no room is counted, and the count is logged as
//! soon as a line can be written again.

use std::cell::RefCell;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines wait at most: some ten thousand lines.
pub(super) const ROOM: usize = 1 << 20;
/// How many more may wait that say what went wrong, so that a flood of others does not take their room.
pub(super) const FOR_ERRORS: usize = 64 << 10;
/// How much is written at once. A write no longer than this reaches a pipe whole, even if others write to the
/// pipe (`PIPE_BUF`).
const AT_ONCE: usize = 4096;
/// How long the thread rests before it tries again to tell what was dropped.
const REST: Duration = Duration::from_secs(1);

thread_local! {
    /// What this thread logs goes here instead, while it is asked what a line looks like.
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Lines that wait to be written. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Queue(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    work: Condvar,
    idle: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// The lines that the thread has taken and not yet written.
    held: usize,
    /// Lines that were dropped, and not yet told.
    unreported: u64,
    why: Option<Why>,
    /// The time of the next report was set or changed.
    nudged: bool,
    ending: bool,
    ended: bool,
}

/// Why lines were dropped.
#[derive(Debug, Clone)]
pub(super) enum Why {
    /// There was no room for them.
    Unread,
    /// They could not be written.
    Failed(Arc<str>),
}

/// Tells, by logging it, what else there is to be said, and says when to be asked again.
pub(super) trait LogNotices {
    /// So many lines were dropped.
    fn dropped(&self, lines: u64, why: &Why);

    /// Whatever is due by now; everything, when it is the last time.
    fn due(&self, last: bool) -> Option<Duration>;
}

impl Queue {
    /// Adds a line, or counts it as dropped.
    fn push(&self, level: Level, line: &[u8]) {
        let mut state = self.lock();
        let room = match level {
            Level::ERROR => ROOM + FOR_ERRORS,
            _ => ROOM,
        };
        if state.bytes.len() + state.held + line.len() > room {
            state.unreported += 1;
            state.why = Some(Why::Unread);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let first = state.bytes.is_empty();
        state.bytes.extend_from_slice(line);
        drop(state);
        if first {
            self.0.work.notify_one();
        }
    }

    /// How many lines were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Has the thread ask again when something is due.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        self.0.work.notify_one();
    }

    /// Waits until everything is written. False when it is not within `patience`.
    pub(super) fn finish(&self, patience: Duration) -> bool {
        let mut state = self.lock();
        state.ending = true;
        state.ended = false;
        self.0.work.notify_one();
        let waited = self
            .0
            .idle
            .wait_timeout_while(state, patience, |state| !state.ended);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines of one level on their way into the queue.
#[derive(Debug)]
pub(crate) struct LineWriter<'q> {
    queue: &'q Queue,
    level: Level,
}

impl<'q> MakeWriter<'q> for Queue {
    type Writer = LineWriter<'q>;

    fn make_writer(&'q self) -> LineWriter<'q> {
        LineWriter {
            queue: self,
            level: Level::ERROR,
        }
    }

    fn make_writer_for(&'q self, event: &Metadata<'_>) -> LineWriter<'q> {
        LineWriter {
            queue: self,
            level: *event.level(),
        }
    }
}

impl io::Write for LineWriter<'_> {
    /// Takes whole lines.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let captured = CAPTURED.with_borrow_mut(|captured| match captured {
            Some(captured) => {
                captured.extend_from_slice(text);
                true
            }
            None => false,
        });
        if !captured {
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                self.queue.push(self.level, line);
            }
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `log` logs, as it would be written.
fn captured(log: impl FnOnce()) -> Vec<u8> {
    CAPTURED.set(Some(Vec::new()));
    log();
    CAPTURED.take().unwrap_or_default()
}

/// The thread that writes, with where it writes to.
pub(super) struct Writer<W, T> {
    queue: Queue,
    write: W,
    notices: T,
    /// The last thing that was written is half a line.
    torn: bool,
    /// When something is due that nobody logs.
    due: Option<Duration>,
}

impl<W, T> Writer<W, T>
where
    W: FnMut(&[u8]) -> io::Result<usize>,
    T: LogNotices,
{
    pub(super) fn new(queue: Queue, write: W, notices: T) -> Self {
        Self {
            queue,
            write,
            notices,
            torn: false,
            due: None,
        }
    }

    /// Writes for as long as the process lasts.
    pub(super) fn run(mut self) {
        loop {
            self.wait();
            self.turn();
        }
    }

    /// Waits for something to do.
    fn wait(&self) {
        let state = self.queue.lock();
        let idle = |state: &mut State| {
            state.bytes.is_empty() && !state.nudged && (!state.ending || state.ended)
        };
        let rest = (state.unreported > 0).then_some(REST);
        let work = &self.queue.0.work;
        match [rest, self.due].into_iter().flatten().min() {
            Some(limit) => drop(work.wait_timeout_while(state, limit, idle)),
            None => drop(work.wait_while(state, idle)),
        }
    }

    /// Writes what there is, and says what else there is to be said.
    pub(super) fn turn(&mut self) {
        let mut state = self.queue.lock();
        let lines = mem::take(&mut state.bytes);
        state.held = lines.len();
        state.nudged = false;
        let ending = state.ending;
        let (unreported, why) = (state.unreported, state.why.clone());
        drop(state);
        self.lines(&lines);
        self.queue.lock().held = 0;
        if let (1.., Some(why)) = (unreported, why) {
            // Behind what was there before them.
            let line = captured(|| self.notices.dropped(unreported, &why));
            if self.whole(&line).is_ok() {
                self.queue.lock().unreported -= unreported;
            }
        }
        let mut due = None;
        let notices = captured(|| due = self.notices.due(ending));
        self.due = due;
        self.lines(&notices);
        let mut state = self.queue.lock();
        if ending && state.bytes.is_empty() {
            state.ended = true;
            self.queue.0.idle.notify_all();
        }
    }

    /// Writes lines, and counts those that cannot be.
    fn lines(&mut self, mut lines: &[u8]) {
        while !lines.is_empty() {
            let end = match lines.get(..AT_ONCE) {
                // As many whole lines as fit, or one that is too long.
                Some(most) => line_end(most)
                    .or_else(|| {
                        lines
                            .iter()
                            .position(|byte| *byte == b'\n')
                            .map(|at| at + 1)
                    })
                    .unwrap_or(lines.len()),
                None => lines.len(),
            };
            let (now, later) = lines.split_at(end);
            lines = later;
            if let Err((error, written)) = self.whole(now) {
                let rest = now.get(written..).unwrap_or_default();
                let count = rest.iter().filter(|byte| **byte == b'\n').count() as u64;
                let mut state = self.queue.lock();
                state.unreported += count;
                state.why = Some(Why::Failed(error.to_string().into()));
                self.queue.0.dropped.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Writes all of `lines`, or says how much was.
    fn whole(&mut self, lines: &[u8]) -> Result<(), (io::Error, usize)> {
        if self.torn && !lines.is_empty() {
            (self.write)(b"\n").map_err(|error| (error, 0))?;
            self.torn = false;
        }
        let mut at = 0;
        while let Some(rest @ [_, ..]) = lines.get(at..) {
            match (self.write)(rest) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), at)),
                Ok(count) => {
                    at += count;
                    self.torn = lines.get(at.wrapping_sub(1)) != Some(&b'\n');
                }
                Err(error) => return Err((error, at)),
            }
        }
        Ok(())
    }
}

fn line_end(text: &[u8]) -> Option<usize> {
    text.iter()
        .rposition(|byte| *byte == b'\n')
        .map(|at| at + 1)
}

#[cfg(test)]
mod tests;
