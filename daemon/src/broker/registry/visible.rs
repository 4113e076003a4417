//! The accounts a peer may see, computed once for each kind of peer and configuration.
//!
//! Owns the walk over all accounts, in steps that let other tasks run in between, and the number of results that are kept. Must never be
//! computed anew for each request: otherwise a peer that asks endlessly would keep the daemon walking.

use std::sync::Arc;

use tokend_policy::{Peer, Permission, Permissions};
use tokend_proto::AccountName;

use super::visible_cache::{Bits, VisibleAccounts, WhichAccounts};
use super::{ServedAccount, Snapshot};

/// How many accounts are checked before other tasks run: about ten microseconds of work.
const STEP: usize = 256;
/// How many names on each side of a mistyped name are compared with it.
const NEAR: usize = 64;

/// The visible accounts of a peer, while they are being computed.
#[derive(Debug)]
pub(crate) struct Computing {
    visible: VisibleAccounts,
    /// The permissions by each policy, once it was asked.
    granted: Vec<Option<Permissions>>,
    admin: Permissions,
    at: usize,
}

impl VisibleAccounts {
    /// The chosen accounts, by name, after the given one.
    pub(crate) fn accounts<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        which: WhichAccounts,
        after: Option<&AccountName>,
    ) -> impl Iterator<Item = &'a Arc<ServedAccount>> + use<'a> {
        let bits = match which {
            WhichAccounts::Any => &self.any,
            WhichAccounts::Status => &self.status,
        };
        let start = after.map_or(0, |after| snapshot.place_after(after));
        bits.from(start)
            .filter_map(|at| snapshot.ordered.get(at).map(|(served, _)| served))
    }

    /// Names that the peer may see and that stand near a given name in the order of names.
    pub(crate) fn near<'a>(&'a self, snapshot: &'a Snapshot, name: &AccountName) -> Vec<&'a str> {
        let place = snapshot.place_after(name);
        // The names before it need a starting point far enough ahead.
        let before = place.saturating_sub(NEAR * 64);
        let mut places: Vec<_> = self.any.from(before).take_while(|at| *at < place).collect();
        places.drain(..places.len().saturating_sub(NEAR));
        places.extend(self.any.from(place).take(NEAR));
        // A short list is searched whole.
        if places.len() < NEAR {
            places = self.any.from(0).take(NEAR).collect();
        }
        let name = |at: usize| Some(snapshot.ordered.get(at)?.0.account.name.as_str());
        places.into_iter().filter_map(name).collect()
    }
}

impl Snapshot {
    /// The visible accounts of this peer, if they are known.
    pub(crate) fn known_visible(&self, peer: &Peer) -> Option<Arc<VisibleAccounts>> {
        self.visible.of(peer)
    }

    /// The visible accounts of this peer. Computed at once if they are unknown.
    pub(crate) fn visible(&self, peer: &Peer) -> Arc<VisibleAccounts> {
        self.known_visible(peer).unwrap_or_else(|| {
            let mut computing = Computing::begin(self, peer);
            while computing.step(self) {}
            computing.done(self)
        })
    }

    /// Computes the visible accounts of this peer; other tasks run in between.
    pub(crate) async fn compute_visible(&self, peer: &Peer) -> Arc<VisibleAccounts> {
        if let Some(found) = self.known_visible(peer) {
            return found;
        }
        let mut computing = Computing::begin(self, peer);
        while computing.step(self) {
            tokio::task::yield_now().await;
        }
        computing.done(self)
    }

    /// Keeps visible accounts that a session computed for this peer, if others have displaced them since. False when they belong to another
    /// configuration, or when more is known about the peer by now.
    pub(crate) fn keep_visible(&self, peer: &Peer, visible: &Arc<VisibleAccounts>) -> bool {
        let holds = visible.snapshot == self.number && visible.is_of(peer);
        if holds {
            self.visible.keep(visible);
        }
        holds
    }
}

impl Computing {
    fn begin(snapshot: &Snapshot, peer: &Peer) -> Self {
        let count = snapshot.ordered.len();
        Self {
            visible: VisibleAccounts {
                peer: peer.clone(),
                snapshot: snapshot.number,
                any: Bits::of(count),
                status: Bits::of(count),
                counts: [0; Permission::ALL.len()],
            },
            granted: vec![None; snapshot.kinds],
            admin: snapshot.as_administrator(peer),
            at: 0,
        }
    }

    /// Checks some more accounts. False when all are checked.
    fn step(&mut self, snapshot: &Snapshot) -> bool {
        let accounts = snapshot.ordered.get(self.at..).unwrap_or_default();
        for (at, (served, kind)) in (self.at..).zip(accounts).take(STEP) {
            let peer = &self.visible.peer;
            let own = match self.granted.get_mut(*kind) {
                Some(granted) => {
                    *granted.get_or_insert_with(|| served.account.allow.permissions(peer))
                }
                None => served.account.allow.permissions(peer),
            };
            self.visible.note(at, own | self.admin);
        }
        self.at += STEP;
        self.at < snapshot.ordered.len()
    }

    fn done(self, snapshot: &Snapshot) -> Arc<VisibleAccounts> {
        let visible = Arc::new(self.visible);
        snapshot.visible.keep(&visible);
        visible
    }
}

#[cfg(test)]
mod tests;
