//! The rate limit for one user's requests that bring no token.
//!
//! Owns how much of that limit each user has used. A peer that is denied, or reads the same again and again, can ask without end, and on a
//! machine with few processors the requests alone take these from all users. So requests that bring no token are limited for each user, and
//! beyond the limit such requests wait, on whichever connections they come: a new connection for each buys nothing. Must never delay another
//! user, nor a request of the same user that a held token answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokend_proto::{Request, Response};

/// The budget of one user. All pages of the status of a hundred thousand accounts are 4,000 requests.
const BURST_MS: u64 = 4_096;
/// The longest wait of a connection, so that connections of one user cannot delay each other for ever.
const LONGEST_MS: u64 = 2_000;
/// The number of users that are remembered. By default as many can connect; each is forgotten within seconds of its last request.
const MOST: usize = 4_096;
/// How often one user is logged.
const LOG_EVERY_MS: u64 = 60_000;
/// The cost of a request that looks a peer up in `/proc` and in the databases of users, relative to a denial.
pub(crate) const DEAR: u64 = 8;

/// The requests of users that brought no token. A thousand of them are paid off in a second.
#[derive(Debug, Default)]
pub(crate) struct RequestBudgets {
    users: Mutex<HashMap<u32, Spent>>,
    /// When the last of them will have paid everything off, in milliseconds since boot.
    last_paid_ms: AtomicU64,
}

#[derive(Debug)]
struct Spent {
    /// When all will be paid off, in milliseconds since boot.
    paid_ms: u64,
    logged_ms: Option<u64>,
}

/// What has to happen before the next request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) length: Duration,
    pub(crate) log: bool,
}

/// The cost of a request by itself, if it shows something and gives no token.
pub(crate) fn cost_of(request: &Request) -> u64 {
    match request {
        Request::Whoami | Request::Diagnose { .. } => DEAR,
        Request::List { .. }
        | Request::Status { .. }
        | Request::Metrics { .. }
        | Request::Apis { .. }
        | Request::Sinks { .. }
        | Request::Report { .. }
        | Request::Refusal { .. } => 1,
        _ => 0,
    }
}

/// The additional cost of an answer.
pub(crate) fn cost_of_answer(response: &Response) -> u64 {
    let refuses = matches!(response, Response::Fault(_) | Response::Unavailable(_));
    u64::from(refuses)
}

impl RequestBudgets {
    /// Whether any user has to wait at this time. A look at one number: it is on the way of every request.
    pub(crate) fn are_owed(&self, now_ms: u64) -> bool {
        self.last_paid_ms.load(Ordering::Relaxed) > now_ms.saturating_add(BURST_MS)
    }

    /// How long a user has to wait before the next request that brings no token. `None` if not at all.
    pub(crate) fn owed(&self, now_ms: u64, uid: u32) -> Option<Duration> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = users.get(&uid)?.paid_ms.checked_sub(now_ms + BURST_MS)?;
        (owed > 0).then(|| Duration::from_millis(owed))
    }

    /// Adds a user's requests that brought no token. `None` if the user need not wait.
    pub(crate) fn spend(&self, now_ms: u64, uid: u32, cost: u64) -> Option<Wait> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= MOST && !users.contains_key(&uid) {
            users.retain(|_, spent| spent.paid_ms > now_ms);
            if users.len() >= MOST {
                return Some(Wait {
                    length: Duration::from_millis(LONGEST_MS),
                    log: false,
                });
            }
        }
        let spent = users.entry(uid).or_insert(Spent {
            paid_ms: now_ms,
            logged_ms: None,
        });
        let free_ms = now_ms.saturating_add(BURST_MS);
        let paid_ms = spent.paid_ms.max(now_ms).saturating_add(cost);
        spent.paid_ms = paid_ms.min(free_ms.saturating_add(LONGEST_MS));
        self.last_paid_ms
            .fetch_max(spent.paid_ms, Ordering::Relaxed);
        let length = spent
            .paid_ms
            .checked_sub(free_ms)
            .filter(|wait| *wait > 0)?;
        let log = spent
            .logged_ms
            .is_none_or(|logged| now_ms.saturating_sub(logged) >= LOG_EVERY_MS);
        if log {
            spent.logged_ms = Some(now_ms);
        }
        Some(Wait {
            length: Duration::from_millis(length),
            log,
        })
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use tokend_process::clock::Clock;

    use super::*;

    /// The longest a user waits at a time.
    pub(crate) const LONGEST: Duration = Duration::from_millis(LONGEST_MS);

    /// Uses up what a user may ask in vain without a wait, to the last request.
    pub(crate) fn use_up(budgets: &RequestBudgets, clock: &Clock, uid: u32) -> Option<Wait> {
        budgets.spend(clock.boot_ms(), uid, BURST_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brings_nothing_is_answered_a_thousand_times_a_second_beyond_a_burst() {
        let budgets = RequestBudgets::default();
        for _ in 0..BURST_MS {
            assert_eq!(budgets.spend(5, 1, 1), None);
        }
        let next = budgets.spend(5, 1, 1).unwrap();
        assert_eq!((next.length, next.log), (Duration::from_millis(1), true));
        let next = budgets.spend(5, 1, 8).unwrap();
        assert_eq!((next.length, next.log), (Duration::from_millis(9), false));
        assert_eq!(budgets.spend(5, 2, 1), None, "another user");
        assert_eq!(budgets.owed(5, 1), Some(Duration::from_millis(9)));
        assert_eq!(budgets.owed(14, 1), None, "it is paid off");
        assert_eq!((budgets.are_owed(5), budgets.are_owed(14)), (true, false));
        assert_eq!(budgets.owed(5, 2), None);
        assert_eq!(budgets.owed(5, 3), None, "it never asked");
        assert_eq!(budgets.spend(1005, 1, 900), None, "a second later");
    }

    #[test]
    fn connections_of_one_user_do_not_put_each_other_off_for_ever() {
        let budgets = RequestBudgets::default();
        let longest = (0..100_000)
            .filter_map(|_| budgets.spend(0, 1, 8))
            .max_by_key(|wait| wait.length);
        assert_eq!(longest.unwrap().length, Duration::from_millis(LONGEST_MS));
        assert_eq!(budgets.spend(LONGEST_MS + 1, 1, 1), None);
    }

    #[test]
    fn no_more_users_are_remembered_than_so_many_and_those_who_rest_make_room() {
        let budgets = RequestBudgets::default();
        for uid in 0..u32::try_from(MOST).unwrap() {
            assert_eq!(budgets.spend(0, uid, 1), None);
        }
        assert!(budgets.spend(0, 9_999, 1).is_some());
        assert_eq!(budgets.spend(1, 9_999, 1), None);
        assert_eq!(budgets.users.lock().unwrap().len(), 1);
    }
}
