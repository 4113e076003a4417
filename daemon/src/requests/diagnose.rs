//! Who may have what looked at.
//!
//! Owns the choice of accounts for a diagnosis: administrators all, others those they may see.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::AccountName;

use super::admission::Admitted;
use super::done::Done;
use super::parts::Requests;
use crate::broker::registry::Seen;
use crate::doctor::{PAGE, Page, caller};
use tokend_process::stack;

impl Requests {
    pub(super) fn diagnose(
        &self,
        admitted: &Admitted<'_>,
        peer: &Peer,
        after: Option<&AccountName>,
    ) -> Done {
        let epoch = admitted.snapshot;
        let mut next = None;
        let slots = match admitted.account {
            Some(slot) => vec![Arc::clone(slot)],
            None => {
                let sight = epoch.sight(peer);
                let mut visible = sight.slots(epoch, Seen::Status, after);
                let slots: Vec<_> = visible.by_ref().take(PAGE).cloned().collect();
                if visible.next().is_some() {
                    next = slots.last().map(|slot| slot.account.name.clone());
                }
                slots
            }
        };
        let page = Page {
            caller: after.is_none().then(|| caller(epoch, peer)),
            // A peer that may reload is told mistakes of the configuration with their places anyway.
            admin: admitted.rules.mistakes,
            slots,
            epoch: Arc::clone(epoch),
            next,
        };
        if after.is_none() {
            tracing::info!(peer = %peer, "a diagnosis is requested");
        }
        // It looks whether secrets can be had.
        let diagnosis = Arc::clone(&self.diagnosis).page(page);
        Done::Later(Box::pin(stack::wiped_throughout(diagnosis)))
    }
}
