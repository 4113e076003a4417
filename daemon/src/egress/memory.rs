//! The last failure of each target, for a short while.
//!
//! The library that makes the daemon's tunnels throws away why one was refused, so the daemon asks for it afterwards. Bounded in number
//! and time; holds hosts and ports and nothing of a request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::failure::Failure;
use crate::clock::Clock;

/// How many targets are remembered.
const MOST: usize = 1024;
/// How long. The daemon asks at once.
const FRESH_MS: u64 = 10_000;

/// What is remembered.
#[derive(Debug)]
pub(super) struct Memory {
    clock: Clock,
    /// By target, and the proxy on the way to it.
    last: Mutex<HashMap<Box<str>, (u64, Failure)>>,
}

impl Memory {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            last: Mutex::default(),
        }
    }

    /// A target was not reached.
    pub(super) fn keep(&self, target: &str, failure: &Failure) {
        let now = self.clock.boot_ms();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MOST {
            last.retain(|_, (at, _)| now.saturating_sub(*at) < FRESH_MS);
        }
        if last.len() < MOST || last.contains_key(target) {
            last.insert(target.into(), (now, failure.clone()));
        }
    }

    /// A target was reached: what was before does not matter any more.
    pub(super) fn forget(&self, target: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.remove(target);
    }

    /// Why a target was not reached a moment ago.
    pub(super) fn of(&self, target: &str) -> Option<Failure> {
        let now = self.clock.boot_ms();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, failure) = last.get(target)?;
        (now.saturating_sub(*at) < FRESH_MS).then(|| failure.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::failure::Kind;
    use super::*;
    use crate::clock::fake::FakeClock;

    #[test]
    fn a_failure_is_remembered_for_a_while_or_until_the_target_is_reached() {
        let (clock, hands) = FakeClock::start(0, 0, "boot");
        let memory = Memory::new(clock);
        let (one, other) = ("a:1", "a:2");
        let failure = Failure::new(Kind::Refused, "refused");
        memory.keep(one, &failure);
        assert_eq!(
            (memory.of(one), memory.of(other)),
            (Some(failure.clone()), None)
        );
        memory.forget(one);
        assert_eq!(memory.of(one), None);
        memory.keep(one, &failure);
        hands.advance(Duration::from_millis(FRESH_MS));
        assert_eq!(memory.of(one), None);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for_and_old_ones_make_room() {
        let (clock, hands) = FakeClock::start(0, 0, "boot");
        let memory = Memory::new(clock);
        let failure = Failure::new(Kind::Refused, "refused");
        for port in 1..=MOST + 10 {
            memory.keep(&format!("a:{port}"), &failure);
        }
        let count = || memory.last.lock().unwrap().len();
        assert_eq!(count(), MOST);
        hands.advance(Duration::from_millis(FRESH_MS));
        memory.keep("b:1", &failure);
        assert_eq!((count(), memory.of("b:1")), (1, Some(failure)));
    }
}
