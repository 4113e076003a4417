//! The list of accounts.
//!
//! Owns how many lines fit a page. Must never show an account the peer may not see.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::{AccountLine, AccountName, AccountsPage, Response};

use super::admission::Admitted;
use super::pages::{fit, page};
use crate::broker::registry::{ServedAccount, WhichAccounts};

/// How many accounts a page of `list` holds at most.
const LIST_PAGE: usize = 300;

pub(super) fn list(admitted: &Admitted<'_>, peer: &Peer, after: Option<&AccountName>) -> Response {
    let (page, mut next) = page(admitted, peer, (WhichAccounts::Any, after), LIST_PAGE);
    let line = |served: &Arc<ServedAccount>| AccountLine {
        account: served.account.name.clone(),
        dialect: served.account.dialect.name().to_owned(),
    };
    let mut accounts: Vec<_> = page.iter().map(line).collect();
    if fit(&mut accounts, |line| {
        32 + line.account.as_str().len() + line.dialect.len()
    }) {
        next = accounts.last().map(|line| line.account.clone());
    }
    Response::Accounts(AccountsPage { accounts, next })
}
