//! The list of accounts.
//!
//! Owns how many lines fit a page. Must never show an account the peer may not see.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::{AccountLine, AccountName, AccountsPage, Response};

use super::admission::Admitted;
use super::pages::fit;
use crate::broker::registry::{Seen, ServedAccount};

/// How many accounts a page of `list` holds at most.
const LIST_PAGE: usize = 300;

pub(super) fn list(admitted: &Admitted<'_>, peer: &Peer, after: Option<&AccountName>) -> Response {
    let snapshot = admitted.snapshot;
    let sight = snapshot.sight(peer);
    let mut visible = sight.accounts(snapshot, Seen::Any, after);
    let line = |served: &Arc<ServedAccount>| AccountLine {
        account: served.account.name.clone(),
        dialect: served.account.dialect.name().to_owned(),
    };
    let mut accounts: Vec<_> = visible.by_ref().take(LIST_PAGE).map(line).collect();
    let mut more = visible.next().is_some();
    more |= fit(&mut accounts, |line| {
        32 + line.account.as_str().len() + line.dialect.len()
    });
    let next = accounts
        .last()
        .filter(|_| more)
        .map(|line| line.account.clone());
    Response::Accounts(AccountsPage { accounts, next })
}
