//! Counting and recording of requests.
//!
//! Owns the only entry to the requests: no answer bypasses it, nor a decision of `admission`. Must never decide about permissions.

use std::sync::Arc;
use std::time::Duration;

use tokend_policy::Peer;
use tokend_process::task;
use tokend_proto::{Request, RequestKind, Response};

use super::admission::{Admitted, Refused, Rules};
use super::done::{Done, died};
use super::entry::{Entry, unrecorded};
use super::parts::Requests;
use super::release::{Answered, Reply, Terms, Waited, watching};
use tokend_metrics::Found;

impl Requests {
    /// Answers one request of a peer by its decision, counts it, and records the result. `began` is when the decision began, on the clock
    /// of the boot. The caller keeps the configuration in force until an immediate answer is sent; a later answer leaves through `release`.
    pub(crate) fn answer(
        &self,
        peer: &Peer,
        request: Request,
        decided: Result<Admitted<'_>, Refused>,
        began: Duration,
    ) -> Reply {
        let counted = (request.kind(), began);
        let is_watch = matches!(request, Request::Watch { .. });
        let decided = match decided {
            Ok(admitted) if is_watch => match admitted.account {
                // Each of its answers has a record of its own.
                Some(served) => {
                    return Reply::Pending(watching(self.watch(served, peer, admitted, request)));
                }
                None => Ok(admitted),
            },
            decided => decided,
        };
        let reply = self.recorded(peer, request, decided, counted);
        if let Reply::Ready(response) = &reply {
            self.count(counted, response, Found::Held);
        }
        reply
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
        let refuse = |entry, fault| {
            Reply::Ready(Entry::close(
                entry,
                &Rules::default(),
                None,
                Response::Fault(fault),
            ))
        };
        let admitted = match decided {
            Err(refused) => return refuse(entry, *refused.fault),
            Ok(_) if is_futile => return refuse(entry, unrecorded()),
            Ok(admitted) => admitted,
        };
        let terms = Terms::of(&request);
        let pending = match self.dispatch(peer, &admitted, request) {
            Done::Now(response) => {
                let account = admitted.account.map(Arc::as_ref);
                return Reply::Ready(Entry::close(entry, &admitted.rules, account, response));
            }
            Done::Later(pending) => pending,
        };
        let decided = admitted.carried();
        let is_act = entry.as_ref().is_some_and(Entry::is_act);
        let answered = move |response, decided, entry| {
            Waited::Answer(Box::new(Answered {
                response,
                decided,
                terms,
                entry,
                counted,
            }))
        };
        if !is_act {
            return Reply::Pending(Box::pin(
                async move { answered(pending.await, decided, entry) },
            ));
        }
        // The result is recorded even when the client has left.
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
