//! The driver's reports to the service manager: that the driver runs, and the state of its accounts.
//!
//! Owns when the watchdog is fed: in the driver's loop, at the end of a turn, so that a stuck driver does not feed it. The store thread is
//! not watched: a restart does not mend a hanging disk; it would lose the facts that only memory holds, and hang at start.

use std::time::Duration;

use tokend_engine::{Engine, Timestamp, WaiterFault};

use crate::broker::accounts::Accounts;
use crate::broker::change::Reloaded;
use tokend_process::systemd::Manager;

/// The shortest time between two status lines.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// The time that each account adds to it: each line counts all accounts, and clients may wait meanwhile.
const STATUS_EVERY_ACCOUNT: Duration = Duration::from_micros(100);

/// How many accounts are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AccountCounts {
    served: usize,
    with_token: usize,
    need_person: usize,
    /// When the first of the tokens expires: the counts change then without an event.
    expires: Option<Timestamp>,
}

/// The last report, and the next one.
#[derive(Debug)]
pub(super) struct ServiceStatus {
    manager: Manager,
    fed: Option<Timestamp>,
    /// Whether an event happened that the last line may not include.
    stale: bool,
    reported_at: Option<Timestamp>,
    /// How long after the last line the next may come.
    pause: Duration,
    /// When the line becomes wrong even without an event.
    expires: Option<Timestamp>,
    line: String,
    reloaded: Option<Reloaded>,
    draining: bool,
}

impl ServiceStatus {
    pub(super) fn new(manager: Manager) -> Self {
        Self {
            manager,
            fed: None,
            stale: false,
            reported_at: None,
            pause: STATUS_EVERY,
            expires: None,
            line: String::new(),
            reloaded: None,
            draining: false,
        }
    }

    /// Notes an event of an account.
    pub(super) fn note_change(&mut self) {
        self.stale = true;
    }

    pub(super) fn reloaded(&mut self, reloaded: Reloaded) {
        self.reloaded = Some(reloaded);
        self.stale = true;
    }

    /// The daemon is stopping. The watchdog is still fed, and the status line no longer changes.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        self.manager
            .status("stopping: attempts in flight are being finished");
    }

    /// How long the driver may sleep before a report is due.
    pub(super) fn sleep(&self, now: Timestamp) -> Option<Duration> {
        let feed = self.feed_due(now);
        feed.into_iter().chain(self.line_due(now)).min()
    }

    /// A turn of the driver is done.
    pub(super) fn tick(&mut self, now: Timestamp, counts: impl FnOnce() -> AccountCounts) {
        if self.feed_due(now).is_some_and(|due| due.is_zero()) {
            self.manager.feed();
            self.fed = Some(now);
        }
        if self.line_due(now).is_some_and(|due| due.is_zero()) {
            let counts = counts();
            let line = line(&counts, self.reloaded);
            if line != self.line {
                self.manager.status(&line);
                self.line = line;
            }
            self.reported_at = Some(now);
            self.expires = counts.expires;
            let accounts = u32::try_from(counts.served).unwrap_or(u32::MAX);
            self.pause = STATUS_EVERY.max(STATUS_EVERY_ACCOUNT.saturating_mul(accounts));
            self.stale = false;
        }
    }

    /// When to feed the watchdog: after half of the allowed time, so that one late turn does no harm.
    fn feed_due(&self, now: Timestamp) -> Option<Duration> {
        let every = self.manager.watchdog()? / 2;
        Some(remaining(self.fed, every, now))
    }

    /// When a line with news is due, if there are any.
    fn line_due(&self, now: Timestamp) -> Option<Duration> {
        let news = match self.stale {
            true => Some(now),
            false => self.expires,
        };
        let at = news.filter(|_| !self.draining && self.manager.listens())?;
        let pause = remaining(self.reported_at, self.pause, now);
        Some(at.since(now).max(pause))
    }
}

impl AccountCounts {
    pub(super) fn of(accounts: &Accounts, engine: &Engine, now: Timestamp) -> Self {
        let mut counts = Self::default();
        for (key, entry) in accounts.present() {
            let token = entry.served.cell.token();
            let good = token.as_ref().filter(|token| token.held.is_good(now, None));
            let expires = good.and_then(|token| token.held.expires);
            let stopped = matches!(
                engine.stop(key, now),
                Some(
                    WaiterFault::LoginRequired(_) | WaiterFault::Misconfigured | WaiterFault::Unfit
                )
            );
            counts.served += 1;
            counts.with_token += usize::from(good.is_some());
            counts.need_person += usize::from(stopped || entry.quarantined.is_some());
            counts.expires = counts.expires.into_iter().chain(expires).min();
        }
        counts
    }
}

/// The rest of `every` since `last`; zero if there was none.
fn remaining(last: Option<Timestamp>, every: Duration, now: Timestamp) -> Duration {
    last.map_or(Duration::ZERO, |last| last.after(every).since(now))
}

fn line(counts: &AccountCounts, reloaded: Option<Reloaded>) -> String {
    let accounts = match counts.served {
        1 => "1 account".to_owned(),
        count => format!("{count} accounts"),
    };
    let tokens = match counts.with_token {
        0 => "none has a token".to_owned(),
        1 => "1 has a token".to_owned(),
        count => format!("{count} have a token"),
    };
    let person = match counts.need_person {
        0 => "none needs attention".to_owned(),
        1 => "1 needs attention".to_owned(),
        count => format!("{count} need attention"),
    };
    let reloaded = match reloaded {
        None => String::new(),
        Some(Reloaded::InForce(number)) => format!("; configuration {number} is in force"),
        Some(Reloaded::Refused) => "; the last reload was refused, see the log".to_owned(),
    };
    format!("serving {accounts}: {tokens}, {person}{reloaded}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const WATCHDOG: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1000 * (1_000_000 + seconds))
    }

    fn said(notes: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
        std::mem::take(&mut *notes.lock().unwrap())
    }

    #[test]
    fn the_watchdog_is_fed_by_turns_and_by_nothing_else() {
        let (manager, notes) = Manager::noting(Some(WATCHDOG));
        let mut status = ServiceStatus::new(manager);
        assert_eq!(status.sleep(at(0)), Some(Duration::ZERO));
        status.tick(at(0), AccountCounts::default);
        assert_eq!(said(&notes), ["WATCHDOG=1"]);
        // A driver with much to do does not chatter.
        status.tick(at(1), AccountCounts::default);
        assert_eq!(said(&notes), [""; 0]);
        // One with nothing to do wakes in time.
        assert_eq!(status.sleep(at(10)), Some(Duration::from_secs(20)));
        status.tick(at(30), AccountCounts::default);
        assert_eq!(said(&notes), ["WATCHDOG=1"]);
        // While a turn takes long, nobody feeds.
        assert_eq!(status.sleep(at(3000)), Some(Duration::ZERO));
        assert_eq!(said(&notes), [""; 0]);
    }

    #[test]
    fn the_status_is_told_when_it_changes_and_not_too_often() {
        let (manager, notes) = Manager::noting(None);
        let mut status = ServiceStatus::new(manager);
        let counts = |with_token| AccountCounts {
            served: 2,
            with_token,
            ..AccountCounts::default()
        };
        assert_eq!(status.sleep(at(0)), None);
        status.tick(at(0), || unreachable!("nothing happened"));
        status.note_change();
        status.tick(at(1), || counts(0));
        let first = "STATUS=serving 2 accounts: none has a token, none needs attention";
        assert_eq!(said(&notes), [first]);
        status.note_change();
        status.tick(at(2), || unreachable!("too soon"));
        assert_eq!(status.sleep(at(2)), Some(Duration::from_secs(1)));
        status.tick(at(3), || counts(0));
        assert_eq!(said(&notes), [""; 0], "it says the same");
        status.reloaded(Reloaded::Refused);
        status.tick(at(5), || counts(1));
        assert_eq!(
            said(&notes),
            [
                "STATUS=serving 2 accounts: 1 has a token, none needs attention; the last reload was refused, see the log"
            ]
        );
        // A token that expires is news, though nothing happens.
        status.note_change();
        status.tick(at(10), || AccountCounts {
            expires: Some(at(20)),
            ..counts(1)
        });
        assert_eq!(status.sleep(at(15)), Some(Duration::from_secs(5)));
        status.tick(at(15), || unreachable!("it has not expired"));
        status.tick(at(20), || counts(0));
        assert_eq!(said(&notes).len(), 1);
        assert_eq!(status.sleep(at(21)), None);
        status.drain();
        assert_eq!(
            said(&notes),
            ["STATUS=stopping: attempts in flight are being finished"]
        );
        status.note_change();
        status.tick(at(30), || unreachable!("it stops"));
    }

    #[test]
    fn many_accounts_are_counted_less_often() {
        let (manager, _notes) = Manager::noting(None);
        let mut status = ServiceStatus::new(manager);
        status.note_change();
        status.tick(at(0), || AccountCounts {
            served: 100_000,
            ..AccountCounts::default()
        });
        status.note_change();
        assert_eq!(status.sleep(at(0)), Some(Duration::from_secs(10)));
    }

    #[test]
    fn where_nobody_listens_nothing_is_counted() {
        let mut status = ServiceStatus::new(Manager::none());
        status.note_change();
        assert_eq!(status.sleep(at(0)), None);
        status.tick(at(0), || unreachable!("nobody listens"));
    }

    #[test]
    fn the_line_is_for_people() {
        let counts = AccountCounts {
            served: 1,
            with_token: 2,
            need_person: 2,
            expires: None,
        };
        assert_eq!(
            line(&counts, Some(Reloaded::InForce(3))),
            "serving 1 account: 2 have a token, 2 need attention; configuration 3 is in force"
        );
    }
}
