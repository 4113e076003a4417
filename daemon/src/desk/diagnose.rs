//! Who may have what looked at.
//!
//! Owns the choice of accounts for a diagnosis: administrators all, others those they may see.

use std::sync::Arc;

use tokend_policy::{Peer, Permission};
use tokend_proto::AccountName;

use super::done::Done;
use super::service::Desk;
use crate::diagnosis::{PAGE, Page, caller};
use crate::registry::{Epoch, Seen, Slot};
use tokend_process::stack;

impl Desk {
    pub(super) fn diagnose(
        &self,
        epoch: &Arc<Epoch>,
        peer: &Peer,
        one: Option<&Arc<Slot>>,
        after: Option<&AccountName>,
    ) -> Done {
        let mut next = None;
        let slots = match one {
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
            // Whoever may reload is told mistakes of the configuration with their places anyway.
            admin: epoch.administers(peer, Permission::Reload).is_ok(),
            slots,
            epoch: Arc::clone(epoch),
            next,
        };
        if after.is_none() {
            tracing::info!(peer = %peer, "a diagnosis is asked for");
        }
        // It looks whether secrets can be had.
        let diagnosis = Arc::clone(&self.diagnosis).page(page);
        Done::Later(Box::pin(stack::wiped_throughout(diagnosis)))
    }
}
