//! The queues between those who record and those who write, one for each place records go to.
//!
//! Owns the numbers of records, the bounds, the count of what was lost, and the threads. A thread gathers for a moment and writes what
//! came in one go; one whose place takes nothing keeps what it has and tries again. Nobody who records waits for it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokend_config::{AuditEvent, AuditEvents};

use super::event::{Event, Record};
use super::{Count, SINKS};

/// How many records one place may be behind.
pub(super) const CAPACITY: usize = 16_384;
/// From this many on a thread gathers no longer.
const ENOUGH: usize = CAPACITY / 4;
/// How long a thread gathers, so that a burst of records is a few writes.
const GATHER: Duration = Duration::from_millis(50);
/// How long a thread rests before it tries again what failed.
const REST: Duration = Duration::from_secs(1);

/// A place records are written to.
pub(super) trait Sink: Send + std::fmt::Debug {
    /// Writes records, and says by `done` how many, also when it fails.
    fn write(&mut self, records: &[Record], done: &mut usize) -> io::Result<()>;

    /// Makes what was written as durable as it gets.
    fn finish(&mut self);
}

/// What is to become of a lane.
#[derive(Debug)]
pub(super) enum Change {
    /// It writes there from now on.
    To(Box<dyn Sink>),
    /// It writes nowhere.
    Off,
}

/// A record cannot be kept, and has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// What became of the records of one place.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) written: Count,
    pub(crate) lost: Count,
    failing: AtomicBool,
}

/// All queues.
#[derive(Debug)]
pub(super) struct Lanes {
    /// What is recorded at the moment, as bits; nothing while there is no place for it.
    wanted: AtomicU16,
    run: Arc<str>,
    state: Mutex<State>,
    work: [Condvar; 2],
    ended: Condvar,
    tallies: [Tally; 2],
}

#[derive(Debug, Default)]
struct State {
    seq: u64,
    required: bool,
    ending: bool,
    lanes: [Lane; 2],
}

#[derive(Debug, Default)]
struct Lane {
    on: bool,
    started: bool,
    ended: bool,
    queue: Vec<Record>,
    /// Records the thread has taken and not yet written.
    held: usize,
    /// Records that found no room, and are not yet told.
    lost: u64,
    failing: bool,
    change: Option<Change>,
    /// How many of the queue were told before the change.
    before: usize,
}

impl Lane {
    fn is_full(&self) -> bool {
        self.queue.len() + self.held >= CAPACITY
    }
}

impl Tally {
    /// Whether the place takes nothing at the moment.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

impl Lanes {
    pub(super) fn new(run: &str) -> Self {
        Self {
            wanted: AtomicU16::new(0),
            run: run.into(),
            state: Mutex::default(),
            work: [Condvar::new(), Condvar::new()],
            ended: Condvar::new(),
            tallies: Default::default(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != 0
    }

    pub(super) fn wants(&self, event: AuditEvent) -> bool {
        AuditEvents::from_bits(self.wanted.load(Ordering::Relaxed)).holds(event)
    }

    pub(super) fn tallies(&self) -> [&Tally; 2] {
        self.tallies.each_ref()
    }

    pub(super) fn may_release(&self) -> bool {
        let state = self.lock();
        !state.required
            || !state
                .lanes
                .iter()
                .any(|lane| lane.on && (lane.failing || lane.is_full()))
    }

    pub(super) fn push(&self, event: Event, wall_ms: i64, boot_ms: u64) -> Result<(), Refused> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let stuck = |lane: &Lane| lane.on && (lane.failing || lane.is_full());
        if state.required
            && event.kind == AuditEvent::Release
            && (state.ending || state.lanes.iter().any(stuck))
        {
            return Err(Refused);
        }
        state.seq += 1;
        let record = Record {
            run: Arc::clone(&self.run),
            seq: state.seq,
            wall_ms,
            boot_ms,
            event,
        };
        let mut wake = [false; 2];
        for ((lane, wake), tally) in state.lanes.iter_mut().zip(&mut wake).zip(&self.tallies) {
            if !lane.on {
                continue;
            }
            if lane.is_full() || lane.ended {
                lane.lost += 1;
                tally.lost.add(1);
                continue;
            }
            lane.queue.push(record.clone());
            *wake = matches!(lane.queue.len(), 1 | ENOUGH);
        }
        drop(guard);
        for (work, _) in self.work.iter().zip(wake).filter(|(_, wake)| *wake) {
            work.notify_one();
        }
        Ok(())
    }

    /// Has the lanes write elsewhere.
    pub(super) fn apply(
        self: &Arc<Self>,
        changes: [Change; 2],
        events: AuditEvents,
        required: bool,
    ) -> io::Result<()> {
        let mut guard = self.lock();
        let mut any = false;
        for (which, change) in changes.into_iter().enumerate() {
            let Some(lane) = guard.lanes.get_mut(which) else {
                continue;
            };
            let on = matches!(change, Change::To(_));
            any |= on;
            if !on && !lane.started {
                continue;
            }
            if !lane.started {
                let lanes = Arc::clone(self);
                let thread = std::thread::Builder::new()
                    .name(format!("audit-{}", SINKS.get(which).unwrap_or(&"")));
                drop(thread.spawn(move || Writer::new(lanes, which).run())?);
                lane.started = true;
            }
            lane.on = on;
            lane.before = lane.queue.len();
            lane.change = Some(change);
        }
        guard.required = required;
        let wanted = if any { events.bits() } else { 0 };
        self.wanted.store(wanted, Ordering::Relaxed);
        drop(guard);
        self.work.iter().for_each(Condvar::notify_one);
        Ok(())
    }

    /// Ends the threads once they have written what is queued. False when one has not within `patience`.
    pub(super) fn finish(&self, patience: Duration) -> bool {
        let mut guard = self.lock();
        guard.ending = true;
        self.work.iter().for_each(Condvar::notify_one);
        let busy = |state: &mut State| state.lanes.iter().any(|lane| lane.started && !lane.ended);
        let waited = self.ended.wait_timeout_while(guard, patience, busy);
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let complete =
            |lane: &Lane| !lane.started || (lane.ended && lane.held == 0 && lane.lost == 0);
        guard.lanes.iter().all(complete)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread of one lane.
struct Writer {
    lanes: Arc<Lanes>,
    which: usize,
    sink: Option<Box<dyn Sink>>,
    batch: Vec<Record>,
    failing: bool,
}

impl Writer {
    fn new(lanes: Arc<Lanes>, which: usize) -> Self {
        Self {
            lanes,
            which,
            sink: None,
            batch: Vec::new(),
            failing: false,
        }
    }

    fn run(mut self) {
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

    /// Waits for something to do, and for a moment longer, and takes all of it. True when it is the last time.
    fn gather(&mut self) -> bool {
        let lanes = Arc::clone(&self.lanes);
        let (Some(work), Some(tally)) = (lanes.work.get(self.which), lanes.tallies.get(self.which))
        else {
            return true;
        };
        let which = self.which;
        let urgent = |state: &State| {
            state.ending
                || state
                    .lanes
                    .get(which)
                    .is_none_or(|lane| lane.change.is_some() || lane.queue.len() >= ENOUGH)
        };
        let mut guard = lanes.lock();
        if self.failing {
            // What came meanwhile is no reason to try sooner.
            let resting = |state: &mut State| {
                !state.ending
                    && state
                        .lanes
                        .get(which)
                        .is_some_and(|lane| lane.change.is_none())
            };
            let waited = work.wait_timeout_while(guard, REST, resting);
            (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        } else {
            let idle = |state: &mut State| {
                let lane = state.lanes.get(which);
                lane.is_some_and(|lane| lane.queue.is_empty()) && !urgent(state)
            };
            guard = work
                .wait_while(guard, idle)
                .unwrap_or_else(PoisonError::into_inner);
            let waited = work.wait_timeout_while(guard, GATHER, |state| !urgent(state));
            (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let state = &mut *guard;
        let Some(lane) = state.lanes.get_mut(which) else {
            return true;
        };
        let change = lane.change.take();
        let before = self.batch.len() + lane.before;
        self.batch.append(&mut lane.queue);
        if lane.lost > 0
            && let Some(last) = self.batch.last()
        {
            // Behind everything that was kept: where the gap is, the numbers say.
            let mut event = Event::new(AuditEvent::Lost, "lost");
            event.lost = Some(lane.lost);
            lane.lost = 0;
            state.seq += 1;
            let record = Record {
                seq: state.seq,
                event,
                ..last.clone()
            };
            self.batch.push(record);
        }
        if !lane.on && change.is_some() {
            // Nobody wants them any more, and there is nowhere to write them.
            tally.failing.store(false, Ordering::Relaxed);
        }
        lane.held = self.batch.len();
        let ending = state.ending;
        drop(guard);
        match change {
            Some(Change::To(sink)) => {
                // What was told before the change goes where it would have gone, if that is still possible, and nothing else does.
                if self.sink.is_some() && !self.failing {
                    let after = self.batch.split_off(before.min(self.batch.len()));
                    self.write();
                    self.batch.extend(after);
                }
                if let Some(mut old) = self.sink.replace(sink) {
                    old.finish();
                }
            }
            Some(Change::Off) => {
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
        if let Some(tally) = self.lanes.tallies.get(self.which) {
            tally.written.add(done as u64);
        }
        self.settle(result.err());
    }

    /// Notes how it went. What is said of it is said once.
    fn settle(&mut self, error: Option<io::Error>) {
        let name = SINKS.get(self.which).unwrap_or(&"");
        match &error {
            Some(error) if !self.failing => tracing::error!(
                "audit records cannot be written to the {name}, and are kept until they can: {error}"
            ),
            None if self.failing => tracing::info!("audit records are written to the {name} again"),
            _ => {}
        }
        self.failing = error.is_some();
        if let Some(tally) = self.lanes.tallies.get(self.which) {
            tally.failing.store(self.failing, Ordering::Relaxed);
        }
        if let Some(lane) = self.lanes.lock().lanes.get_mut(self.which) {
            lane.held = self.batch.len();
            lane.failing = self.failing;
        }
    }

    fn end(&self) {
        if let Some(lane) = self.lanes.lock().lanes.get_mut(self.which) {
            lane.ended = true;
        }
        self.lanes.ended.notify_all();
    }
}
