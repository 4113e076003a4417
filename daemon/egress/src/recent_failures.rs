//! The last failure of each target, and who ended its tunnels, kept for a short while.
//!
//! The HTTP library in the daemon discards the reason for a refused tunnel, so the daemon asks for it afterwards; and the end of a tunnel
//! does not show who ended it. Bounded in number and time; holds hosts and ports and nothing of a request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::failure::Failure;
use tokend_process::clock::Clock;

/// The most targets that are remembered.
const MOST: usize = 1024;
/// How long a target is remembered. The daemon asks at once.
const FRESH_MS: u64 = 10_000;

#[derive(Debug)]
pub(super) struct RecentFailures {
    clock: Clock,
    /// By target and the proxy on the way to it.
    failures: Expiring<Failure>,
    ends: Expiring<End>,
}

/// Who ended a tunnel, ordered so that an end that says less about the target comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// The target closed its side in order.
    Target,
    /// The target broke the connection.
    Broken,
    /// The relay, or the network on the way.
    Relay,
}

impl RecentFailures {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            failures: Expiring::default(),
            ends: Expiring::default(),
        }
    }

    /// Notes why a target was not reached.
    pub(super) fn keep(&self, target: &str, failure: &Failure) {
        let now = self.clock.boot_ms();
        self.failures.keep(now, target, failure.clone());
    }

    /// Notes that a target was reached, which makes its earlier failure irrelevant.
    pub(super) fn forget(&self, target: &str) {
        self.failures.lock().remove(target);
    }

    /// Why a target was not reached just now.
    pub(super) fn of(&self, target: &str) -> Option<Failure> {
        self.failures.of(self.clock.boot_ms(), target)
    }

    /// Notes the end of a tunnel. A question does not say which tunnel it is about, so the end that says the least about the target
    /// counts.
    pub(super) fn ended(&self, target: &str, end: End) {
        let now = self.clock.boot_ms();
        if self.ends.of(now, target) <= Some(end) {
            self.ends.keep(now, target, end);
        }
    }

    /// Who ended the recent tunnels to a target.
    pub(super) fn end_of(&self, target: &str) -> Option<End> {
        self.ends.of(self.clock.boot_ms(), target)
    }
}

/// A value for each target, kept for a short while.
#[derive(Debug)]
struct Expiring<T>(Mutex<HashMap<Box<str>, (u64, T)>>);

impl<T> Default for Expiring<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Expiring<T> {
    fn keep(&self, now: u64, target: &str, what: T) {
        let mut last = self.lock();
        if last.len() >= MOST {
            last.retain(|_, (at, _)| now.saturating_sub(*at) < FRESH_MS);
        }
        if last.len() < MOST || last.contains_key(target) {
            last.insert(target.into(), (now, what));
        }
    }

    fn of(&self, now: u64, target: &str) -> Option<T> {
        let last = self.lock();
        let (at, what) = last.get(target)?;
        (now.saturating_sub(*at) < FRESH_MS).then(|| what.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, (u64, T)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::failure::FailureKind;
    use super::*;
    use tokend_process::clock::testing::FakeClock;

    #[test]
    fn a_failure_is_remembered_for_a_while_or_until_the_target_is_reached() {
        let (clock, hands) = FakeClock::start(0, 0, "boot");
        let recent = RecentFailures::new(clock);
        let (one, other) = ("a:1", "a:2");
        let failure = Failure::new(FailureKind::Refused, "refused");
        recent.keep(one, &failure);
        assert_eq!(
            (recent.of(one), recent.of(other)),
            (Some(failure.clone()), None)
        );
        recent.forget(one);
        assert_eq!(recent.of(one), None);
        recent.keep(one, &failure);
        hands.advance(Duration::from_millis(FRESH_MS));
        assert_eq!(recent.of(one), None);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for_and_old_ones_make_room() {
        let (clock, hands) = FakeClock::start(0, 0, "boot");
        let recent = RecentFailures::new(clock);
        let failure = Failure::new(FailureKind::Refused, "refused");
        for port in 1..=MOST + 10 {
            recent.keep(&format!("a:{port}"), &failure);
        }
        let count = || recent.failures.lock().len();
        assert_eq!(count(), MOST);
        hands.advance(Duration::from_millis(FRESH_MS));
        recent.keep("b:1", &failure);
        assert_eq!((count(), recent.of("b:1")), (1, Some(failure)));
    }

    #[test]
    fn a_tunnel_that_the_relay_ended_counts_before_those_that_targets_ended() {
        let (clock, hands) = FakeClock::start(0, 0, "boot");
        let recent = RecentFailures::new(clock);
        assert_eq!(recent.end_of("a:1"), None);
        recent.ended("a:1", End::Target);
        assert_eq!(
            (recent.end_of("a:1"), recent.end_of("a:2")),
            (Some(End::Target), None)
        );
        for end in [End::Broken, End::Target] {
            recent.ended("a:1", end);
            assert_eq!(recent.end_of("a:1"), Some(End::Broken));
        }
        recent.ended("a:1", End::Relay);
        recent.ended("a:1", End::Broken);
        recent.ended("a:1", End::Target);
        assert_eq!(recent.end_of("a:1"), Some(End::Relay));
        hands.advance(Duration::from_millis(FRESH_MS));
        assert_eq!(recent.end_of("a:1"), None);
        recent.ended("a:1", End::Target);
        assert_eq!(recent.end_of("a:1"), Some(End::Target));
    }
}
