//! Requests as they are counted and recorded, and the metrics that are made of it.
//!
//! Owns the way into the requests: nothing is answered past it, nor without a decision of `admission`. Must never decide who may have what.

use std::sync::Arc;
use std::time::Duration;

use tokend_policy::Peer;
use tokend_process::task;
use tokend_proto::{Request, RequestKind, Response};

use super::admission::{Admitted, Refused, Rules};
use super::done::{Done, died};
use super::entry::{Entry, unrecorded};
use super::parts::Requests;
use super::release::{Answered, Terms};
use super::reply::Reply;
use tokend_metrics::Found;

impl Requests {
    /// Answers one request of a peer as it was decided, counts it, and records what came of it. `began` is when it began to be decided, on
    /// the clock of the boot. The caller holds the configuration still until an answer on the spot is on its way; one that takes time leaves
    /// through `release`.
    pub(crate) fn answer(
        &self,
        peer: &Peer,
        request: Request,
        decided: Result<Admitted<'_>, Refused>,
        began: Duration,
    ) -> Reply {
        let which = request.kind();
        match self.recorded(peer, request, decided, (which, began)) {
            Reply::Ready(response) => {
                let took = self.clock.since_boot().saturating_sub(began);
                self.metrics
                    .counters()
                    .answered(which, &response, Found::Held, took);
                Reply::Ready(response)
            }
            pending => pending,
        }
    }

    fn recorded(
        &self,
        peer: &Peer,
        request: Request,
        decided: Result<Admitted<'_>, Refused>,
        counted: (RequestKind, Duration),
    ) -> Reply {
        let entry = Entry::open(&self.audit, peer, &request);
        let is_futile = entry.as_ref().is_some_and(Entry::is_futile);
        let admitted = match decided {
            Err(refused) => {
                return Reply::Ready(close(entry, None, Response::Fault(*refused.fault)));
            }
            Ok(_) if is_futile => {
                return Reply::Ready(close(entry, None, Response::Fault(unrecorded())));
            }
            Ok(admitted) => admitted,
        };
        let terms = Terms::of(&request);
        let pending = match self.dispatch(peer, &admitted, request) {
            Done::Now(response) => return Reply::Ready(close(entry, Some(&admitted), response)),
            Done::Later(pending) => pending,
        };
        let decided = admitted.carried();
        let is_act = entry.as_ref().is_some_and(Entry::is_act);
        let answered = move |response, decided, entry| Answered {
            response,
            decided,
            terms,
            entry,
            counted,
        };
        if !is_act {
            return Reply::Pending(Box::pin(
                async move { answered(pending.await, decided, entry) },
            ));
        }
        // What came of it is recorded even when nobody waits any more.
        let rules = decided.rules.clone();
        let to_the_end = task::guarded(async move {
            let (mut entry, response) = (entry, pending.await);
            if let Some(entry) = &mut entry {
                entry.acted(&rules, &response);
            }
            (response, entry)
        });
        Reply::Pending(Box::pin(async move {
            let (response, entry) = to_the_end.await.unwrap_or_else(|| (died(), None));
            answered(response, decided, entry)
        }))
    }
}

fn close(entry: Option<Entry>, admitted: Option<&Admitted<'_>>, response: Response) -> Response {
    let Some(entry) = entry else {
        return response;
    };
    match admitted {
        Some(admitted) => {
            let account = admitted.account.map(Arc::as_ref);
            entry.close(&admitted.rules, account, response)
        }
        None => entry.close(&Rules::default(), None, response),
    }
}
