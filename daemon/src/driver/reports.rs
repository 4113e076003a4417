//! How often one user's reports that a token was refused are believed.
//!
//! Owns the share of each user: less than the pace of the account allows, so that somebody who reports every token leaves others the
//! next one. Must never keep anybody from the token that is held.

use std::collections::HashMap;
use std::time::Duration;

use tokend_engine::{AccountKey, GrantId, Rate, Timestamp};

/// How many users are remembered for all accounts. A report beyond that is not believed until one is over.
const MOST: usize = 4096;

/// What users have reported.
#[derive(Debug, Default)]
pub(super) struct Reports(HashMap<(AccountKey, u32), Report>);

#[derive(Debug)]
struct Report {
    /// Which token was reported last. To report it again is not another report.
    grant: GrantId,
    /// When as many may be reported at once again as at first.
    free: Timestamp,
}

impl Reports {
    /// A user reports the token of this grant.
    ///
    /// # Errors
    /// When the next report of the user is believed, if this one is not.
    pub(super) fn believe(
        &mut self,
        now: Timestamp,
        (account, uid): (AccountKey, u32),
        grant: GrantId,
        attempts: Rate,
    ) -> Result<(), Timestamp> {
        let (burst, period) = share(attempts);
        let own = self.0.get(&(account, uid));
        let own = own.map(|own| (own.grant, own.free));
        if own.is_some_and(|(last, _)| last == grant) {
            return Ok(());
        }
        if own.is_none() && self.0.len() >= MOST {
            self.0.retain(|_, report| report.free > now);
            if self.0.len() >= MOST {
                return Err(now.after(period));
            }
        }
        let free = own.map_or(now, |(_, free)| free).max(now);
        let wait = free.since(now).saturating_sub(period * (burst - 1));
        if !wait.is_zero() {
            return Err(now.after(wait));
        }
        let free = free.after(period);
        self.0.insert((account, uid), Report { grant, free });
        Ok(())
    }
}

/// One less at once than the account may make attempts, and half as often afterwards.
fn share(attempts: Rate) -> (u32, Duration) {
    let burst = attempts.burst().saturating_sub(1).max(1);
    (burst, attempts.period().saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADS: AccountKey = AccountKey(1);

    fn pace() -> Rate {
        Rate::new(3, Duration::from_secs(120)).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn one_user_is_believed_less_often_than_attempts_are_allowed() {
        let mut reports = Reports::default();
        let mut believed = Vec::new();
        for second in 0..3600 {
            let grant = GrantId(second);
            if reports
                .believe(at(second), (ADS, 20), grant, pace())
                .is_ok()
            {
                believed.push(second);
            }
        }
        assert_eq!(believed[..3], [0, 1, 240]);
        // Attempts come back every two minutes: half of them are left to others.
        assert_eq!(believed.len(), 2 + 14);
    }

    #[test]
    fn another_user_and_another_account_have_their_own() {
        let mut reports = Reports::default();
        for grant in 0..2 {
            reports
                .believe(at(0), (ADS, 20), GrantId(grant), pace())
                .unwrap();
        }
        let next = reports.believe(at(0), (ADS, 20), GrantId(2), pace());
        assert_eq!(next, Err(at(240)));
        reports
            .believe(at(0), (ADS, 21), GrantId(2), pace())
            .unwrap();
        reports
            .believe(at(0), (AccountKey(2), 20), GrantId(2), pace())
            .unwrap();
        reports
            .believe(at(240), (ADS, 20), GrantId(3), pace())
            .unwrap();
    }

    #[test]
    fn ten_processes_that_report_one_token_report_it_once() {
        let mut reports = Reports::default();
        for _ in 0..10 {
            reports
                .believe(at(0), (ADS, 20), GrantId(1), pace())
                .unwrap();
        }
        reports
            .believe(at(0), (ADS, 20), GrantId(2), pace())
            .unwrap();
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let mut reports = Reports::default();
        for uid in 0..u32::try_from(MOST).unwrap() {
            reports
                .believe(at(0), (ADS, uid), GrantId(1), pace())
                .unwrap();
        }
        assert!(
            reports
                .believe(at(1), (ADS, 9_999), GrantId(1), pace())
                .is_err()
        );
        reports
            .believe(at(300), (ADS, 9_999), GrantId(1), pace())
            .unwrap();
    }
}
