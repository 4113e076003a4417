//! Lists and statuses, which come in pages.
//!
//! Owns how much of them fits a frame. Must never show an account the peer may not see.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::{
    AccountLine, AccountName, AccountStatus, AccountsPage, Fault, MAX_FRAME, Request, Response,
    StatusPage,
};
use tokio::sync::oneshot;

use super::admission::Admitted;
use super::done::Done;
use super::parts::Requests;
use super::refusal::{gone, suggest};
use crate::broker::inbox::Message;
use crate::broker::registry::{Seen, Sight, Slot};

/// How many accounts a page of `status` holds at most.
const STATUS_PAGE: usize = 25;
/// How many accounts a page of `list` holds at most.
const LIST_PAGE: usize = 300;
/// How many bytes of a page are filled; the rest of a frame is for what surrounds it.
const PAGE_BYTES: usize = MAX_FRAME - 1024;
/// Whether a request shows, or counts, what the peer may see.
fn is_view(request: &Request) -> bool {
    match request {
        Request::List { .. } | Request::Whoami | Request::Diagnose { .. } => true,
        Request::Status { account, .. } => account.is_none(),
        _ => false,
    }
}

impl Requests {
    /// Whether it has to be found first what the peer may see. `own` is what its session found before.
    pub(crate) fn is_unseen(
        &self,
        peer: &Peer,
        request: &Request,
        own: Option<&Arc<Sight>>,
    ) -> bool {
        is_view(request) && !self.has_seen(peer, own)
    }

    fn has_seen(&self, peer: &Peer, own: Option<&Arc<Sight>>) -> bool {
        let epoch = self.registry.epoch();
        epoch.found(peer).is_some() || own.is_some_and(|own| epoch.remember(peer, own))
    }

    /// Finds what the peer may see, with turns for others between.
    pub(crate) async fn look_around(&self, peer: &Peer) -> Arc<Sight> {
        let epoch = Arc::clone(&self.registry.epoch());
        epoch.look_around(peer).await
    }

    /// Adds the name that may have been meant, of those the peer may see. False when it has to be found first which those are.
    pub(crate) fn suggest(
        &self,
        peer: &Peer,
        own: Option<&Arc<Sight>>,
        account: &AccountName,
        fault: &mut Fault,
    ) -> bool {
        let seen = self.has_seen(peer, own);
        if seen {
            suggest(fault, &self.registry.epoch(), peer, account);
        }
        seen
    }

    pub(super) fn status(
        &self,
        admitted: &Admitted<'_>,
        peer: &Peer,
        after: Option<&AccountName>,
    ) -> Done {
        let epoch = admitted.snapshot;
        let mut next = None;
        let accounts: Vec<_> = match admitted.account {
            Some(slot) => vec![(slot.key, slot.account.name.clone())],
            None => {
                let sight = epoch.sight(peer);
                let mut slots = sight.slots(epoch, Seen::Status, after);
                let page: Vec<_> = slots
                    .by_ref()
                    .take(STATUS_PAGE)
                    .map(|slot| (slot.key, slot.account.name.clone()))
                    .collect();
                if slots.next().is_some() {
                    next = page.last().map(|(_, name)| name.clone());
                }
                page
            }
        };
        let driver = self.driver.clone();
        Done::Later(Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let sent = driver.send(Message::Status { accounts, reply }).await;
            let (Ok(()), Ok(mut accounts)) = (sent, answer.await) else {
                return Response::Fault(gone());
            };
            if fit(&mut accounts, status_size) {
                next = accounts.last().map(|status| status.account.clone());
            }
            Response::Status(StatusPage { accounts, next })
        }))
    }
}

pub(super) fn list(admitted: &Admitted<'_>, peer: &Peer, after: Option<&AccountName>) -> Response {
    let epoch = admitted.snapshot;
    let sight = epoch.sight(peer);
    let mut slots = sight.slots(epoch, Seen::Any, after);
    let line = |slot: &Arc<Slot>| AccountLine {
        account: slot.account.name.clone(),
        dialect: slot.account.dialect.name().to_owned(),
    };
    let mut accounts: Vec<_> = slots.by_ref().take(LIST_PAGE).map(line).collect();
    let mut more = slots.next().is_some();
    more |= fit(&mut accounts, |line| {
        32 + line.account.as_str().len() + line.dialect.len()
    });
    let next = accounts
        .last()
        .filter(|_| more)
        .map(|line| line.account.clone());
    Response::Accounts(AccountsPage { accounts, next })
}

/// Shortens a page until it fits a frame, but not to nothing. True when something was left out.
fn fit<T>(page: &mut Vec<T>, size: impl Fn(&T) -> usize) -> bool {
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

fn status_size(status: &AccountStatus) -> usize {
    let problem = status.problem.as_ref().map_or(0, |fault| {
        fault.message.len() + fault.advice.as_ref().map_or(0, String::len)
    });
    let last = status
        .last_attempt
        .as_ref()
        .map_or(0, |last| last.outcome.len());
    // More than all numbers and lengths together take.
    512 + status.account.as_str().len()
        + status.dialect.len()
        + status.base_url.len()
        + problem
        + last
}
