//! Which accounts there are.
//!
//! Owns how many lines fit a page. Must never show an account the peer may not see.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::{AccountLine, AccountName, AccountsPage, Response};

use super::admission::Admitted;
use super::pages::fit;
use crate::broker::registry::{Seen, Slot};

/// How many accounts a page of `list` holds at most.
const LIST_PAGE: usize = 300;

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
