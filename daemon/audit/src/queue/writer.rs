//! The thread of one queue: it gathers records for a moment and writes them together.
//!
//! Owns the records that were taken from the queue and are not yet written. A place that accepts nothing is retried each second; its error
//! is logged once.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokend_config::AuditEvent;

use super::{OpenSink, Place, Queues, SinkChange, State, Takes};
use crate::event::{Event, Record};
use crate::outcome::Outcome;

/// How long a thread gathers, so that a burst of records is a few writes.
const GATHER: Duration = Duration::from_millis(50);
/// How long an idle thread waits when nothing is due.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a thread pauses before it retries.
const REST: Duration = Duration::from_secs(1);

/// Writes the records of a queue until it ends.
pub(crate) fn run(queues: Arc<Queues>, which: usize) {
    Writer::new(queues, which).run();
}

/// The thread of one queue.
struct Writer {
    queues: Arc<Queues>,
    which: usize,
    sink: Option<OpenSink>,
    batch: Vec<Record>,
    failing: bool,
}

impl Writer {
    pub(super) fn new(queues: Arc<Queues>, which: usize) -> Self {
        Self {
            queues,
            which,
            sink: None,
            batch: Vec::new(),
            failing: false,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let ending = self.gather();
            self.write();
            if ending && (self.failing || self.batch.is_empty() || self.sink.is_none()) {
                if let Some(sink) = &mut self.sink {
                    sink.finish();
                }
                return self.end();
            }
        }
    }

    /// Waits for work, then a moment longer, and takes all of it. True at the last call.
    #[expect(
        clippy::too_many_lines,
        reason = "one wait and one taking under one lock; what follows a change needs all that was taken"
    )]
    fn gather(&mut self) -> bool {
        let queues = Arc::clone(&self.queues);
        let Some(Place {
            work,
            tally,
            destination,
        }) = queues.places.get(self.which)
        else {
            return true;
        };
        let which = self.which;
        let urgent = |state: &State| {
            state.ending
                || state.queues.get(which).is_none_or(|queue| {
                    queue.change.is_some() || queue.waiting.len() >= destination.room.enough()
                })
        };
        // The order matters: a count after this look wakes the thread again.
        if let Some(queue) = queues.lock().queues.get_mut(which) {
            queue.nudged = false;
        }
        let next = queues.repeats().next();
        let due = next.map_or(LONG, |at| {
            Duration::from_millis(at.saturating_sub(queues.clock.boot_ms()))
        });
        let mut guard = queues.lock();
        if self.failing {
            // Records that arrived meanwhile do not shorten the pause.
            let resting = |state: &mut State| {
                !state.ending
                    && state
                        .queues
                        .get(which)
                        .is_some_and(|queue| queue.change.is_none())
            };
            let waited = work.wait_timeout_while(guard, REST, resting);
            (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        } else {
            let idle = |state: &mut State| {
                let queue = state.queues.get(which);
                queue.is_some_and(|queue| queue.waiting.is_empty() && !queue.nudged)
                    && !urgent(state)
            };
            let waited = work.wait_timeout_while(guard, due, idle);
            (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let waited = work.wait_timeout_while(guard, GATHER, |state| !urgent(state));
            (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let state = &mut *guard;
        let wake = queues.count_up(state, false);
        let Some(queue) = state.queues.get_mut(which) else {
            return true;
        };
        let change = queue.change.take();
        let before = self.batch.len() + queue.before;
        self.batch.append(&mut queue.waiting);
        queue.denials = 0;
        if queue.lost > 0 && !self.batch.is_empty() {
            // Behind all records that were kept: the sequence numbers say where the gap is.
            let mut event = Event::new(AuditEvent::Lost, Outcome::Lost);
            event.lost = Some(queue.lost);
            queue.lost = 0;
            let series = match destination.takes {
                Takes::Denials => &mut state.of_denials,
                Takes::All | Takes::AllButDenials => &mut state.series,
            };
            self.batch.push(series.record(event, &queues.clock));
        }
        if !queue.on && change.is_some() {
            // The records are no longer wanted, and no place is left to write them to.
            tally.set_failing(false);
        }
        queue.hold(&self.batch);
        let ending = state.ending;
        drop(guard);
        queues.wake(wake);
        match change {
            Some(SinkChange::To(sink)) => {
                // Records from before the change go to the old place if that still works, and nothing else goes there.
                if self.sink.is_some() && !self.failing {
                    let after = self.batch.split_off(before.min(self.batch.len()));
                    self.write();
                    self.batch.extend(after);
                }
                if let Some(mut old) = self.sink.replace(sink) {
                    old.finish();
                }
            }
            Some(SinkChange::Off) => {
                self.write();
                if let Some(mut old) = self.sink.take() {
                    old.finish();
                }
                tally.lost.add(self.batch.len() as u64);
                self.batch.clear();
                self.settle(None);
            }
            None => {}
        }
        ending
    }

    fn write(&mut self) {
        let (Some(sink), false) = (&mut self.sink, self.batch.is_empty()) else {
            return;
        };
        let mut done = 0;
        let result = sink.write(&self.batch, &mut done);
        self.batch.drain(..done.min(self.batch.len()));
        if let Some(place) = self.queues.places.get(self.which) {
            place.tally.written.add(done as u64);
        }
        self.settle(result.err());
    }

    /// Notes whether the write succeeded. Each error is logged once.
    fn settle(&mut self, error: Option<io::Error>) {
        let Some(Place {
            destination, tally, ..
        }) = self.queues.places.get(self.which)
        else {
            return;
        };
        let name = destination.name;
        match &error {
            Some(error) if !self.failing => tracing::error!(
                "audit records cannot be written to the {name}, and are kept until they can: {error}"
            ),
            None if self.failing => tracing::info!("audit records are written to the {name} again"),
            _ => {}
        }
        self.failing = error.is_some();
        tally.set_failing(self.failing);
        if let Some(queue) = self.queues.lock().queues.get_mut(self.which) {
            queue.hold(&self.batch);
            queue.failing = self.failing;
        }
    }

    fn end(&self) {
        if let Some(queue) = self.queues.lock().queues.get_mut(self.which) {
            queue.ended = true;
        }
        self.queues.ended.notify_all();
    }
}
