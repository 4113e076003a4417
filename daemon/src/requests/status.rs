//! The status of accounts, and of the sinks that keep their tokens in files.
//!
//! Owns how many accounts fit a page. Must never show an account the peer may not see.

use tokend_policy::Peer;
use tokend_proto::{AccountName, Request, Response, StatusPage};

use super::admission::Admitted;
use super::done::Done;
use super::pages::{fit, page};
use super::parts::Requests;
use super::refusal::gone;
use crate::broker::inbox::{Message, ask};
use crate::broker::registry::WhichAccounts;
use crate::broker::status::size_of;

/// How many accounts a page of `status` holds at most.
const STATUS_PAGE: usize = 25;
/// How many accounts a page of `sinks` goes through at most.
const SINKS_PAGE: usize = 200;

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
            if fit(&mut accounts, size_of) {
                next = accounts.last().map(|status| status.account.clone());
            }
            Response::Status(StatusPage { accounts, next })
        }))
    }

    /// The sinks that report, of accounts whose status the peer may see.
    pub(super) fn sinks(
        &self,
        admitted: &Admitted<'_>,
        peer: &Peer,
        after: Option<&AccountName>,
    ) -> Done {
        let (page, next) = page(admitted, peer, (WhichAccounts::Status, after), SINKS_PAGE);
        let accounts = page.iter().map(|it| &it.account.name);
        Done::Now(self.registry.sinks().page(accounts, next))
    }

    /// What a sink has to say of itself.
    pub(super) fn sink_report(&self, peer: &Peer, report: Request) -> Done {
        match self.registry.sinks().report(peer.uid, report) {
            Ok(standing) => Done::Later(Box::pin(standing)),
            Err(fault) => Done::Now(Response::Fault(fault)),
        }
    }
}
