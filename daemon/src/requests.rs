//! The place where requests are answered, or passed on.
//!
//! Owns which module answers which request: each request has a file of its own, named for it. Permission is decided once (`admission`), and
//! the answers to refused peers are in `refusal`. Never waits on behalf of a session: slow work is handed back as a future.

mod admission;
mod apis;
mod asking;
mod credential;
mod diagnose;
mod done;
mod entry;
mod forget;
mod list;
mod login;
mod metrics;
mod pages;
mod parts;
mod recorded;
mod refresh;
mod refusal;
mod reject;
mod release;
mod reload;
mod status;
mod token;
mod watch;
mod whoami;

use std::time::Duration;

use tokend_policy::Peer;
use tokend_proto::{Fault, FaultCode, Request, Response};

pub(crate) use admission::{Admission, Admitted};
use apis::{apis, refusal};
use done::Done;
pub(crate) use entry::is_denial;
use list::list;
pub(crate) use parts::Requests;
pub(crate) use release::{Release, Reply, Waited, watching};

impl Requests {
    /// Answers a request that the peer may make, or passes it on. Reached through `answer`, which counts and records.
    fn dispatch(&self, peer: &Peer, admitted: &Admitted<'_>, request: Request) -> Done {
        match (request, admitted.account) {
            (
                Request::Get {
                    min_validity_ms,
                    wait_ms,
                    timeout_ms,
                    ..
                },
                Some(served),
            ) => {
                let min_validity = min_validity_ms.map(Duration::from_millis);
                self.get(served, peer, admitted, min_validity, (wait_ms, timeout_ms))
            }
            (
                Request::Reject {
                    token,
                    wait_ms,
                    timeout_ms,
                    ..
                },
                Some(served),
            ) => self.reject(served, peer, admitted, &token, (wait_ms, timeout_ms)),
            (
                Request::Refresh {
                    wait_ms,
                    timeout_ms,
                    ..
                },
                Some(served),
            ) => self.refresh(served, peer, admitted, (wait_ms, timeout_ms)),
            (Request::Login { secret, .. }, Some(served)) => {
                self.login(served, peer, admitted, secret)
            }
            (Request::Enter { secrets, .. }, Some(served)) => {
                self.enter(served, peer, admitted, secrets)
            }
            (Request::Credential { .. }, Some(served)) => self.credential(served),
            (Request::Forget { account }, _) => self.forget(admitted, peer, &account),
            (Request::Status { after, .. }, _) => self.status(admitted, peer, after.as_ref()),
            (Request::Diagnose { after, .. }, _) => self.diagnose(admitted, peer, after.as_ref()),
            (Request::Sinks { after, .. }, _) => self.sinks(admitted, peer, after.as_ref()),
            (report @ Request::Report { .. }, _) => self.sink_report(peer, report),
            (Request::List { after }, _) => Done::Now(list(admitted, peer, after.as_ref())),
            (Request::Apis { after, .. }, _) => apis(admitted, peer, after.as_ref()),
            (Request::Refusal { status, body, .. }, Some(served)) => refusal(served, status, &body),
            (Request::Reload, _) => self.reload(peer),
            (Request::Metrics { after }, _) => self.read_metrics(after),
            (Request::Whoami, _) => self.whoami(admitted.snapshot, peer),
            (Request::Other(kind), _) => Done::Now(Response::Fault(unknown_kind(kind))),
            _ => {
                let fault = Fault::new(FaultCode::BadRequest, "hello was said twice");
                Done::Now(Response::Fault(fault))
            }
        }
    }
}

/// A request of a newer release. The connection continues: the client may be able to do without.
fn unknown_kind(kind: u32) -> Fault {
    let version = env!("CARGO_PKG_VERSION");
    let message = format!("tokend {version} does not know this request (kind {kind})");
    Fault::new(FaultCode::BadRequest, message)
        .advise("install client and daemon from the same release, and restart tokend")
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
