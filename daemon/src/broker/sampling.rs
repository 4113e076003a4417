//! The state of accounts at one moment: their status, and samples for metrics.
//!
//! Reads the engine, the accounts and the served tokens; changes nothing.

use std::sync::Arc;

use tokend_engine::{AccountKey, Timestamp};
use tokend_proto::{AccountName, AccountStatus};

use super::task::Task;
use crate::broker::registry::ServedAccount;
use crate::broker::status;
use crate::broker::wording::FaultText;
use tokend_metrics::Sample;
use tokend_record::Notes;

impl Task {
    pub(super) fn status(
        &self,
        now: Timestamp,
        accounts: &[(AccountKey, AccountName)],
    ) -> Vec<AccountStatus> {
        let status = |(key, _): &(AccountKey, AccountName)| {
            let entry = self.accounts.entry(*key)?;
            let fault_text = self.fault_text(&entry.served, &entry.notes);
            match (&entry.quarantined, self.engine.view(*key, now)) {
                (Some(reason), _) => Some(status::quarantined(&fault_text, reason)),
                (None, view) => Some(status::of(&fault_text, &entry.served, &view?, now)),
            }
        };
        accounts.iter().filter_map(status).collect()
    }

    pub(super) fn samples(&self, now: Timestamp, accounts: &[AccountKey]) -> Vec<Sample> {
        let sample = |key: &AccountKey| {
            let entry = self.accounts.entry(*key)?;
            let fault_text = self.fault_text(&entry.served, &entry.notes);
            let view = self.engine.view(*key, now);
            let status = match (&entry.quarantined, &view) {
                (Some(reason), _) => status::quarantined(&fault_text, reason),
                (None, view) => status::of(&fault_text, &entry.served, view.as_ref()?, now),
            };
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
                rest_ms: rest.map(|rest| u64::try_from(rest.as_millis()).unwrap_or(u64::MAX)),
                waiters: status.waiters,
                unpersisted: status.unpersisted,
                tried: entry.tried.as_deref().copied().unwrap_or_default(),
            })
        };
        accounts.iter().filter_map(sample).collect()
    }

    pub(super) fn fault_text<'a>(
        &'a self,
        served: &'a ServedAccount,
        notes: &'a Notes,
    ) -> FaultText<'a> {
        let now = self.clock.steady();
        let view = self.engine.view(served.key, now);
        FaultText {
            account: &served.account,
            notes,
            clock: &self.clock,
            withheld: self.engine.withheld(served.key, now),
            blocked: view.is_some_and(|view| view.block.is_some()),
        }
    }
}
