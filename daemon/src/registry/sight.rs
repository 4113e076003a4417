//! What a peer may see, found once for each kind of peer and configuration.
//!
//! Owns the walk over all accounts, in steps between which others have their turn, and how much of what was found is kept. Must never
//! be made anew for each request: whoever asks without end would have the daemon walk without end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokend_policy::{Peer, Permission, Permissions};
use tokend_proto::AccountName;

use super::{Epoch, Slot};

/// How many accounts are looked at before others have their turn: some ten microseconds.
const STEP: usize = 256;
/// How many kinds of peers are remembered. Each takes a quarter of a byte for each account.
const KEPT: usize = 64;
/// How many names on each side of one are looked through for the one that was meant.
const NEAR: usize = 64;

/// What a peer may see of one configuration.
#[derive(Debug)]
pub(crate) struct Sight {
    /// Whose. Processes of the same user with the same facts see the same.
    peer: Peer,
    epoch: u64,
    /// Accounts the peer may do anything with, by their places in the order of names.
    any: Bits,
    /// Accounts whose status it may see.
    status: Bits,
    /// How many accounts it may do each thing with, in the order of permissions.
    counts: [usize; Permission::ALL.len()],
}

/// Which accounts are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Those the peer may do anything with.
    Any,
    /// Those whose status it may see.
    Status,
}

/// What was found of one configuration so far.
#[derive(Debug, Default)]
pub(super) struct Sights(Mutex<VecDeque<Arc<Sight>>>);

/// One bit for each account.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

/// A sight on its way.
#[derive(Debug)]
pub(crate) struct Looking {
    sight: Sight,
    /// What each policy gives, once it was asked.
    given: Vec<Option<Permissions>>,
    admin: Permissions,
    at: usize,
}

impl Bits {
    fn of(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// Those that are set, from this place on. Skips what is not set by the word.
    fn from(&self, start: usize) -> impl Iterator<Item = usize> + '_ {
        let first = start / 64;
        let words = self.0.get(first..).unwrap_or_default();
        (first..).zip(words).flat_map(move |(at, word)| {
            let hidden = if at == first { start % 64 } else { 0 };
            let mut left = word & (u64::MAX << hidden);
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then(|| at * 64 + usize::try_from(bit).unwrap_or(0))
            })
        })
    }
}

impl Sight {
    /// How many accounts the peer may do this with.
    pub(crate) fn count_of(&self, permission: Permission) -> usize {
        let at = Permission::ALL.iter().position(|own| *own == permission);
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    /// Whether there is nothing the peer may do anything with.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// The accounts that are meant, by name, after the one given.
    pub(crate) fn slots<'a>(
        &'a self,
        epoch: &'a Epoch,
        which: Seen,
        after: Option<&AccountName>,
    ) -> impl Iterator<Item = &'a Arc<Slot>> + use<'a> {
        let bits = match which {
            Seen::Any => &self.any,
            Seen::Status => &self.status,
        };
        let start = after.map_or(0, |after| epoch.place_after(after));
        bits.from(start)
            .filter_map(|at| epoch.ordered.get(at).map(|(slot, _)| slot))
    }

    /// Names the peer may see that stand near one in the order of names.
    pub(crate) fn near<'a>(&'a self, epoch: &'a Epoch, name: &AccountName) -> Vec<&'a str> {
        let place = epoch.place_after(name);
        // What is before it has to be looked for from far enough.
        let before = place.saturating_sub(NEAR * 64);
        let mut places: Vec<_> = self.any.from(before).take_while(|at| *at < place).collect();
        places.drain(..places.len().saturating_sub(NEAR));
        places.extend(self.any.from(place).take(NEAR));
        // Few are looked through whole, wherever they stand.
        if places.len() < NEAR {
            places = self.any.from(0).take(NEAR).collect();
        }
        let name = |at: usize| Some(epoch.ordered.get(at)?.0.account.name.as_str());
        places.into_iter().filter_map(name).collect()
    }

    fn is_of(&self, peer: &Peer) -> bool {
        let own = &self.peer;
        (own.uid, own.gid) == (peer.uid, peer.gid) && own.facts() == peer.facts()
    }
}

impl Sights {
    /// What this kind of peer sees, if it was found.
    pub(super) fn of(&self, peer: &Peer) -> Option<Arc<Sight>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|sight| sight.is_of(peer)).map(Arc::clone)
    }

    /// Keeps what was found.
    pub(super) fn keep(&self, sight: &Arc<Sight>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().any(|own| own.is_of(&sight.peer)) {
            return;
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(sight));
    }
}

impl Epoch {
    /// What the peer sees, if that was found before.
    pub(crate) fn found(&self, peer: &Peer) -> Option<Arc<Sight>> {
        self.sights.of(peer)
    }

    /// What the peer sees. Found on the spot where nobody looked before.
    pub(crate) fn sight(&self, peer: &Peer) -> Arc<Sight> {
        self.found(peer).unwrap_or_else(|| {
            let mut looking = Looking::begin(self, peer);
            while looking.step(self) {}
            looking.done(self)
        })
    }

    /// Finds what the peer sees, with turns for others between.
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

    /// Puts back what a session found of this peer, where others have displaced it since. False when it was of another
    /// configuration, or when more is known about the peer by now.
    pub(crate) fn remember(&self, peer: &Peer, sight: &Arc<Sight>) -> bool {
        let holds = sight.epoch == self.number && sight.is_of(peer);
        if holds {
            self.sights.keep(sight);
        }
        holds
    }
}

impl Looking {
    fn begin(epoch: &Epoch, peer: &Peer) -> Self {
        let count = epoch.ordered.len();
        Self {
            sight: Sight {
                peer: peer.clone(),
                epoch: epoch.number,
                any: Bits::of(count),
                status: Bits::of(count),
                counts: [0; Permission::ALL.len()],
            },
            given: vec![None; epoch.kinds],
            admin: epoch.as_administrator(peer),
            at: 0,
        }
    }

    /// Looks at some more accounts. False when all were looked at.
    fn step(&mut self, epoch: &Epoch) -> bool {
        let accounts = epoch.ordered.get(self.at..).unwrap_or_default();
        for (at, (slot, kind)) in (self.at..).zip(accounts).take(STEP) {
            let peer = &self.sight.peer;
            let own = match self.given.get_mut(*kind) {
                Some(given) => *given.get_or_insert_with(|| slot.account.allow.permissions(peer)),
                None => slot.account.allow.permissions(peer),
            };
            self.sight.note(at, own | self.admin);
        }
        self.at += STEP;
        self.at < epoch.ordered.len()
    }

    fn done(self, epoch: &Epoch) -> Arc<Sight> {
        let sight = Arc::new(self.sight);
        epoch.sights.keep(&sight);
        sight
    }
}

impl Sight {
    fn note(&mut self, at: usize, may: Permissions) {
        if !may.has_any(Permissions::OF_AN_ACCOUNT) {
            return;
        }
        self.any.set(at);
        if may.has(Permission::Status) {
            self.status.set(at);
        }
        for (permission, count) in Permission::ALL.iter().zip(&mut self.counts) {
            *count += usize::from(may.has(*permission));
        }
    }
}

#[cfg(test)]
mod tests;
