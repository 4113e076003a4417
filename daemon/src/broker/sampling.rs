//! The state of accounts at one moment: their status, and samples for metrics.
//!
//! Reads the engine, the accounts and the served tokens; changes nothing.

use std::sync::Arc;

use tokend_engine::{AccountKey, Timestamp, View};
use tokend_proto::{AccountName, AccountStatus};

use super::task::Task;
use crate::broker::accounts::AccountEntry;
use crate::broker::status;
use crate::broker::wording::FaultText;
use tokend_metrics::Sample;

impl Task {
    pub(super) fn status(
        &self,
        now: Timestamp,
        accounts: &[(AccountKey, AccountName)],
    ) -> Vec<AccountStatus> {
        let status = |(key, _): &(AccountKey, AccountName)| {
            let entry = self.accounts.entry(*key)?;
            self.status_of(entry, self.engine.view(*key, now).as_ref(), now)
        };
        accounts.iter().filter_map(status).collect()
    }

    fn status_of(
        &self,
        entry: &AccountEntry,
        view: Option<&View>,
        now: Timestamp,
    ) -> Option<AccountStatus> {
        let fault_text = self.fault_text(entry);
        match &entry.quarantined {
            Some(reason) => Some(status::quarantined(&fault_text, reason)),
            None => Some(status::of(&fault_text, &entry.served, view?, now)),
        }
    }

    pub(super) fn samples(&self, now: Timestamp, accounts: &[AccountKey]) -> Vec<Sample> {
        let sample = |key: &AccountKey| {
            let entry = self.accounts.entry(*key)?;
            let view = self.engine.view(*key, now);
            let status = self.status_of(entry, view.as_ref(), now)?;
            let view = view.filter(|_| entry.quarantined.is_none());
            let rest = view.and_then(|view| view.earliest).map(|at| at.since(now));
            Some(Sample {
                account: Arc::clone(&entry.served.account),
                state: status.state,
                has_token: status.has_token,
                remaining_ms: status.remaining_ms,
                attempts_left: status.attempts.left,
                logins_left: status.logins.left,
                failures: view.map_or(0, |view| view.failures),
                rest_ms: rest.map(status::millis),
                waiters: status.waiters,
                unpersisted: status.unpersisted,
                tried: entry.tried.as_deref().copied().unwrap_or_default(),
            })
        };
        accounts.iter().filter_map(sample).collect()
    }

    pub(super) fn fault_text<'a>(&'a self, entry: &'a AccountEntry) -> FaultText<'a> {
        let key = entry.served.key;
        let now = self.clock.steady();
        let view = self.engine.view(key, now);
        FaultText {
            account: &entry.served.account,
            notes: &entry.notes,
            clock: &self.clock,
            withheld: self.engine.withheld(key, now),
            blocked: view.is_some_and(|view| view.block.is_some()),
        }
    }
}
