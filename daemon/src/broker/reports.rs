//! The rate limit for reports that a token was refused.
//!
//! Owns the share of all users of an account, which is at most half of the account's rate limit, so that necessary attempts always find
//! some left. Owns also the smaller share of each user, so that a user who reports every token leaves a report to the others. Must never
//! keep a client from the held token, nor let one user's reports about many accounts block another user's first report.

use std::collections::HashMap;
use std::time::Duration;

use tokend_engine::{AccountKey, GrantId, Rate, Timestamp};

/// How many pairs of user and account are remembered: a quarter of a megabyte. Beyond that, an entry of the user with the most entries
/// gives way.
const MOST: usize = 4096;

/// The reports of users.
#[derive(Debug, Default)]
pub(super) struct Reports {
    of_users: HashMap<(AccountKey, u32), Report>,
    /// How many of these entries each user has, so that repeated refusals of one user cost the driver little.
    counts: HashMap<u32, usize>,
    /// No entry expires before this time.
    over_from: Timestamp,
    /// The reports of all users of an account together. They outlive the entries above, so that the common share holds however many entries
    /// are dropped. At most one for each account.
    of_all: HashMap<AccountKey, Report>,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    /// The token that was reported last. A second report of the same token does not count.
    grant: GrantId,
    /// When the full number of reports is allowed again.
    free: Timestamp,
}

/// So many at once, and then one in each period.
type Share = (u32, Duration);

impl Reports {
    /// A user reports the token of this grant. `pace` is the rate limit of the attempt that the report causes.
    ///
    /// # Errors
    /// When the next report of the user is believed, if this one is not.
    pub(super) fn believe(
        &mut self,
        now: Timestamp,
        (account, uid): (AccountKey, u32),
        grant: GrantId,
        pace: Rate,
    ) -> Result<(), Timestamp> {
        let of_all = share_of_all(pace);
        let key = (account, uid);
        let own = counted(self.of_users.get(&key), now, grant, share_of_one(of_all))?;
        let all = counted(self.of_all.get(&account), now, grant, of_all)?;
        if !self.of_users.contains_key(&key) && self.of_users.len() >= MOST {
            self.make_room(now, uid)?;
        }
        self.over_from = match self.of_users.is_empty() {
            true => own.free,
            false => self.over_from.min(own.free),
        };
        if self.of_users.insert(key, own).is_none() {
            *self.counts.entry(uid).or_default() += 1;
        }
        self.of_all.insert(account, all);
        Ok(())
    }

    /// Makes room for one more entry of this user: expired entries go, otherwise the entry that expires first of the user with the most
    /// entries. That user's share for that account starts anew, within the share of all.
    ///
    /// # Errors
    /// When there may be room, if no user has more entries than this one.
    fn make_room(&mut self, now: Timestamp, uid: u32) -> Result<(), Timestamp> {
        if self.over_from <= now {
            self.drop_what_is_over(now);
        }
        if self.of_users.len() < MOST {
            return Ok(());
        }
        let own = self.counts.get(&uid).copied().unwrap_or(0);
        let most = self.counts.iter().max_by_key(|(_, count)| **count);
        let Some((&greediest, _)) = most.filter(|(_, most)| **most > own) else {
            return Err(self.over_from);
        };
        let theirs = self.of_users.iter().filter(|(key, _)| key.1 == greediest);
        let first = theirs.min_by_key(|(_, report)| report.free);
        if let Some(key) = first.map(|(key, _)| *key) {
            self.of_users.remove(&key);
            match self.counts.get_mut(&greediest) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.counts.remove(&greediest)),
            }
        }
        Ok(())
    }

    fn drop_what_is_over(&mut self, now: Timestamp) {
        self.of_users.retain(|_, report| report.free > now);
        self.of_all.retain(|_, report| report.free > now);
        self.counts.clear();
        for (_, uid) in self.of_users.keys() {
            *self.counts.entry(*uid).or_default() += 1;
        }
        let ends = self.of_users.values().map(|report| report.free);
        self.over_from = ends.min().unwrap_or(now);
    }
}

/// The state after one more report, or when that report may be made.
fn counted(
    before: Option<&Report>,
    now: Timestamp,
    grant: GrantId,
    (burst, period): Share,
) -> Result<Report, Timestamp> {
    if let Some(same) = before.filter(|before| before.grant == grant) {
        return Ok(*same);
    }
    let free = before.map_or(now, |before| before.free).max(now);
    let wait = free.since(now).saturating_sub(period * (burst - 1));
    match wait.is_zero() {
        true => Ok(Report {
            grant,
            free: free.after(period),
        }),
        false => Err(now.after(wait)),
    }
}

/// At once half as many as the account may make such attempts, rounded up; afterwards half as often. The rest is for necessary attempts,
/// such as the first one, which brought the reported token.
fn share_of_all(pace: Rate) -> Share {
    let burst = pace.burst().div_ceil(2);
    (burst, pace.period().saturating_mul(2))
}

/// At once one fewer than all users together, if that leaves one. Afterwards equally often: each believed report brings a new token for all
/// users.
fn share_of_one((burst, period): Share) -> Share {
    (burst.saturating_sub(1).max(1), period)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::ops::Range;

    use super::*;

    const ADS: AccountKey = AccountKey(1);

    fn pace() -> Rate {
        Rate::new(3, Duration::from_secs(120)).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO.after(Duration::from_secs(seconds))
    }

    /// At which seconds of an hour reports are believed, where these users report every token that there is.
    fn believed(users: &[u32]) -> Vec<(u64, u32)> {
        let mut reports = Reports::default();
        let seconds = (0..3600).flat_map(|second| users.iter().map(move |uid| (second, *uid)));
        let mut grant = 0;
        let is_believed = |&(second, uid): &(u64, u32)| {
            let believed = reports.believe(at(second), (ADS, uid), GrantId(grant), pace());
            // A token that is reported gives way to the next.
            grant += u64::from(believed.is_ok());
            believed.is_ok()
        };
        seconds.filter(is_believed).collect()
    }

    #[test]
    fn one_user_is_believed_less_often_than_attempts_are_allowed() {
        let seconds: Vec<_> = believed(&[20]).into_iter().map(|(at, _)| at).collect();
        assert_eq!(seconds[..3], [0, 240, 480]);
        // Attempts come back every two minutes: half of them are left to need.
        assert_eq!(seconds.len(), 15);
    }

    #[test]
    fn users_who_report_together_have_half_of_the_pace_between_them() {
        for users in [
            &[20, 21][..],
            &[20, 21, 22],
            &[20, 21, 22, 23, 24, 25, 26, 27],
        ] {
            let all = believed(users);
            assert_eq!(all[..2], [(0, 20), (0, 21)], "half of what may be made");
            assert!(all[2].0 >= 240, "{all:?}");
            // Of thirty attempts that come back in an hour.
            assert!(all.len() <= 2 + 15, "{all:?}");
        }
    }

    #[test]
    fn one_who_reports_every_token_leaves_another_a_report() {
        let mut reports = Reports::default();
        reports
            .believe(at(0), (ADS, 20), GrantId(0), pace())
            .unwrap();
        assert!(
            reports
                .believe(at(0), (ADS, 20), GrantId(1), pace())
                .is_err()
        );
        reports
            .believe(at(0), (ADS, 21), GrantId(1), pace())
            .unwrap();
        let next = reports.believe(at(0), (ADS, 22), GrantId(2), pace());
        assert_eq!(next, Err(at(240)));
    }

    #[test]
    fn a_token_that_several_users_report_is_reported_once() {
        let mut reports = Reports::default();
        for uid in 20..30 {
            reports
                .believe(at(0), (ADS, uid), GrantId(1), pace())
                .unwrap();
        }
        reports
            .believe(at(0), (ADS, 30), GrantId(2), pace())
            .unwrap();
    }

    #[test]
    fn half_of_what_may_be_made_at_once_is_left_to_need() {
        for (burst, of_all, of_one) in [
            (1, 1, 1),
            (2, 1, 1),
            (3, 2, 1),
            (5, 3, 2),
            (6, 3, 2),
            (1000, 500, 499),
        ] {
            let pace = Rate::new(burst, Duration::from_secs(60)).unwrap();
            let period = Duration::from_secs(120);
            let all = share_of_all(pace);
            assert_eq!(
                (all, share_of_one(all)),
                ((of_all, period), (of_one, period))
            );
        }
    }

    #[test]
    fn where_one_attempt_may_be_made_one_report_counts() {
        let slow = Rate::new(1, Duration::from_secs(60)).unwrap();
        let mut reports = Reports::default();
        reports.believe(at(0), (ADS, 20), GrantId(0), slow).unwrap();
        assert_eq!(
            reports.believe(at(0), (ADS, 21), GrantId(1), slow),
            Err(at(120))
        );
    }

    #[test]
    fn another_account_has_its_own() {
        let mut reports = Reports::default();
        for account in 1..5 {
            let key = (AccountKey(account), 20);
            reports.believe(at(0), key, GrantId(2), pace()).unwrap();
        }
    }

    #[test]
    fn ten_processes_that_report_one_token_report_it_once() {
        let mut reports = Reports::default();
        for _ in 0..10 {
            reports
                .believe(at(0), (ADS, 20), GrantId(1), pace())
                .unwrap();
        }
        assert!(
            reports
                .believe(at(0), (ADS, 20), GrantId(2), pace())
                .is_err()
        );
    }

    /// So many accounts of which a user reports a token each, and how many of those reports are believed.
    fn report_many(reports: &mut Reports, now: Timestamp, uid: u32, accounts: Range<u32>) -> usize {
        let report = |&account: &u32| {
            let key = (AccountKey(account), uid);
            let grant = GrantId(account.into());
            reports.believe(now, key, grant, pace()).is_ok()
        };
        accounts.filter(report).count()
    }

    #[test]
    fn one_who_reports_of_many_accounts_keeps_no_other_from_a_first_report() {
        let mut reports = Reports::default();
        assert_eq!(report_many(&mut reports, at(0), 20, 0..50_000), MOST);
        assert_eq!(reports.of_users.len(), MOST);
        // On an account of the first and on one of nobody's.
        for (uid, account) in [(21, 7), (22, 60_000), (23, 60_001), (21, 60_000)] {
            let key = (AccountKey(account), uid);
            let believed = reports.believe(at(1), key, GrantId(99), pace());
            assert_eq!(believed, Ok(()), "{uid} of {account}");
        }
        assert_eq!(reports.of_users.len(), MOST);
        // Who has the most has no more, until what was reported first is over.
        let key = (AccountKey(50_001), 20);
        let believed = reports.believe(at(1), key, GrantId(1), pace());
        assert_eq!(believed, Err(at(240)));
        assert_eq!(reports.believe(at(240), key, GrantId(1), pace()), Ok(()));
    }

    #[test]
    fn users_who_fill_what_is_remembered_share_it_evenly() {
        let mut reports = Reports::default();
        let believed = [20, 21, 22, 23].map(|uid| {
            let first = uid * 100_000;
            report_many(&mut reports, at(0), uid, first..first + 5000)
        });
        assert!(believed.iter().all(|count| *count >= 1000), "{believed:?}");
        let of = |uid| reports.of_users.keys().filter(|key| key.1 == uid).count();
        let held = [20, 21, 22, 23].map(of);
        assert_eq!(held.iter().sum::<usize>(), MOST);
        assert!(held.iter().all(|count| *count >= 1000), "{held:?}");
        // A fifth, and one who has one at the side of four who have them all.
        assert_eq!(report_many(&mut reports, at(1), 24, 1..800), 799);
    }

    #[test]
    fn what_gave_way_leaves_the_share_of_all_as_it_was() {
        let mut reports = Reports::default();
        report_many(&mut reports, at(0), 20, 5..6);
        report_many(&mut reports, at(1), 20, 6..50_000);
        // What is over first gives way to another.
        report_many(&mut reports, at(1), 21, 70_000..70_001);
        assert!(!reports.of_users.contains_key(&(AccountKey(5), 20)));
        let believed = (0..50).filter(|&number| {
            let key = (AccountKey(5), 100 + number);
            let grant = GrantId(1000 + u64::from(number));
            reports.believe(at(1), key, grant, pace()).is_ok()
        });
        assert_eq!(believed.count(), 1, "one of the two was the first user's");
    }

    #[test]
    fn whom_the_share_of_all_refuses_nothing_gives_way_to() {
        let mut reports = Reports::default();
        for (uid, grant) in [(30, 1), (31, 2)] {
            let key = (AccountKey(0), uid);
            reports.believe(at(0), key, GrantId(grant), pace()).unwrap();
        }
        report_many(&mut reports, at(0), 20, 1..50_000);
        let before: HashSet<_> = reports.of_users.keys().copied().collect();
        let believed = reports.believe(at(1), (AccountKey(0), 32), GrantId(3), pace());
        assert!(believed.is_err());
        assert!(before.iter().all(|key| reports.of_users.contains_key(key)));
    }
}
