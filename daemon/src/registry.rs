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
use tokend_policy::{Decision, Needs, Peer, Permission, Permissions, Policy};

use crate::audit::Mark;

/// The configuration in force, as far as sessions need it.
#[derive(Debug)]
pub(crate) struct Registry(ArcSwap<Epoch>);

/// One loaded configuration.
#[derive(Debug, Default)]
pub(crate) struct Epoch {
    slots: HashMap<AccountName, Arc<Slot>>,
    /// The names in order, for lists that come in pages.
    names: Vec<AccountName>,
    admin: Arc<Policy>,
    /// Which facts the rules of any account or of `admin` need.
    needs: Needs,
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
    /// Its fingerprint, for records.
    pub(crate) mark: Mark,
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
    pub(crate) fn new(slots: impl IntoIterator<Item = Arc<Slot>>, admin: Arc<Policy>) -> Self {
        let slots: HashMap<_, _> = slots
            .into_iter()
            .map(|slot| (slot.account.name.clone(), slot))
            .collect();
        let mut names: Vec<_> = slots.keys().cloned().collect();
        names.sort_unstable();
        let needs = slots.values().fold(admin.needs(), |needs, slot| {
            needs | slot.account.allow.needs()
        });
        Self {
            slots,
            names,
            admin,
            needs,
        }
    }

    /// The account of this name.
    pub(crate) fn slot(&self, name: &AccountName) -> Option<&Arc<Slot>> {
        self.slots.get(name)
    }

    /// All accounts, by name.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.names.iter().filter_map(|name| self.slots.get(name))
    }

    /// The rule that gives the peer the permission: its policy, and which of its rules. For records.
    pub(crate) fn rule_for(
        &self,
        peer: &Peer,
        account: Option<&AccountName>,
        permission: Permission,
    ) -> Option<(Arc<Policy>, usize)> {
        let own = account.and_then(|account| self.slots.get(account));
        let own = own.map(|slot| &slot.account.allow);
        own.into_iter().chain([&self.admin]).find_map(|policy| {
            match policy.decide(peer, permission) {
                Decision::Allowed(rule) => Some((Arc::clone(policy), rule)),
                Decision::Denied(_) => None,
            }
        })
    }

    /// How many accounts there are.
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Which facts have to be read before the peer is told what it may do with the account, or with any where none is named.
    ///
    /// Those its rules need; but whoever may do nothing with it must not learn from what was read that it exists.
    pub(crate) fn lacks(&self, peer: &Peer, account: Option<&AccountName>) -> Needs {
        let asked = peer.asked();
        if self.needs.without(asked).is_empty() {
            return Needs::NONE;
        }
        let Some(slot) = account.and_then(|account| self.slot(account)) else {
            return self.needs.without(asked);
        };
        let own = (self.admin.needs() | slot.account.allow.needs()).without(asked);
        if own.is_empty() && !self.knows(peer, slot) {
            return self.needs.without(asked);
        }
        own
    }

    /// Which facts the rules in force need.
    pub(crate) fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether the peer may do anything with the account.
    pub(crate) fn knows(&self, peer: &Peer, slot: &Slot) -> bool {
        let allow = &slot.account.allow;
        let may = allow.permissions(peer) | self.as_administrator(peer);
        may.has_any(Permissions::OF_AN_ACCOUNT)
    }

    /// Whether the peer may do this with the account.
    pub(crate) fn decide(&self, peer: &Peer, slot: &Slot, permission: Permission) -> Decision {
        match slot.account.allow.decide(peer, permission) {
            Decision::Denied(unread) => self.decide_for_all(peer, permission, unread),
            allowed => allowed,
        }
    }

    /// Whether the peer may do this with every account, or with the daemon itself: as an administrator.
    pub(crate) fn administers(&self, peer: &Peer, permission: Permission) -> Decision {
        self.decide_for_all(peer, permission, Needs::NONE)
    }

    fn decide_for_all(&self, peer: &Peer, permission: Permission, unread: Needs) -> Decision {
        match self.admin.decide(peer, permission) {
            Decision::Denied(more) => Decision::Denied(unread | more),
            allowed => allowed,
        }
    }

    /// What the peer may do with every account, and with the daemon itself.
    pub(crate) fn as_administrator(&self, peer: &Peer) -> Permissions {
        self.admin.permissions(peer)
    }

    /// How many accounts the peer may do this with.
    pub(crate) fn count_of(&self, peer: &Peer, permission: Permission) -> usize {
        if self.administers(peer, permission).is_allowed() {
            return self.count();
        }
        let allowed = |slot: &&Arc<Slot>| {
            let allow = &slot.account.allow;
            allow.decide(peer, permission).is_allowed()
        };
        self.slots.values().filter(allowed).count()
    }

    /// The accounts the peer may do anything of these with, by name, after the one given.
    pub(crate) fn visible<'a>(
        &'a self,
        peer: &'a Peer,
        any_of: Permissions,
        after: Option<&AccountName>,
    ) -> impl Iterator<Item = &'a Arc<Slot>> + use<'a> {
        let start = after.map_or(0, |after| self.names.partition_point(|name| name <= after));
        let admin = self.as_administrator(peer).has_any(any_of);
        self.names
            .get(start..)
            .unwrap_or_default()
            .iter()
            .filter_map(|name| self.slots.get(name))
            .filter(move |slot| admin || slot.account.allow.permissions(peer).has_any(any_of))
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
