//! The status of accounts.
//!
//! Owns how many accounts fit a page. Must never show an account the peer may not see.

use tokend_policy::Peer;
use tokend_proto::{AccountName, AccountStatus, Response, StatusPage};
use tokio::sync::oneshot;

use super::admission::Admitted;
use super::done::Done;
use super::pages::fit;
use super::parts::Requests;
use super::refusal::gone;
use crate::broker::inbox::Message;
use crate::broker::registry::Seen;

/// How many accounts a page of `status` holds at most.
const STATUS_PAGE: usize = 25;

impl Requests {
    pub(super) fn status(
        &self,
        admitted: &Admitted<'_>,
        peer: &Peer,
        after: Option<&AccountName>,
    ) -> Done {
        let snapshot = admitted.snapshot;
        let mut next = None;
        let accounts: Vec<_> = match admitted.account {
            Some(served) => vec![(served.key, served.account.name.clone())],
            None => {
                let sight = snapshot.sight(peer);
                let mut visible = sight.accounts(snapshot, Seen::Status, after);
                let page: Vec<_> = visible
                    .by_ref()
                    .take(STATUS_PAGE)
                    .map(|served| (served.key, served.account.name.clone()))
                    .collect();
                if visible.next().is_some() {
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
