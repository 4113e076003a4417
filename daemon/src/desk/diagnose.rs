//! Who may have what looked at.
//!
//! Owns the choice of accounts for a diagnosis: administrators all, others those they may see.

use std::sync::Arc;

use tokend_policy::{Peer, Permission, Permissions};
use tokend_proto::{AccountName, Fault};

use super::admission::allowed;
use super::{Desk, Handled};
use crate::diagnosis::{PAGE, Page, caller};

impl Desk {
    pub(super) fn diagnose(
        &self,
        peer: &Peer,
        account: Option<&AccountName>,
        after: Option<&AccountName>,
    ) -> Result<Handled, Box<Fault>> {
        let epoch = arc_swap::Guard::into_inner(self.registry.epoch());
        let status = Permissions::of(&[Permission::Status]);
        let mut next = None;
        let slots = match account {
            Some(name) => {
                allowed(&epoch, peer, name, Permission::Status)?;
                epoch.slot(name).into_iter().cloned().collect()
            }
            None => {
                let mut visible = epoch.visible(peer, status, after);
                let slots: Vec<_> = visible.by_ref().take(PAGE).cloned().collect();
                if visible.next().is_some() {
                    next = slots.last().map(|slot| slot.account.name.clone());
                }
                slots
            }
        };
        let page = Page {
            caller: after.is_none().then(|| caller(&epoch, peer)),
            // Whoever may reload is told mistakes of the configuration with their places anyway.
            admin: epoch.administers(peer, Permission::Reload).is_allowed(),
            slots,
            epoch,
            next,
        };
        if after.is_none() {
            tracing::info!(peer = %peer, "a diagnosis is asked for");
        }
        Ok(Handled::Later(Box::pin(
            Arc::clone(&self.diagnosis).page(page),
        )))
    }
}
