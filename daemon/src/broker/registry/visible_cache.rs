//! The visible accounts of the last kinds of peers, and how many of those are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokend_policy::{Peer, Permission, Permissions};

/// How many kinds of peers are remembered. Each takes a quarter of a byte for each account.
pub(super) const KEPT: usize = 64;
/// What a peer may see of one configuration.
#[derive(Debug)]
pub(crate) struct VisibleAccounts {
    /// The kind of peer. Processes of the same user with the same facts see the same accounts.
    pub(super) peer: Peer,
    pub(super) snapshot: u64,
    /// Accounts on which the peer has any permission, by their positions in the order of names.
    pub(super) any: Bits,
    /// Accounts whose status the peer may see.
    pub(super) status: Bits,
    /// On how many accounts the peer has each permission, in the order of permissions.
    pub(super) counts: [usize; Permission::ALL.len()],
}

/// A choice of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhichAccounts {
    /// Those on which the peer has any permission.
    Any,
    /// Those whose status the peer may see.
    Status,
}

/// What was computed for one configuration so far.
#[derive(Debug, Default)]
pub(super) struct VisibleCache(Mutex<VecDeque<Arc<VisibleAccounts>>>);

/// One bit for each account.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn of(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    pub(super) fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// The set positions from this one on. Unset bits are skipped by the word.
    pub(super) fn from(&self, start: usize) -> impl Iterator<Item = usize> + '_ {
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

impl VisibleAccounts {
    /// On how many accounts the peer has this permission.
    pub(crate) fn count_of(&self, permission: Permission) -> usize {
        let at = Permission::ALL.iter().position(|own| *own == permission);
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    /// Whether the peer has no permission on any account.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    pub(super) fn is_of(&self, peer: &Peer) -> bool {
        let own = &self.peer;
        (own.uid, own.gid) == (peer.uid, peer.gid) && own.facts() == peer.facts()
    }

    pub(super) fn note(&mut self, at: usize, may: Permissions) {
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

impl VisibleCache {
    /// The visible accounts of this kind of peer, if they are kept.
    pub(super) fn of(&self, peer: &Peer) -> Option<Arc<VisibleAccounts>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|visible| visible.is_of(peer))
            .map(Arc::clone)
    }

    /// Keeps these; the oldest give way.
    pub(super) fn keep(&self, visible: &Arc<VisibleAccounts>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().any(|own| own.is_of(&visible.peer)) {
            return;
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(visible));
    }
}
