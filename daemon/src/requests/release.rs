//! Whether what was waited for may still leave.
//!
//! Owns what was decided from the moment an answer is waited for to the moment it leaves. Where another configuration is in force by
//! then, it is decided again, by the same `admission`. Must never let an answer out on the word of a configuration that is not in force
//! any more.

use std::sync::Arc;
use std::time::Duration;

use tokend_policy::{Needs, Peer};
use tokend_proto::{AccountName, Fault, FaultCode, Request, RequestKind, Response};

use super::admission::{Admitted, Carried};
use super::entry::Entry;
use super::parts::Requests;
use super::presentation::new_token;
use crate::broker::registry::Snapshot;
use tokend_metrics::Found;

/// What has to hold when the answer leaves.
#[derive(Debug)]
pub(super) enum Terms {
    /// Nothing: it says what became of something that was allowed when it was begun.
    Act,
    /// The peer may do this with the account, and a token is only for whoever may have it.
    Token,
    /// It shows what this request is allowed to see, which is asked for again.
    View(Box<Request>),
}

/// An answer that was waited for, on its way out.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(super) response: Response,
    pub(super) decided: Carried,
    pub(super) terms: Terms,
    pub(super) entry: Option<Entry>,
    /// Which request it was, for the counters, and when it came.
    pub(super) counted: (RequestKind, Duration),
}

/// What becomes of an answer that was waited for.
#[derive(Debug)]
pub(crate) enum Release {
    /// Another configuration is in force, and these facts about the peer have to be read before it can be decided again.
    NeedFacts(Needs, Box<Answered>),
    /// It may be sent now.
    Answer(Response),
    /// Another configuration is in force: this is to be answered from the beginning.
    Again(Box<Request>),
}

impl Terms {
    /// What has to hold when the answer to a request leaves.
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Get { .. } | Request::Reject { .. } | Request::Refresh { .. } => Self::Token,
            Request::Login { .. } | Request::Forget { .. } | Request::Reload => Self::Act,
            _ => Self::View(Box::new(request.clone())),
        }
    }
}

impl Answered {
    /// The answer under the configuration that decided, whatever is in force by now.
    #[cfg(test)]
    pub(crate) fn unchecked(self) -> Response {
        self.close()
    }

    fn close(self) -> Response {
        let Self {
            response,
            decided,
            entry,
            ..
        } = self;
        match entry {
            Some(entry) => entry.close(&decided.rules, decided.account.as_deref(), response),
            None => response,
        }
    }

    /// The same, without what was waited for: more has to be known about the peer, and that cannot be found out now.
    pub(crate) fn put_off(self, fault: Fault) -> Self {
        Self {
            response: Response::Fault(fault),
            terms: Terms::Act,
            ..self
        }
    }
}

impl Requests {
    /// Lets an answer out that was waited for: decided again where another configuration is in force. The caller holds that still
    /// until the answer is on its way.
    pub(crate) fn release(&self, peer: &Peer, mut answered: Answered) -> Release {
        let snapshot = self.registry.snapshot();
        if snapshot.number() != answered.decided.under {
            match answered.terms {
                Terms::Act => {}
                Terms::View(request) => return Release::Again(request),
                Terms::Token => {
                    let needs = answered.decided.lacks(&snapshot, peer);
                    if !needs.is_empty() {
                        return Release::NeedFacts(needs, Box::new(answered));
                    }
                    decide_again(&snapshot, peer, &mut answered);
                }
            }
        }
        let (which, began) = answered.counted;
        let response = answered.close();
        let took = self.clock.since_boot().saturating_sub(began);
        self.metrics
            .counters()
            .answered(which, &response, Found::Waited, took);
        Release::Answer(response)
    }
}

fn decide_again(snapshot: &Arc<Snapshot>, peer: &Peer, answered: &mut Answered) {
    let before = &mut answered.decided;
    let (Some(served), Some(decided)) = (&before.account, before.again(snapshot, peer)) else {
        return;
    };
    let name = &served.account.name;
    if let Some(entry) = &mut answered.entry {
        entry.asked_by(peer);
    }
    let response = match &decided {
        Err(refused) => Some(Response::Fault((*refused.fault).clone())),
        // What was waited for is a token of another identity.
        Ok(now) if now.account.is_some_and(|now| now.key != served.key) => {
            Some(Response::Fault(changed(name)))
        }
        Ok(now) => match &answered.response {
            Response::Token(_) if now.rules.token.is_none() => Some(new_token(name)),
            // The configuration that came in between may have retired it: what it was asked for is not what is asked for now.
            Response::Token(token) if !serves(now, token.grant) => {
                Some(Response::Fault(changed(name)))
            }
            _ => None,
        },
    };
    if let Some(response) = response {
        answered.response = response;
    }
    *before = match decided {
        Ok(now) => now.carried(),
        Err(_) => Carried::nothing(snapshot),
    };
}

/// Whether the token of this grant is the one that the account serves.
fn serves(decided: &Admitted<'_>, grant: u64) -> bool {
    let held = decided.account.map(|served| served.cell.token());
    held.is_some_and(|held| {
        held.as_ref()
            .is_some_and(|token| token.held.grant.0 == grant)
    })
}

fn changed(account: &AccountName) -> Fault {
    Fault::new(
        FaultCode::TooBusy,
        format!("account {account} was configured anew while this waited"),
    )
    .retry_after(0)
}
