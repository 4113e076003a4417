//! Lookups of unknown names: one lookup at a time, each continuing where the one before ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// The time limit of one lookup. There may be thousands of names, and each takes as long as the directory service needs; the next lookup
/// continues where this one ended.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// The position of the next lookup, locked while one is running: beside one that hangs, each minute would start another, on the threads
/// that reloads need.
#[derive(Debug, Default)]
pub(super) struct Lookups(Arc<Mutex<usize>>);

/// A running lookup, until it is dropped: with all that belongs to it, and not only with the last name.
#[derive(Debug)]
pub(super) struct Lookup(OwnedMutexGuard<usize>);

impl Lookups {
    /// Starts a lookup, if none is running.
    pub(super) fn begin(&self) -> Option<Lookup> {
        Arc::clone(&self.0).try_lock_owned().ok().map(Lookup)
    }
}

impl Lookup {
    /// Whether one of these names is known, as far as time allows: each name is tried at most once, and the first in any case.
    pub(super) fn at(
        &mut self,
        count: usize,
        mut is_known: impl FnMut(usize) -> bool,
        is_over: impl Fn() -> bool,
    ) -> bool {
        let next = &mut *self.0;
        for _ in 0..count {
            // The configuration may have fewer names by now.
            let index = *next % count;
            if is_known(index) {
                return true;
            }
            *next = index + 1;
            if is_over() {
                break;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What a lookup finds where each name takes so long and these are known, and how many it tried.
    fn lookup(lookups: &Lookups, count: usize, each: Duration, known: &[usize]) -> (bool, usize) {
        let (now, tried) = (Cell::new(Duration::ZERO), Cell::new(0));
        let is_known = |index| {
            now.set(now.get() + each);
            tried.set(tried.get() + 1);
            known.contains(&index)
        };
        let mut lookup = lookups.begin().unwrap();
        let found = lookup.at(count, is_known, || now.get() >= LIMIT);
        assert!(now.get() <= LIMIT + each, "{:?}", now.get());
        (found, tried.get())
    }

    #[test]
    fn names_that_do_not_fit_into_one_lookup_are_tried_by_the_next_ones() {
        let ms = Duration::from_millis;
        let lookups = Lookups::default();
        assert_eq!(lookup(&lookups, 1_500, ms(20), &[1_499]), (false, 1_000));
        assert_eq!(lookup(&lookups, 1_500, ms(20), &[1_499]), (true, 500));
        // It is tried first until it is in force.
        assert_eq!(lookup(&lookups, 1_500, ms(20), &[1_499]), (true, 1));
        // What was passed by is come back to.
        assert_eq!(lookup(&lookups, 1_500, ms(20), &[300]), (true, 302));
        // A silent service takes its time for one name, and each lookup tries one at least.
        assert_eq!(
            lookup(&lookups, 2, Duration::from_secs(60), &[1]),
            (false, 1)
        );
        assert_eq!(
            lookup(&lookups, 2, Duration::from_secs(60), &[1]),
            (true, 1)
        );
        // There are fewer now, or none.
        assert_eq!(lookup(&lookups, 1, ms(20), &[0]), (true, 1));
        assert_eq!(lookup(&lookups, 0, ms(20), &[]), (false, 0));
        // All that there is time for are tried once, not in a circle.
        assert_eq!(lookup(&lookups, 7, ms(0), &[]), (false, 7));
    }

    #[test]
    fn a_lookup_that_hangs_is_joined_by_no_other() {
        let lookups = Lookups::default();
        let mut hangs = lookups.begin().unwrap();
        assert!(lookups.begin().is_none());
        // What follows the names, such as a look at the files, may hang as well.
        assert!(!hangs.at(0, |_| true, || false));
        assert!(lookups.begin().is_none());
        drop(hangs);
        assert!(lookups.begin().is_some());
    }
}
