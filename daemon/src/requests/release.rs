//! Whether an answer that was waited for may still be sent.
//!
//! Owns the decision from the start of the wait until the answer is sent. If another configuration is in force by then, `admission` decides
//! again. Must never send an answer on a decision of a configuration that is no longer in force.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokend_policy::{Needs, Peer};
use tokend_proto::{AccountName, Fault, FaultCode, Request, RequestKind, Response};

use super::admission::{Admitted, Carried};
use super::asking::new_token;
use super::entry::Entry;
use super::parts::Requests;
use super::refusal::gone;
use super::watch::{Look, Watch};
use crate::broker::registry::{ServedAccount, Snapshot};
use tokend_metrics::Found;

/// The condition that has to hold when the answer is sent.
#[derive(Debug)]
pub(super) enum Terms {
    /// None: the answer is the result of an act that was allowed when it began.
    Act,
    /// The peer has this permission on the account; it gets a token only if it may have that.
    Token,
    /// The answer shows accounts that the peer may see, so the request is made again.
    View(Box<Request>),
}

/// An answer that was waited for, before it is sent.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(super) response: Response,
    pub(super) decided: Carried,
    pub(super) terms: Terms,
    pub(super) entry: Option<Entry>,
    /// Its request, for the counters, and the time of that request.
    pub(super) counted: (RequestKind, Duration),
}

/// The reply to a request.
pub(crate) enum Reply {
    Ready(Response),
    /// The request is in progress; the future ends with the answer, which may leave only by [`Requests::release`].
    Pending(Pin<Box<dyn Future<Output = Waited> + Send>>),
}

/// What a wait ended with.
#[derive(Debug)]
pub(crate) enum Waited {
    /// The answer.
    Answer(Box<Answered>),
    /// A watch has a reason to look at its token.
    Watch(Box<Watch>),
}

/// The fate of an answer that was waited for.
#[derive(Debug)]
pub(crate) enum Release {
    /// Another configuration is in force, and a new decision needs these facts about the peer first.
    NeedFacts(Needs, Box<Waited>),
    Answer(Response),
    /// This may be sent now, if there is anything; [`watching`] is how the watch goes on.
    Part(Option<Response>, Box<Watch>),
    /// Another configuration is in force: the request is to be answered from the beginning.
    Again(Box<Request>),
}

impl Terms {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Get { .. } | Request::Reject { .. } | Request::Refresh { .. } => Self::Token,
            Request::Login { .. }
            | Request::Enter { .. }
            | Request::Forget { .. }
            | Request::Reload => Self::Act,
            Request::Report { .. } => Self::Act,
            _ => Self::View(Box::new(request.clone())),
        }
    }
}

impl Answered {
    pub(super) fn close(self) -> Response {
        let (rules, account) = (&self.decided.rules, self.decided.account.as_deref());
        Entry::close(self.entry, rules, account, self.response)
    }
}

impl Waited {
    /// The same, without the result: a new decision needs more facts about the peer, and they cannot be read now.
    pub(crate) fn put_off(self, fault: Fault) -> Self {
        match self {
            Self::Answer(answered) => Self::Answer(Box::new(Answered {
                response: Response::Fault(fault),
                terms: Terms::Act,
                ..*answered
            })),
            Self::Watch(mut watch) => {
                watch.put_off(fault);
                Self::Watch(watch)
            }
        }
    }
}

/// A watch until its next reason to look.
pub(crate) fn watching(mut watch: Box<Watch>) -> Pin<Box<dyn Future<Output = Waited> + Send>> {
    Box::pin(async move {
        watch.wait().await;
        Waited::Watch(watch)
    })
}

impl Requests {
    /// Releases an answer that was waited for: decides again if another configuration is in force. The caller keeps that configuration in
    /// force until the answer is sent.
    pub(crate) fn release(&self, peer: &Peer, waited: Waited) -> Release {
        let mut answered = match waited {
            Waited::Answer(answered) => *answered,
            Waited::Watch(watch) => return self.release_part(peer, watch),
        };
        let snapshot = self.registry.snapshot();
        if snapshot.number() != answered.decided.under {
            match answered.terms {
                Terms::Act => {}
                Terms::View(request) => return Release::Again(request),
                Terms::Token => {
                    let needs = answered.decided.lacks(&snapshot, peer);
                    if !needs.is_empty() {
                        return Release::NeedFacts(
                            needs,
                            Box::new(Waited::Answer(Box::new(answered))),
                        );
                    }
                    decide_again(&snapshot, peer, &mut answered);
                }
            }
        }
        let counted = answered.counted;
        let response = answered.close();
        self.count(counted, &response, Found::Waited);
        Release::Answer(response)
    }

    /// Counts an answer to a request of this kind, which began at this time.
    pub(super) fn count(
        &self,
        (which, began): (RequestKind, Duration),
        response: &Response,
        found: Found,
    ) {
        let took = self.clock.since_boot().saturating_sub(began);
        let counters = self.metrics.counters();
        counters.answered(which, response, found, took);
    }

    /// Releases what a watch has to tell, under the same conditions. Each token has a record of its own.
    fn release_part(&self, peer: &Peer, mut watch: Box<Watch>) -> Release {
        let snapshot = self.registry.snapshot();
        let mut look = Look::Nothing;
        if let Some(fault) = watch.is_put_off() {
            look = Look::End(fault);
        } else if snapshot.number() != watch.decided.under {
            let needs = watch.decided.lacks(&snapshot, peer);
            if !needs.is_empty() {
                return Release::NeedFacts(needs, Box::new(Waited::Watch(watch)));
            }
            look = match watch.decided.again(&snapshot, peer) {
                Some(Ok(admitted)) => watch.goes_on(admitted.carried()),
                Some(Err(refused)) => Look::End(*refused.fault),
                None => Look::End(gone()),
            };
        }
        if matches!(look, Look::Nothing) {
            look = watch.look(self.clock.steady());
        }
        let response = match look {
            Look::Nothing => return Release::Part(None, watch),
            Look::Part(response) => self.close_part(peer, &watch, response),
            Look::End(fault) => {
                let ended = self.close_part(peer, &watch, Response::Fault(fault));
                return Release::Answer(ended);
            }
        };
        // A token whose release cannot be recorded does not leave. The watch goes on until it can.
        let response = match response {
            Response::Fault(fault) => match watch.not_released(fault) {
                Look::Part(unavailable) => Some(unavailable),
                Look::Nothing | Look::End(_) => None,
            },
            response => Some(response),
        };
        Release::Part(response, watch)
    }

    /// Counts and records an answer of a watch.
    fn close_part(&self, peer: &Peer, watch: &Watch, response: Response) -> Response {
        let response = match response {
            Response::Retired { .. } => response,
            response => {
                let Carried { rules, account, .. } = &watch.decided;
                Entry::close(watch.entry(peer), rules, account.as_deref(), response)
            }
        };
        let counters = self.metrics.counters();
        counters.answered(RequestKind::Watch, &response, Found::Waited, Duration::ZERO);
        response
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
        // The token belongs to another identity.
        Ok(now) if now.account.is_some_and(|now| now.key != served.key) => {
            Some(Response::Fault(changed(name)))
        }
        Ok(now) => match &answered.response {
            Response::Token(_) if now.rules.token.is_none() => Some(new_token(name)),
            // The new configuration may have retired the token: its token request differs from the configured one now. Or its API wants
            // tokens otherwise than the answer says.
            Response::Token(token)
                if !serves(now, token.grant) || presents_otherwise(now, served) =>
            {
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

/// Whether the account's API wants tokens otherwise now than before.
fn presents_otherwise(decided: &Admitted<'_>, before: &ServedAccount) -> bool {
    let is = decided.account.and_then(|it| it.account.api().present());
    is != before.account.api().present()
}

/// Whether the token of this grant is the one the account serves now.
fn serves(decided: &Admitted<'_>, grant: u64) -> bool {
    decided.account.is_some_and(|served| {
        let token = served.cell.token();
        let held = token.as_ref();
        held.is_some_and(|token| token.held.grant.0 == grant)
    })
}

fn changed(account: &AccountName) -> Fault {
    let message = format!("account {account} was configured anew while this waited");
    Fault::new(FaultCode::TooBusy, message).retry_after(0)
}
