//! The places for connections: how many there are, how many one user may take, and which give way when all are taken.
//!
//! Owns when a connection has been quiet for too long. Knows nothing of the traffic.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::watched::Watched;
use tokend_process::clock::{Clock, millis};

/// How long a connection may be quiet if its peer states no limit for an answer: four times the daemon's default limit for an exchange.
pub(super) const USUALLY_QUIET: Duration = Duration::from_secs(120);
/// How long a connection without a stated limit must be quiet before it gives way to another when all places are taken: twice the daemon's
/// default limit for an exchange. A connection with a stated limit is kept for that time: an attempt that waits for its answer must not be
/// left in doubt for the sake of another. The stated limit is bounded where it is read, and its user by the share of the places.
const GIVES_WAY: Duration = Duration::from_secs(60);

/// The number of places, in all and for one user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) all: usize,
    pub(super) each: usize,
}

#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    clock: Clock,
    held: Mutex<Held>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Seat {
    /// The user who connected, if the kernel identifies it.
    user: Option<u32>,
    /// The time of the last traffic, in milliseconds since boot.
    active: AtomicU64,
    /// How long the connection may be quiet, in milliseconds.
    quiet: AtomicU64,
    /// How long it must be quiet before it can give way, in milliseconds.
    patient: AtomicU64,
    gives_way: AtomicBool,
    changed: Notify,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    seat: Arc<Seat>,
    places: Arc<Places>,
}

/// Why a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Quiet(Duration),
    GaveWay,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Full {
    All {
        all: usize,
        most: Option<(u32, usize)>,
    },
    User {
        user: u32,
        each: usize,
    },
}

impl Places {
    pub(super) fn new(bounds: Bounds, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            clock,
            held: Mutex::default(),
            emptied: Notify::new(),
        })
    }

    /// A place for a connection of `user`: a free one, or that of the connection that has been quiet the longest.
    pub(super) fn take(self: &Arc<Self>, user: Option<u32>) -> Result<Place, Full> {
        let now = self.clock.boot_ms();
        let mut held = self.lock();
        let own = |seat: &Seat| user.is_some() && seat.user == user;
        let owned = held.seats.values().filter(|seat| own(seat)).count();
        if owned >= self.bounds.each {
            let freed = held.free(now, own);
            freed.ok_or_else(|| Full::User {
                user: user.unwrap_or_default(),
                each: self.bounds.each,
            })?;
        } else if held.seats.len() >= self.bounds.all {
            let freed = held.free(now, |_| true);
            freed.ok_or_else(|| Full::All {
                all: self.bounds.all,
                most: held.most(),
            })?;
        }
        let seat = Arc::new(Seat {
            user,
            active: AtomicU64::new(now),
            quiet: AtomicU64::new(millis(USUALLY_QUIET)),
            patient: AtomicU64::new(millis(GIVES_WAY)),
            gives_way: AtomicBool::new(false),
            changed: Notify::new(),
        });
        let number = held.next;
        held.next += 1;
        held.seats.insert(number, Arc::clone(&seat));
        Ok(Place {
            number,
            seat,
            places: Arc::clone(self),
        })
    }

    /// Completes when no place is taken.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.lock().seats.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Ends the connection that has been quiet the longest, among those that may give way.
    fn free(&mut self, now: u64, may: impl Fn(&Seat) -> bool) -> Option<()> {
        let quiet_since = |seat: &Seat| seat.active.load(Ordering::Relaxed);
        let candidates = self.seats.iter().filter(|(_, seat)| {
            let patient = seat.patient.load(Ordering::Relaxed);
            may(seat) && now.saturating_sub(quiet_since(seat)) >= patient
        });
        let (&number, _) = candidates.min_by_key(|(_, seat)| quiet_since(seat))?;
        let seat = self.seats.remove(&number)?;
        seat.gives_way.store(true, Ordering::Relaxed);
        seat.changed.notify_one();
        Some(())
    }

    /// The user with the most places, and their number.
    fn most(&self) -> Option<(u32, usize)> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for user in self.seats.values().filter_map(|seat| seat.user) {
            *counts.entry(user).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count)
    }
}

impl Place {
    /// How long the connection may be quiet, and whether its peer stated that limit.
    pub(super) fn may_be_quiet(&self, quiet: Duration, is_stated: bool) {
        let patient = if is_stated { quiet } else { Duration::ZERO };
        let patient = millis(patient.max(GIVES_WAY));
        self.seat.patient.store(patient, Ordering::Relaxed);
        self.seat.quiet.store(millis(quiet), Ordering::Relaxed);
        self.seat.changed.notify_one();
    }

    /// Completes when the connection has been quiet for too long, or when another connection needs the place.
    pub(super) async fn over(&self) -> Over {
        loop {
            let changed = self.seat.changed.notified();
            if self.seat.gives_way.load(Ordering::Relaxed) {
                return Over::GaveWay;
            }
            let allowed = self.seat.quiet.load(Ordering::Relaxed);
            let active = self.seat.active.load(Ordering::Relaxed);
            let quiet = self.places.clock.boot_ms().saturating_sub(active);
            if quiet >= allowed {
                return Over::Quiet(Duration::from_millis(allowed));
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(allowed - quiet)) => {}
                () = changed => {}
            }
        }
    }

    /// Wraps a stream so that its traffic is noted.
    pub(super) fn watch<S>(&self, stream: S) -> Watched<S> {
        let (seat, clock) = (Arc::clone(&self.seat), self.places.clock.clone());
        Watched::new(stream, move || {
            seat.active.store(clock.boot_ms(), Ordering::Relaxed);
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        held.seats.remove(&self.number);
        if held.seats.is_empty() {
            self.places.emptied.notify_waiters();
        }
    }
}

/// For the log.
impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quiet(quiet) => write!(f, "nothing passed for {quiet:?}"),
            Self::GaveWay => f.write_str("it was quiet, and another needed its place"),
        }
    }
}

/// The message for the daemon and the log.
impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All { all, most } => {
                write!(f, "all {all} are taken")?;
                match most {
                    Some((user, count)) => write!(f, ", {count} of them by user {user}"),
                    None => Ok(()),
                }
            }
            Self::User { user, each } => write!(
                f,
                "user {user} has {each}, which is all that one user may have"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokend_process::clock::testing::FakeClock;

    fn places(all: usize, each: usize) -> (Arc<Places>, Arc<FakeClock>) {
        let (clock, hands) = FakeClock::start(0, 0, "boot");
        (Places::new(Bounds { all, each }, clock), hands)
    }

    fn message(full: Result<Place, Full>) -> String {
        full.unwrap_err().to_string()
    }

    #[test]
    fn one_user_cannot_take_the_places_of_another() {
        let (places, _) = places(4, 2);
        let _own = [places.take(Some(7)), places.take(Some(7))].map(Result::unwrap);
        let more = message(places.take(Some(7)));
        assert_eq!(more, "user 7 has 2, which is all that one user may have");
        let other = places.take(Some(8)).unwrap();
        let _root = places.take(Some(0)).unwrap();
        let full = message(places.take(Some(8)));
        assert_eq!(full, "all 4 are taken, 2 of them by user 7");
        drop(other);
        places.take(Some(8)).unwrap();
    }

    #[test]
    fn users_whom_nobody_tells_share_all_places() {
        let (places, _) = places(2, 1);
        let _all = [places.take(None), places.take(None)].map(Result::unwrap);
        assert_eq!(message(places.take(None)), "all 2 are taken");
    }

    #[tokio::test]
    async fn who_has_been_quiet_the_longest_gives_way_and_nobody_who_was_not() {
        let (places, hands) = places(3, 2);
        let first = places.take(Some(7)).unwrap();
        let other = places.take(Some(8)).unwrap();
        hands.advance(Duration::from_secs(1));
        let second = places.take(Some(7)).unwrap();
        hands.advance(GIVES_WAY - Duration::from_secs(2));
        assert!(places.take(Some(7)).is_err(), "an answer may still come");
        hands.advance(Duration::from_secs(1));
        // A user's own, where it is the user who has too many, however long another's has been quiet.
        let third = places.take(Some(7)).unwrap();
        assert_eq!(first.over().await, Over::GaveWay);
        assert!(
            places.take(Some(7)).is_err(),
            "the second was not quiet long enough"
        );
        let _ninth = places.take(Some(9)).unwrap();
        assert_eq!(other.over().await, Over::GaveWay);
        drop((first, other));
        assert_eq!(places.lock().seats.len(), 3);
        drop((second, third));
    }

    #[tokio::test]
    async fn who_said_how_long_an_answer_may_take_gives_way_no_earlier() {
        let limit = Duration::from_secs(300);
        // The share of one user, all places, and places that users share whom nobody tells apart.
        for (all, each, user, other) in [
            (9, 2, Some(7), Some(7)),
            (2, 2, Some(7), Some(8)),
            (2, 1, None, None),
        ] {
            let (places, hands) = places(all, each);
            let waits = places.take(user).unwrap();
            waits.may_be_quiet(limit, true);
            hands.advance(Duration::from_secs(1));
            // Quiet for less long, and without a word of how long that may last.
            let idle = places.take(user).unwrap();
            idle.may_be_quiet(limit, false);
            hands.advance(GIVES_WAY);
            let taken = places.take(other).unwrap();
            assert_eq!(idle.over().await, Over::GaveWay);
            drop(idle);
            taken.may_be_quiet(limit, true);
            hands.advance(limit - GIVES_WAY - Duration::from_secs(2));
            assert!(places.take(other).is_err(), "an answer may still come");
            hands.advance(Duration::from_secs(1));
            let _after = places.take(other).unwrap();
            assert_eq!(waits.over().await, Over::GaveWay);
        }
    }

    #[test]
    fn who_may_wait_for_less_than_a_minute_gives_way_no_earlier_than_others() {
        let (places, hands) = places(1, 1);
        let short = places.take(Some(7)).unwrap();
        short.may_be_quiet(Duration::from_secs(5), true);
        hands.advance(GIVES_WAY - Duration::from_secs(1));
        assert!(places.take(Some(7)).is_err());
        hands.advance(Duration::from_secs(1));
        places.take(Some(7)).unwrap();
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_passes_is_over() {
        let (places, hands) = places(2, 2);
        let place = places.take(None).unwrap();
        place.may_be_quiet(Duration::from_secs(5), true);
        hands.advance(Duration::from_secs(4));
        place.watch(()).passed();
        hands.advance(Duration::from_secs(5));
        assert_eq!(place.over().await, Over::Quiet(Duration::from_secs(5)));
        let silent = places.take(None).unwrap();
        hands.advance(USUALLY_QUIET);
        assert_eq!(silent.over().await, Over::Quiet(USUALLY_QUIET));
    }
}
