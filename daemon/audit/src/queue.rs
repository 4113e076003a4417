//! The queues between the callers that record and the threads that write, one for each place.
//!
//! Owns the sequence numbers of records, the bounds, the count of lost records, and the threads. A thread gathers records for a moment and
//! writes them together. If its place accepts nothing, the thread keeps its records and retries. A caller never waits for a thread.

pub(super) mod writer;

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tokend_config::{AuditEvent, AuditEvents};

use super::destination::{Destination, OpenSink, Room};
use super::event::{Event, Record};
use super::repeats::{Repeats, Seen};
use super::tally::Tally;
use tokend_process::clock::Clock;

/// A change of a queue.
#[derive(Debug)]
pub(super) enum SinkChange {
    /// The queue writes to this place from now on.
    To(OpenSink),
    /// The queue writes nowhere.
    Off,
}

/// A required record cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// All queues.
#[derive(Debug)]
pub(super) struct Queues {
    /// The kinds that are recorded at the moment, as bits; none while no place takes them.
    wanted: AtomicU16,
    clock: Clock,
    state: Mutex<State>,
    /// Has its own lock, apart from the state that releases take: endless denials of one peer do not hold that lock. A thread that holds
    /// this lock never waits for the state's.
    repeats: Mutex<Repeats>,
    /// The places for records; each has the queue of the same number.
    places: Vec<Place>,
    ended: Condvar,
}

/// A place, with everything that callers and its thread share without the lock.
#[derive(Debug)]
struct Place {
    destination: &'static Destination,
    work: Condvar,
    tally: Tally,
}

/// The threads that have to be woken, as bits: recording a release should not allocate.
#[derive(Debug, Default, Clone, Copy)]
struct Wake(u32);

#[derive(Debug)]
struct State {
    /// The sequence numbers of all records except denials, and those of denials. Each sequence has its own name, so that a gap means a
    /// lost record.
    series: Series,
    of_denials: Series,
    required: bool,
    ending: bool,
    queues: Vec<Queue>,
}

/// A run of numbers without a gap.
#[derive(Debug)]
struct Series {
    run: Arc<str>,
    seq: u64,
}

impl Series {
    fn new(run: String) -> Self {
        Self {
            run: run.into(),
            seq: 0,
        }
    }

    fn record(&mut self, event: Event, clock: &Clock) -> Record {
        self.seq += 1;
        Record {
            run: Arc::clone(&self.run),
            seq: self.seq,
            wall_ms: clock.wall_ms(),
            boot_ms: clock.boot_ms(),
            event,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    on: bool,
    started: bool,
    ended: bool,
    waiting: Vec<Record>,
    /// How many records of the queue are denials.
    denials: usize,
    /// Records that the thread has taken and not yet written.
    held: usize,
    /// How many of those are denials.
    denials_held: usize,
    /// A record is due at some time, and the thread has not heard of it.
    nudged: bool,
    /// Records that found no room and are not reported yet.
    lost: u64,
    failing: bool,
    change: Option<SinkChange>,
    /// How many records of the queue came before the change.
    before: usize,
}

impl Queue {
    fn is_full(&self, room: Room) -> bool {
        let denials = self.denials + self.denials_held;
        self.waiting.len() + self.held >= room.records + denials
    }

    /// Whether there is no room for a record of this kind.
    fn is_full_of(&self, kind: AuditEvent, room: Room) -> bool {
        match kind {
            AuditEvent::Denial => self.denials + self.denials_held >= room.denials,
            _ => self.is_full(room),
        }
    }

    fn hold(&mut self, batch: &[Record]) {
        self.held = batch.len();
        self.denials_held = batch.iter().filter(|record| is_denial(record)).count();
    }
}

impl Wake {
    const ALL: Self = Self(u32::MAX);

    fn add(&mut self, which: usize) {
        self.0 |= 1 << which;
    }

    fn has(self, which: usize) -> bool {
        self.0 & (1 << which) != 0
    }
}

impl Queues {
    /// Queues for these places, at most thirty-two. All of them are off.
    pub(super) fn new(
        run: &str,
        clock: Clock,
        destinations: impl IntoIterator<Item = &'static Destination>,
    ) -> Self {
        let place = |destination| Place {
            destination,
            work: Condvar::new(),
            tally: Tally::default(),
        };
        let places: Vec<_> = destinations.into_iter().map(place).collect();
        let queues = places.iter().map(|_| Queue::default());
        Self {
            wanted: AtomicU16::new(0),
            clock,
            state: Mutex::new(State {
                series: Series::new(run.to_owned()),
                of_denials: Series::new(format!("{run}-denied")),
                required: false,
                ending: false,
                queues: queues.collect(),
            }),
            repeats: Mutex::default(),
            places,
            ended: Condvar::new(),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != 0
    }

    pub(super) fn wants(&self, event: AuditEvent) -> bool {
        AuditEvents::from_bits(self.wanted.load(Ordering::Relaxed)).holds(event)
    }

    /// The counts of written and lost records of each place, by its name.
    pub(super) fn tallies(&self) -> impl Iterator<Item = (&'static str, &Tally)> {
        let places = self.places.iter();
        places.map(|place| (place.destination.name, &place.tally))
    }

    pub(super) fn may_release(&self) -> bool {
        let state = self.lock();
        !state.required || !self.is_stuck(&state)
    }

    pub(super) fn push(&self, event: Event) -> Result<(), Refused> {
        let seen = match Repeats::are_of(event.kind) {
            true => self.repeats().see(event, self.clock.boot_ms()),
            false => Seen::First(event),
        };
        let event = match seen {
            Seen::First(event) => event,
            Seen::Again(first) => {
                if first {
                    // The threads learn when the count is due.
                    let queues = &mut self.lock().queues;
                    queues.iter_mut().for_each(|queue| queue.nudged = true);
                    self.wake(Wake::ALL);
                }
                return Ok(());
            }
        };
        let mut state = self.lock();
        let must_be_kept = state.required && event.kind == AuditEvent::Release;
        if must_be_kept && (state.ending || self.is_stuck(&state)) {
            return Err(Refused);
        }
        let wake = self.enqueue(&mut state, event);
        drop(state);
        self.wake(wake);
        Ok(())
    }

    /// Puts a record into its queues. Returns which threads have to be woken.
    fn enqueue(&self, state: &mut State, event: Event) -> Wake {
        let kind = event.kind;
        let series = state.series(kind == AuditEvent::Denial);
        let record = series.record(event, &self.clock);
        let mut wake = Wake::default();
        for (which, (queue, place)) in state.queues.iter_mut().zip(&self.places).enumerate() {
            if !queue.on || !place.destination.takes(kind) {
                continue;
            }
            let room = place.destination.room;
            if queue.is_full_of(kind, room) || queue.ended {
                queue.lost += 1;
                place.tally.lost.add(1);
                continue;
            }
            queue.waiting.push(record.clone());
            queue.denials += usize::from(kind == AuditEvent::Denial);
            if queue.waiting.len() == 1 || queue.waiting.len() == room.enough() {
                wake.add(which);
            }
        }
        wake
    }

    /// Records the counts of past minutes; at the last call the counts of all minutes.
    fn count_up(&self, state: &mut State, last: bool) -> Wake {
        let mut wake = Wake::default();
        let mut repeats = match self.repeats.try_lock() {
            Ok(repeats) => repeats,
            Err(TryLockError::Poisoned(repeats)) => repeats.into_inner(),
            Err(TryLockError::WouldBlock) if last => self.repeats(),
            // Releases need the state, which is held here: it must not wait for a denied peer. The next turn is soon.
            Err(TryLockError::WouldBlock) => return wake,
        };
        let due = repeats.due(self.clock.boot_ms(), last);
        drop(repeats);
        for event in due {
            wake.0 |= self.enqueue(state, event).0;
        }
        wake
    }

    fn wake(&self, wake: Wake) {
        let places = self.places.iter().enumerate();
        let woken = places.filter(|(which, _)| wake.has(*which));
        woken.for_each(|(_, place)| place.work.notify_one());
    }

    /// Changes where the queues write: one change for each queue.
    pub(super) fn apply(
        self: &Arc<Self>,
        changes: Vec<SinkChange>,
        events: AuditEvents,
        required: bool,
        write: fn(Arc<Self>, usize),
    ) -> io::Result<()> {
        let mut state = self.lock();
        let mut any = false;
        for ((which, place), change) in self.places.iter().enumerate().zip(changes) {
            let queue = state.queue(which);
            let on = matches!(change, SinkChange::To(_));
            any |= on;
            if !queue.started {
                if !on {
                    continue;
                }
                let queues = Arc::clone(self);
                let name = format!("audit-{}", place.destination.name);
                let thread = std::thread::Builder::new().name(name);
                drop(thread.spawn(move || write(queues, which))?);
                queue.started = true;
            }
            queue.on = on;
            queue.before = queue.waiting.len();
            queue.change = Some(change);
        }
        state.required = required;
        let wanted = if any { events.bits() } else { 0 };
        self.wanted.store(wanted, Ordering::Relaxed);
        drop(state);
        self.wake(Wake::ALL);
        Ok(())
    }

    /// Ends the threads after they have written their queues. False when a thread has not ended within `patience`.
    pub(super) fn finish(&self, patience: Duration) -> bool {
        let mut guard = self.lock();
        self.count_up(&mut guard, true);
        guard.ending = true;
        self.wake(Wake::ALL);
        let is_busy = |queue: &Queue| queue.started && !queue.ended;
        let busy = |state: &mut State| state.queues.iter().any(is_busy);
        let waited = self.ended.wait_timeout_while(guard, patience, busy);
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let complete =
            |queue: &Queue| !queue.started || (queue.ended && queue.held == 0 && queue.lost == 0);
        guard.queues.iter().all(complete)
    }

    /// Whether a place that releases wait for accepts nothing more.
    fn is_stuck(&self, state: &State) -> bool {
        let queues = state.queues.iter().zip(&self.places);
        let mut required = queues.filter(|(_, place)| place.destination.required);
        required.any(|(queue, place)| {
            queue.on && (queue.failing || queue.is_full(place.destination.room))
        })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the list of places does not change"
    )]
    fn place(&self, which: usize) -> &Place {
        &self.places[which]
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The sequence that denials, or all other records, get their numbers from.
    fn series(&mut self, of_denials: bool) -> &mut Series {
        match of_denials {
            true => &mut self.of_denials,
            false => &mut self.series,
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "each place has a queue, and neither list changes"
    )]
    fn queue(&mut self, which: usize) -> &mut Queue {
        &mut self.queues[which]
    }
}

fn is_denial(record: &Record) -> bool {
    record.event.kind == AuditEvent::Denial
}
