//! Who is served, and with what: the part of the daemon that sessions read without asking anybody.
//!
//! Owns the accounts of the configuration in force and the token of each. A session looks an account up and answers from its
//! slot; only a miss becomes an event for the driver. Only the driver writes here, and a reload replaces the whole at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokend_engine::{AccountKey, Asked, Held, Timestamp};
use tokend_proto::{AccountName, SecretText};

use tokend_config::Account;
use tokend_policy::Peer;
use tokend_policy::{self as policy, Rule};

/// The configuration in force, as far as sessions need it.
#[derive(Debug)]
pub(crate) struct Registry(ArcSwap<Epoch>);

/// One loaded configuration.
#[derive(Debug, Default)]
pub(crate) struct Epoch {
    slots: HashMap<AccountName, Arc<Slot>>,
    /// The names in order, for lists that come in pages.
    names: Vec<AccountName>,
    admin: Arc<[Rule]>,
}

/// An account of a loaded configuration.
#[derive(Debug)]
pub(crate) struct Slot {
    /// What the engine calls it.
    pub(crate) key: AccountKey,
    /// Its configuration.
    pub(crate) account: Arc<Account>,
    /// What outlives a reload that does not change the account's identity.
    pub(crate) held: Arc<Holding>,
}

/// What is held for an account while the daemon runs.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    token: ArcSwapOption<IssuedToken>,
    asked: Asked,
}

/// An access token as it is handed out.
#[derive(Debug)]
pub(crate) struct IssuedToken {
    pub(crate) text: SecretText,
    pub(crate) token_type: Box<str>,
    pub(crate) scope: Option<Box<str>>,
    pub(crate) held: Held,
    /// From when on the first session that hands it out tells the driver.
    pub(crate) ahead: Timestamp,
    /// Whether one has.
    pub(crate) told: AtomicBool,
    /// Whether it is only in memory, because the store refused it.
    pub(crate) unpersisted: bool,
}

impl Registry {
    /// A registry in which nobody is served yet.
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(Epoch::default()))
    }

    /// The configuration in force now.
    pub(crate) fn epoch(&self) -> arc_swap::Guard<Arc<Epoch>> {
        self.0.load()
    }

    /// Puts a configuration in force.
    pub(crate) fn replace(&self, epoch: Arc<Epoch>) {
        self.0.store(epoch);
    }
}

impl Epoch {
    /// A configuration with these accounts.
    pub(crate) fn new(slots: impl IntoIterator<Item = Arc<Slot>>, admin: Arc<[Rule]>) -> Self {
        let slots: HashMap<_, _> = slots
            .into_iter()
            .map(|slot| (slot.account.name.clone(), slot))
            .collect();
        let mut names: Vec<_> = slots.keys().cloned().collect();
        names.sort_unstable();
        Self {
            slots,
            names,
            admin,
        }
    }

    /// The account of this name.
    pub(crate) fn slot(&self, name: &AccountName) -> Option<&Arc<Slot>> {
        self.slots.get(name)
    }

    /// How many accounts there are.
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Whether the peer may do what only an administrator may.
    pub(crate) fn is_admin(&self, peer: &Peer) -> bool {
        policy::decide(peer, &self.admin).is_allowed()
    }

    /// Whether the peer may see the account: have its token, or administer it.
    pub(crate) fn may_see(&self, peer: &Peer, slot: &Slot) -> bool {
        slot.allows(peer) || self.is_admin(peer)
    }

    /// The accounts the peer may see, by name, after the one given.
    pub(crate) fn visible<'a>(
        &'a self,
        peer: &'a Peer,
        after: Option<&AccountName>,
    ) -> impl Iterator<Item = &'a Arc<Slot>> + use<'a> {
        let start = after.map_or(0, |after| self.names.partition_point(|name| name <= after));
        let admin = self.is_admin(peer);
        self.names
            .get(start..)
            .unwrap_or_default()
            .iter()
            .filter_map(|name| self.slots.get(name))
            .filter(move |slot| admin || slot.allows(peer))
    }
}

impl Slot {
    /// Whether the peer may have the account's token.
    pub(crate) fn allows(&self, peer: &Peer) -> bool {
        policy::decide(peer, &self.account.allow).is_allowed()
    }
}

impl Holding {
    /// The token to hand out, if one is published. The caller checks its time.
    pub(crate) fn token(&self) -> arc_swap::Guard<Option<Arc<IssuedToken>>> {
        self.token.load()
    }

    pub(crate) fn publish(&self, token: IssuedToken) {
        self.token.store(Some(Arc::new(token)));
    }

    /// Serves no token any more. Returns the one that was served.
    pub(crate) fn retire(&self) -> Option<Arc<IssuedToken>> {
        self.token.swap(None)
    }

    /// Where sessions note that somebody asked; shared with the engine.
    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }
}

impl IssuedToken {
    /// Notes that it was handed out. True for the first time it is due to be refreshed: then the driver must know.
    pub(crate) fn is_first_late_use(&self, now: Timestamp) -> bool {
        now >= self.ahead && !self.told.swap(true, Ordering::Relaxed)
    }
}
