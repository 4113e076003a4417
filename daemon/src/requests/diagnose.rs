//! Permission for a diagnosis.
//!
//! Owns the choice of accounts for a diagnosis: all for administrators, for others those they may see.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::AccountName;

use super::admission::Admitted;
use super::done::Done;
use super::pages::page;
use super::parts::Requests;
use crate::broker::registry::WhichAccounts;
use crate::doctor::{PAGE, Page, caller};
use tokend_process::stack;

impl Requests {
    pub(super) fn diagnose(
        &self,
        admitted: &Admitted<'_>,
        peer: &Peer,
        after: Option<&AccountName>,
    ) -> Done {
        let snapshot = admitted.snapshot;
        // One account has one page.
        let after = after.filter(|_| admitted.account.is_none());
        let (accounts, next) = page(admitted, peer, (WhichAccounts::Status, after), PAGE);
        let page = Page {
            caller: after.is_none().then(|| caller(snapshot, peer)),
            // A peer that may reload gets mistakes of the configuration with their places anyway.
            admin: admitted.rules.mistakes,
            sinks: Arc::clone(self.registry.sinks()),
            accounts,
            snapshot: Arc::clone(snapshot),
            next,
        };
        if after.is_none() {
            tracing::info!(peer = %peer, "a diagnosis is requested");
        }
        // The diagnosis checks whether secrets can be read.
        let diagnosis = Arc::clone(&self.diagnosis).page(page);
        Done::Later(Box::pin(stack::wiped_throughout(diagnosis)))
    }
}
