//! The accounts a peer may see, in pages that fit a frame.
//!
//! Owns how much of a page fits, and whether the peer's visible accounts have to be computed first. Must never show an account the peer may
//! not see.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::{AccountName, Fault, MAX_FRAME, Request};

use super::admission::Admitted;
use super::parts::Requests;
use super::refusal::suggest;
use crate::broker::registry::{ServedAccount, VisibleAccounts, WhichAccounts};

/// The number of bytes of a page that are filled; the rest of a frame is for its envelope.
const PAGE_BYTES: usize = MAX_FRAME - 1024;

/// Whether a request shows, or counts, accounts that the peer may see.
fn is_view(request: &Request) -> bool {
    match request {
        Request::List { .. } | Request::Whoami | Request::Diagnose { .. } => true,
        Request::Status { account, .. }
        | Request::Sinks { account, .. }
        | Request::Apis { account, .. } => account.is_none(),
        _ => false,
    }
}

impl Requests {
    /// Whether the peer's visible accounts have to be computed first. `own` are those that its session has.
    pub(crate) fn must_compute_visible(
        &self,
        peer: &Peer,
        request: &Request,
        own: Option<&Arc<VisibleAccounts>>,
    ) -> bool {
        is_view(request) && !self.knows_visible(peer, own)
    }

    fn knows_visible(&self, peer: &Peer, own: Option<&Arc<VisibleAccounts>>) -> bool {
        let snapshot = self.registry.snapshot();
        snapshot.known_visible(peer).is_some()
            || own.is_some_and(|own| snapshot.keep_visible(peer, own))
    }

    /// Computes the peer's visible accounts; other tasks run in between.
    pub(crate) async fn compute_visible(&self, peer: &Peer) -> Arc<VisibleAccounts> {
        let snapshot = Arc::clone(&self.registry.snapshot());
        snapshot.compute_visible(peer).await
    }

    /// Adds the name that was probably meant, of those the peer may see. False when those have to be computed first.
    pub(crate) fn suggest(
        &self,
        peer: &Peer,
        own: Option<&Arc<VisibleAccounts>>,
        account: &AccountName,
        fault: &mut Fault,
    ) -> bool {
        let seen = self.knows_visible(peer, own);
        if seen {
            suggest(fault, &self.registry.snapshot(), peer, account);
        }
        seen
    }
}

/// A page of the accounts that the peer may see, after this one; or the account that the request is about. With the name of the last account
/// of the page if others follow.
pub(super) fn page(
    admitted: &Admitted<'_>,
    peer: &Peer,
    (which, after): (WhichAccounts, Option<&AccountName>),
    most: usize,
) -> (Vec<Arc<ServedAccount>>, Option<AccountName>) {
    if let Some(served) = admitted.account {
        return (vec![Arc::clone(served)], None);
    }
    let visible = admitted.snapshot.visible(peer);
    let mut visible = visible.accounts(admitted.snapshot, which, after);
    let page: Vec<_> = visible.by_ref().take(most).cloned().collect();
    let last = page.last().filter(|_| visible.next().is_some());
    let next = last.map(|served| served.account.name.clone());
    (page, next)
}

/// Shortens a page until it fits a frame, but not to nothing. True when entries were left out.
pub(super) fn fit<T>(page: &mut Vec<T>, size: impl Fn(&T) -> usize) -> bool {
    let mut left = PAGE_BYTES;
    let fits = page.iter().take_while(|line| {
        let rest = left.checked_sub(size(line));
        left = rest.unwrap_or(0);
        rest.is_some()
    });
    let count = fits.count().max(1);
    let cut = page.len() > count;
    page.truncate(count);
    cut
}
