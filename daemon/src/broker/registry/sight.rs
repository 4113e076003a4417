//! The accounts a peer may see, computed once for each kind of peer and configuration.
//!
//! Owns the walk over all accounts, in steps that let other tasks run in between, and the number of results that are kept. Must never be
//! computed anew for each request: otherwise a peer that asks endlessly would keep the daemon walking.

use std::sync::Arc;

use tokend_policy::{Peer, Permission, Permissions};
use tokend_proto::AccountName;

use super::sights::{Bits, Seen, Sight};
use super::{ServedAccount, Snapshot};

/// How many accounts are checked before other tasks run: about ten microseconds of work.
const STEP: usize = 256;
/// How many names on each side of a mistyped name are compared with it.
const NEAR: usize = 64;

/// A sight that is being computed.
#[derive(Debug)]
pub(crate) struct Looking {
    sight: Sight,
    /// The permissions by each policy, once it was asked.
    given: Vec<Option<Permissions>>,
    admin: Permissions,
    at: usize,
}

impl Sight {
    /// The chosen accounts, by name, after the given one.
    pub(crate) fn accounts<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        which: Seen,
        after: Option<&AccountName>,
    ) -> impl Iterator<Item = &'a Arc<ServedAccount>> + use<'a> {
        let bits = match which {
            Seen::Any => &self.any,
            Seen::Status => &self.status,
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
    /// The sight of this peer, if it is known.
    pub(crate) fn found(&self, peer: &Peer) -> Option<Arc<Sight>> {
        self.sights.of(peer)
    }

    /// The sight of this peer. Computed at once if it is unknown.
    pub(crate) fn sight(&self, peer: &Peer) -> Arc<Sight> {
        self.found(peer).unwrap_or_else(|| {
            let mut looking = Looking::begin(self, peer);
            while looking.step(self) {}
            looking.done(self)
        })
    }

    /// Computes the sight of this peer; other tasks run in between.
    pub(crate) async fn look_around(&self, peer: &Peer) -> Arc<Sight> {
        if let Some(found) = self.found(peer) {
            return found;
        }
        let mut looking = Looking::begin(self, peer);
        while looking.step(self) {
            tokio::task::yield_now().await;
        }
        looking.done(self)
    }

    /// Puts a sight back that a session computed for this peer, if others have displaced it since. False when it belongs to another
    /// configuration, or when more is known about the peer by now.
    pub(crate) fn remember(&self, peer: &Peer, sight: &Arc<Sight>) -> bool {
        let holds = sight.snapshot == self.number && sight.is_of(peer);
        if holds {
            self.sights.keep(sight);
        }
        holds
    }
}

impl Looking {
    fn begin(snapshot: &Snapshot, peer: &Peer) -> Self {
        let count = snapshot.ordered.len();
        Self {
            sight: Sight {
                peer: peer.clone(),
                snapshot: snapshot.number,
                any: Bits::of(count),
                status: Bits::of(count),
                counts: [0; Permission::ALL.len()],
            },
            given: vec![None; snapshot.kinds],
            admin: snapshot.as_administrator(peer),
            at: 0,
        }
    }

    /// Checks some more accounts. False when all are checked.
    fn step(&mut self, snapshot: &Snapshot) -> bool {
        let accounts = snapshot.ordered.get(self.at..).unwrap_or_default();
        for (at, (served, kind)) in (self.at..).zip(accounts).take(STEP) {
            let peer = &self.sight.peer;
            let own = match self.given.get_mut(*kind) {
                Some(given) => *given.get_or_insert_with(|| served.account.allow.permissions(peer)),
                None => served.account.allow.permissions(peer),
            };
            self.sight.note(at, own | self.admin);
        }
        self.at += STEP;
        self.at < snapshot.ordered.len()
    }

    fn done(self, snapshot: &Snapshot) -> Arc<Sight> {
        let sight = Arc::new(self.sight);
        snapshot.sights.keep(&sight);
        sight
    }
}

#[cfg(test)]
mod tests;
