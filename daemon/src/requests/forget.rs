//! Forgets an account completely.
//!
//! Owns the order: first every account of that name whose work still runs, so that no answer of a provider stores anything afterwards; then
//! the claims on their records, which the store thread releases a moment later; then the records, by that thread. Must never say
//! "forgotten" before all of it is done, nor while a reload may bring back a record that was read before.

use std::sync::Arc;

use tokend_policy::Peer;
use tokend_proto::{AccountName, Fault, FaultCode, Response};

use super::admission::Admitted;
use super::done::{Done, to_the_end};
use super::parts::Requests;
use super::refusal::{brought_back, gone, not_forgotten, unknown};
use crate::broker::inbox::{Driver, DriverAnswer, Message, ask};
use crate::broker::job::StoreJob;
use crate::reload::NotApplied;
use tokend_record::RecordKey;

impl Requests {
    /// Drops every secret under a name: of the account as it is configured, of accounts configured under that name before, and of an
    /// account that is no longer configured.
    pub(super) fn forget(
        &self,
        admitted: &Admitted<'_>,
        peer: &Peer,
        account: &AccountName,
    ) -> Done {
        let served = admitted.account;
        tracing::info!(account = %account, peer = %peer, "an account is to be forgotten");
        let keep = served.and_then(|served| RecordKey::of(&served.account));
        let configured = served.map(|served| served.key);
        let first = match configured {
            Some(account) => self.ask(admitted, |reply| Message::Forget { account, reply }),
            None => {
                let snapshot = admitted.snapshot;
                let may = snapshot.as_administrator(peer);
                Done::Now(Response::Fault(*unknown(snapshot, peer, account, may)))
            }
        };
        let (reloader, driver) = (Arc::clone(&self.reloader), self.driver.clone());
        let registry = Arc::clone(&self.registry);
        let account = account.clone();
        to_the_end(async move {
            let first = match first {
                Done::Now(response) => response,
                Done::Later(pending) => pending.await,
            };
            if let (Some(_), Response::Fault(fault)) = (configured, &first) {
                return Response::Fault(fault.clone());
            }
            // Answers to these accounts may be on the way: an earlier purge would miss their secrets.
            let former = match former(&driver, &account).await {
                Ok(former) => former,
                Err(fault) => return Response::Fault(*fault),
            };
            // A reload in progress may have read a record before the purge, and serve its secrets afterwards.
            let _no_reload = reloader.pause().await;
            let snapshot = registry.snapshot();
            if snapshot.served(&account).map(|served| served.key) != configured {
                return Response::Fault(brought_back(&account));
            }
            let purged = match reached(&driver).await {
                Ok(()) => reloader.purge(&account, keep).await,
                Err(why) => Err(why),
            };
            match purged {
                Ok(0) if former == 0 => first,
                Ok(_) => Response::Done {
                    message: format!("account {account} is forgotten"),
                },
                Err(NotApplied::Stopping) => Response::Fault(gone()),
                Err(why) => Response::Fault(not_forgotten(&account, &why.to_string())),
            }
        })
    }
}

/// Forgets accounts that were configured under a name before and still have running work. Returns their number.
async fn former(driver: &Driver, name: &AccountName) -> Result<usize, Box<Fault>> {
    let account = name.clone();
    let keys = ask(driver, |reply| Message::Former { account, reply }).await;
    let mut forgotten = 0;
    for account in keys.ok_or_else(gone)? {
        let answer = ask(driver, |reply| Message::Forget { account, reply }).await;
        match answer.ok_or_else(gone)? {
            // The work has ended meanwhile, and its result is in the record.
            DriverAnswer::Fault(fault) if fault.code == FaultCode::UnknownAccount => {}
            DriverAnswer::Fault(fault) => return Err(fault),
            DriverAnswer::Done(_) | DriverAnswer::Token(_) => forgotten += 1,
        }
    }
    Ok(forgotten)
}

/// Waits until the store thread has done all earlier jobs. An account whose work has ended for the driver may still be claimed there, and a
/// record that another party has claimed cannot be purged.
async fn reached(driver: &Driver) -> Result<(), NotApplied> {
    let reached = ask(driver, |reply| Message::Store(StoreJob::Reached(reply))).await;
    reached.ok_or_else(|| NotApplied::without_the_store(driver))
}
