//! The status of accounts.
//!
//! Owns how many accounts fit a page. Must never show an account the peer may not see.

use tokend_policy::Peer;
use tokend_proto::{AccountName, AccountStatus, Response, StatusPage};

use super::admission::Admitted;
use super::done::Done;
use super::pages::{fit, page};
use super::parts::Requests;
use super::refusal::gone;
use crate::broker::inbox::{Message, ask};
use crate::broker::registry::WhichAccounts;

/// How many accounts a page of `status` holds at most.
const STATUS_PAGE: usize = 25;

impl Requests {
    pub(super) fn status(
        &self,
        admitted: &Admitted<'_>,
        peer: &Peer,
        after: Option<&AccountName>,
    ) -> Done {
        let (page, mut next) = page(admitted, peer, (WhichAccounts::Status, after), STATUS_PAGE);
        let accounts = page.iter().map(|it| (it.key, it.account.name.clone()));
        let (driver, accounts) = (self.driver.clone(), accounts.collect());
        Done::Later(Box::pin(async move {
            let status = ask(&driver, |reply| Message::Status { accounts, reply });
            let Some(mut accounts) = status.await else {
                return Response::Fault(gone());
            };
            if fit(&mut accounts, status_size) {
                next = accounts.last().map(|status| status.account.clone());
            }
            Response::Status(StatusPage { accounts, next })
        }))
    }
}

fn status_size(status: &AccountStatus) -> usize {
    let problem = status.problem.as_ref().map_or(0, |fault| {
        fault.message.len() + fault.advice.as_ref().map_or(0, String::len)
    });
    let last = status
        .last_attempt
        .as_ref()
        .map_or(0, |last| last.outcome.len());
    // More than all numbers and lengths together need.
    512 + status.account.as_str().len()
        + status.dialect.len()
        + status.base_url.len()
        + problem
        + last
}
