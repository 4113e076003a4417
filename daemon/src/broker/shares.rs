//! How many clients of each user wait for the token of each account.
//!
//! Owns these counts, and when waiters were last searched for clients that left without the driver's knowledge. A user cannot use up the
//! searches of another user, nor can one account use up those of another.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokend_engine::{AccountKey, Timestamp, WaiterId};

/// How often the same waiters are searched: those of one user at one account, and all at one account. So each waiter is searched at most
/// twice in that time, however many clients ask.
const SWEEP: Duration = Duration::from_secs(1);

/// The waiters for tokens. Grows with the number of waiters; the entry of an account or a user goes with its last one.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<AccountKey, Line>);

/// The waiters for one account.
#[derive(Debug, Default)]
struct Line {
    users: HashMap<u32, Share>,
    swept: Option<Timestamp>,
}

/// The waiters of one user among them.
#[derive(Debug, Default)]
struct Share {
    waiters: HashSet<WaiterId>,
    swept: Option<Timestamp>,
}

impl Shares {
    /// How many clients of this user wait for this account.
    pub(super) fn of(&self, account: AccountKey, uid: u32) -> usize {
        let line = self.0.get(&account);
        let share = line.and_then(|line| line.users.get(&uid));
        share.map_or(0, |share| share.waiters.len())
    }

    pub(super) fn enter(&mut self, (account, waiter): (AccountKey, WaiterId), uid: u32) {
        let line = self.0.entry(account).or_default();
        let share = line.users.entry(uid).or_default();
        share.waiters.insert(waiter);
    }

    pub(super) fn leave(&mut self, (account, waiter): (AccountKey, WaiterId), uid: u32) {
        let Some(line) = self.0.get_mut(&account) else {
            return;
        };
        if let Some(share) = line.users.get_mut(&uid) {
            share.waiters.remove(&waiter);
            if share.waiters.is_empty() {
                line.users.remove(&uid);
            }
        }
        if line.users.is_empty() {
            self.0.remove(&account);
        }
    }

    /// The waiters of this user at this account, for a search; none if they were searched a moment ago.
    pub(super) fn sweep_own(
        &mut self,
        now: Timestamp,
        account: AccountKey,
        uid: u32,
    ) -> Vec<WaiterId> {
        let line = self.0.get_mut(&account);
        let Some(share) = line.and_then(|line| line.users.get_mut(&uid)) else {
            return Vec::new();
        };
        match is_due(&mut share.swept, now) {
            true => share.waiters.iter().copied().collect(),
            false => Vec::new(),
        }
    }

    /// All waiters at this account, likewise.
    pub(super) fn sweep_all(&mut self, now: Timestamp, account: AccountKey) -> Vec<WaiterId> {
        let Some(line) = self.0.get_mut(&account) else {
            return Vec::new();
        };
        let shares = line.users.values();
        match is_due(&mut line.swept, now) {
            true => shares.flat_map(|it| &it.waiters).copied().collect(),
            false => Vec::new(),
        }
    }
}

/// Whether the next search is due; if so, notes it as done.
fn is_due(swept: &mut Option<Timestamp>, now: Timestamp) -> bool {
    let due = swept.is_none_or(|before| now.since(before) >= SWEEP);
    if due {
        *swept = Some(now);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: AccountKey = AccountKey(1);
    const Y: AccountKey = AccountKey(2);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn nobody_takes_the_look_at_those_who_have_gone_from_another_user_or_account() {
        let mut shares = Shares::default();
        for (id, account, uid) in [(1, X, 7), (2, X, 7), (3, Y, 7), (4, Y, 8), (5, X, 8)] {
            shares.enter((account, WaiterId(id)), uid);
        }
        // A user that takes every look it can get at one account.
        assert_eq!(shares.sweep_own(at(0), X, 7).len(), 2);
        assert_eq!(shares.sweep_all(at(0), X).len(), 3);
        // Another at another account, and at the same; and the same at another.
        assert_eq!(shares.sweep_own(at(0), Y, 8), [WaiterId(4)]);
        assert_eq!(shares.sweep_own(at(0), X, 8), [WaiterId(5)]);
        assert_eq!(shares.sweep_own(at(0), Y, 7), [WaiterId(3)]);
        assert_eq!(shares.sweep_all(at(0), Y).len(), 2);
        // Nobody is looked at again at once, and everybody a second later.
        for account in [X, Y] {
            for uid in [7, 8] {
                assert!(shares.sweep_own(at(999), account, uid).is_empty());
            }
            assert!(shares.sweep_all(at(999), account).is_empty());
            assert!(!shares.sweep_all(at(1_000), account).is_empty());
        }
        assert_eq!(shares.sweep_own(at(1_000), X, 7).len(), 2);
    }

    #[test]
    fn nothing_is_kept_of_those_who_wait_no_longer() {
        let mut shares = Shares::default();
        for id in 1..=100 {
            let account = AccountKey(u32::try_from(id % 5).unwrap());
            shares.enter((account, WaiterId(id)), 7);
            shares.sweep_own(at(0), account, 7);
            shares.sweep_all(at(0), account);
        }
        assert_eq!(shares.of(AccountKey(0), 7), 20);
        for id in 1..=100 {
            let account = AccountKey(u32::try_from(id % 5).unwrap());
            shares.leave((account, WaiterId(id)), 7);
            shares.leave((account, WaiterId(id)), 7);
        }
        assert!(shares.0.is_empty());
    }
}
