//! Names in rules that nobody had, tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokend_policy::Directory;

use super::Reloader;
use crate::audit::Event;

/// How long until the names are tried again.
const EVERY: Duration = Duration::from_secs(60);
/// How long names are tried at a time. There may be thousands, and each takes as long as whoever knows names takes: the next look goes on
/// where this one ended.
const LOOK: Duration = Duration::from_secs(20);
/// How long a look is waited for: beyond its own time one name, which takes 5 seconds at most, and the files of the configuration.
const LIMIT: Duration = Duration::from_secs(30);

/// Where the next look begins, and whether one is under way: one that hangs would be joined by another each minute, in the threads that
/// reloads need. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Looks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: AtomicUsize,
    is_under_way: AtomicBool,
}

/// A look that is under way, until this is dropped.
#[derive(Debug)]
struct Look(Looks);

impl Looks {
    /// A look, if there is none under way.
    fn begin(&self) -> Option<Look> {
        let before = self.0.is_under_way.swap(true, Ordering::AcqRel);
        (!before).then(|| Look(self.clone()))
    }
}

impl Look {
    /// Whether one of so many is known, as far as there is time: each is tried once at most, and the first in any case.
    fn at(
        &self,
        count: usize,
        mut is_known: impl FnMut(usize) -> bool,
        is_over: impl Fn() -> bool,
    ) -> bool {
        let next = &self.0.0.next;
        for _ in 0..count {
            // The configuration may have fewer by now.
            let index = next.load(Ordering::Relaxed) % count;
            if is_known(index) {
                return true;
            }
            next.store(index + 1, Ordering::Relaxed);
            if is_over() {
                break;
            }
        }
        false
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.0.0.is_under_way.store(false, Ordering::Release);
    }
}

/// Tries the names again, for as long as the daemon runs.
pub(crate) async fn keep_trying(reloader: Arc<Reloader>) {
    let mut told = false;
    let every = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
    loop {
        let next_ms = reloader.clock.wall_ms().saturating_add(every);
        reloader.waiting.planned(next_ms);
        tokio::time::sleep(EVERY).await;
        let stuck = Directory::is_stuck();
        if stuck && !told {
            tracing::warn!(
                "the service that knows names has not answered: names that /etc/passwd and /etc/group do not have are not asked for until it does; restart it, and tokend if that does not help"
            );
        }
        told = stuck;
        try_again(&reloader).await;
    }
}

/// Puts the configuration in force anew where somebody has one of the names by now.
pub(crate) async fn try_again(reloader: &Reloader) {
    let names = reloader.unresolved.load_full();
    if names.is_empty() {
        return;
    }
    let Some(look) = reloader.looks.begin() else {
        return;
    };
    let clock = reloader.clock.clone();
    let stamps = reloader.stamps.load_full();
    let expected = Arc::clone(&stamps);
    let looked = reloader.files.run(LIMIT, move || {
        let mut directory = Directory::system();
        let began = clock.since_boot();
        let is_known = |index: usize| {
            let name = names.get(index);
            name.is_some_and(|name| name.is_known_to(&mut directory))
        };
        let known = look.at(names.len(), is_known, || {
            clock.since_boot().saturating_sub(began) >= LOOK
        });
        (known, stamps.are_as_they_were())
    });
    match looked.await {
        // Said again by the next look, or by whoever loads the configuration.
        Err(_) | Ok((false, _)) => {}
        Ok((true, true)) => {
            // What went wrong is in the log too. An edit that began meanwhile is none that anybody asked to load.
            let fault = reloader.reload_if(Some(expected)).await.err();
            let event = Event::of_reload("names", fault.as_deref());
            reloader.audit.note(event);
        }
        Ok((true, false)) => tracing::info!(
            "a name of a rule is known now, and the configuration on disk is another one: load it with tokenctl reload"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// What a look finds where each name takes so long and these are known, and how many it tried.
    fn look(looks: &Looks, count: usize, each: Duration, known: &[usize]) -> (bool, usize) {
        let (now, tried) = (Cell::new(Duration::ZERO), Cell::new(0));
        let is_known = |index| {
            now.set(now.get() + each);
            tried.set(tried.get() + 1);
            known.contains(&index)
        };
        let look = looks.begin().unwrap();
        let found = look.at(count, is_known, || now.get() >= LOOK);
        assert!(now.get() <= LOOK + each, "{:?}", now.get());
        (found, tried.get())
    }

    #[test]
    fn names_that_do_not_fit_into_one_look_are_tried_by_the_next_ones() {
        let ms = Duration::from_millis;
        let looks = Looks::default();
        assert_eq!(look(&looks, 1_500, ms(20), &[1_499]), (false, 1_000));
        assert_eq!(look(&looks, 1_500, ms(20), &[1_499]), (true, 500));
        // It is tried first until it is in force.
        assert_eq!(look(&looks, 1_500, ms(20), &[1_499]), (true, 1));
        // What was passed by is come back to.
        assert_eq!(look(&looks, 1_500, ms(20), &[300]), (true, 302));
        // A silent service takes its time for one name, and each look tries one at least.
        assert_eq!(look(&looks, 2, Duration::from_secs(60), &[1]), (false, 1));
        assert_eq!(look(&looks, 2, Duration::from_secs(60), &[1]), (true, 1));
        // There are fewer now, or none.
        assert_eq!(look(&looks, 1, ms(20), &[0]), (true, 1));
        assert_eq!(look(&looks, 0, ms(20), &[]), (false, 0));
        // All that there is time for are tried once, not in a circle.
        assert_eq!(look(&looks, 7, ms(0), &[]), (false, 7));
    }

    #[test]
    fn a_look_that_hangs_is_joined_by_no_other() {
        let looks = Looks::default();
        let hangs = looks.begin();
        assert!(hangs.is_some() && looks.begin().is_none());
        drop(hangs);
        assert!(looks.begin().is_some());
    }
}
