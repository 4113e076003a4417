//! The thread of one queue: it gathers records for a moment and writes them together.
//!
//! Owns the records that were taken from the queue and are not yet written. A place that accepts nothing is retried each second; its error
//! is logged once.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokend_config::AuditEvent;

use super::{OpenSink, Place, Queue, Queues, SinkChange, State};
use crate::destination::Takes;
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
    let writer = Writer {
        queues,
        which,
        sink: None,
        batch: Vec::new(),
        failing: false,
    };
    writer.run();
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
    fn run(mut self) {
        loop {
            let ending = self.gather();
            self.write();
            if ending && (self.failing || self.batch.is_empty() || self.sink.is_none()) {
                if let Some(sink) = &mut self.sink {
                    sink.finish();
                }
                self.queues.lock().queue(self.which).ended = true;
                return self.queues.ended.notify_all();
            }
        }
    }

    /// Waits for work, and then a moment longer.
    fn wait<'q>(&self, queues: &'q Queues) -> MutexGuard<'q, State> {
        let which = self.which;
        let Place {
            destination, work, ..
        } = queues.place(which);
        // The order matters: a count that is noted after this wakes the thread again.
        queues.lock().queue(which).nudged = false;
        let next = queues.repeats().next();
        let due = next.map_or(LONG, |at| {
            Duration::from_millis(at.saturating_sub(queues.clock.boot_ms()))
        });
        let wait = |state, limit, may_wait: &dyn Fn(&Queue) -> bool| {
            let waits = |state: &mut State| {
                let (ending, queue) = (state.ending, state.queue(which));
                !ending && queue.change.is_none() && may_wait(queue)
            };
            let waited = work.wait_timeout_while(state, limit, waits);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        if self.failing {
            // Records that arrived meanwhile do not shorten the pause.
            return wait(queues.lock(), REST, &|_| true);
        }
        let is_idle = |queue: &Queue| queue.waiting.is_empty() && !queue.nudged;
        let has_room = |queue: &Queue| queue.waiting.len() < destination.room.enough();
        wait(wait(queues.lock(), due, &is_idle), GATHER, &has_room)
    }

    /// Waits for work, and takes all of it. True at the last call.
    fn gather(&mut self) -> bool {
        let (queues, which) = (Arc::clone(&self.queues), self.which);
        let mut guard = self.wait(&queues);
        let state = &mut *guard;
        let wake = queues.count_up(state, false);
        let queue = state.queue(which);
        let change = queue.change.take();
        let before = self.batch.len() + queue.before;
        self.batch.append(&mut queue.waiting);
        queue.denials = 0;
        if queue.lost > 0 && !self.batch.is_empty() {
            // Behind all records that were kept: the sequence numbers say where the gap is.
            let mut event = Event::new(AuditEvent::Lost, Outcome::Lost);
            event.lost = Some(std::mem::take(&mut queue.lost));
            let of_denials = queues.place(which).destination.takes == Takes::Denials;
            let record = state.series(of_denials).record(event, &queues.clock);
            self.batch.push(record);
        }
        let queue = state.queue(which);
        if !queue.on && change.is_some() {
            // The records are no longer wanted, and no place is left to write them to.
            queues.place(which).tally.set_failing(false);
        }
        queue.hold(&self.batch);
        let ending = state.ending;
        drop(guard);
        queues.wake(wake);
        if let Some(change) = change {
            self.change(change, before);
        }
        ending
    }

    /// Writes to another place from now on, or to none. The first `before` records were taken before the change.
    fn change(&mut self, change: SinkChange, before: usize) {
        let old = match change {
            SinkChange::To(sink) => {
                // Records from before the change go to the old place if that still works, and nothing else goes there.
                if self.sink.is_some() && !self.failing {
                    let after = self.batch.split_off(before.min(self.batch.len()));
                    self.write();
                    self.batch.extend(after);
                }
                self.sink.replace(sink)
            }
            SinkChange::Off => {
                self.write();
                self.sink.take()
            }
        };
        if let Some(mut old) = old {
            old.finish();
        }
        if self.sink.is_none() {
            let lost = self.batch.drain(..).count();
            self.queues.place(self.which).tally.lost.add(lost as u64);
            self.settle(None);
        }
    }

    fn write(&mut self) {
        let (Some(sink), false) = (&mut self.sink, self.batch.is_empty()) else {
            return;
        };
        let mut done = 0;
        let result = sink.write(&self.batch, &mut done);
        self.batch.drain(..done.min(self.batch.len()));
        let tally = &self.queues.place(self.which).tally;
        tally.written.add(done as u64);
        self.settle(result.err());
    }

    /// Notes whether the write succeeded. Each error is logged once.
    fn settle(&mut self, error: Option<io::Error>) {
        let Place {
            destination, tally, ..
        } = self.queues.place(self.which);
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
        let mut state = self.queues.lock();
        let queue = state.queue(self.which);
        queue.hold(&self.batch);
        queue.failing = self.failing;
    }
}
