//! What accounts with the same login share of their rate limits.
//!
//! Owns what is passed on and how it is taken over. Must never give back anything that was used up.

use crate::account::Account;
use crate::backoff;
use crate::durable::Deferral;
use crate::event::LoginUsed;
use crate::pace::{Rate, Tat};
use crate::time::Timestamp;

impl Account {
    /// What this account's login has used up so far.
    pub(crate) fn spent_so_far(&self) -> LoginUsed {
        let deferral = self.deferral.filter(|deferral| deferral.by_provider);
        LoginUsed {
            attempts: self.attempts,
            logins: self.logins,
            deferred_until: deferral.map(|deferral| deferral.until),
            attempt_by: None,
            login_by: None,
        }
    }

    /// Takes over what its login used up under another account name: to the provider it is the same login.
    pub(crate) fn inherit(&mut self, spent: LoginUsed, now: Timestamp) {
        let before = (self.attempts, self.logins, self.deferral);
        let charged = |rate: Rate, tat: Tat, by: Option<Timestamp>| {
            let tat = rate.clamp(tat, now);
            by.map_or(tat, |by| rate.spent(tat, by.min(now)))
        };
        let (attempts, logins) = (self.plan.attempts, self.plan.logins);
        let attempts = charged(attempts, spent.attempts, spent.attempt_by);
        let logins = charged(logins, spent.logins, spent.login_by);
        self.attempts = self.attempts.max(attempts);
        self.logins = self.logins.max(logins);
        let deferral = spent.deferred_until.and_then(|until| {
            let by_provider = true;
            backoff::clamp(Deferral { until, by_provider }, now)
        });
        if let Some(deferral) = deferral
            && self.deferral.is_none_or(|own| own.until < deferral.until)
        {
            self.deferral = Some(deferral);
        }
        self.dirty |= before != (self.attempts, self.logins, self.deferral);
    }
}
