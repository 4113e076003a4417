//! One request on its way to a record.
//!
//! Owns which parts of a request and its answer are recorded, and as which event. A token is released only through [`Entry::close`]. Must
//! never decide about permissions: it records the decision, with the rule that the caller passes.

use tokend_config::AuditEvent;
use tokend_policy::Peer;
use tokend_proto::{AccountName, Fault, FaultCode, Request, RequestKind, Response, Token};

use super::admission::Rules;
use crate::broker::registry::{Ruling, ServedAccount};
use tokend_audit::{Audit, Event, Outcome, TokenFingerprint, Trigger};

/// A request that will leave a record.
#[derive(Debug)]
pub(crate) struct Entry {
    audit: Audit,
    kind: AuditEvent,
    peer: Peer,
    request: RequestKind,
    account: Option<AccountName>,
    min_validity_ms: Option<u64>,
    forced: Option<bool>,
    /// The record of the act, if the act is over and its answer is not sent yet.
    acted: Option<Outcome>,
    closed: bool,
}

impl Entry {
    /// Starts the entry of a request. `None` when nothing is recorded.
    pub(crate) fn open(audit: &Audit, peer: &Peer, request: &Request) -> Option<Self> {
        if !audit.is_on() {
            return None;
        }
        let kind = match request {
            Request::Get { .. } | Request::Reject { .. } | Request::Watch { .. } => {
                AuditEvent::Release
            }
            Request::Refresh { .. } => AuditEvent::Refresh,
            Request::Login { .. } | Request::Enter { .. } => AuditEvent::Login,
            Request::Forget { .. } => AuditEvent::Forget,
            Request::Reload => AuditEvent::Reload,
            // A request that only reads is recorded when it is refused.
            _ => AuditEvent::Denial,
        };
        let min_validity_ms = match request {
            Request::Get {
                min_validity_ms, ..
            }
            | Request::Watch {
                min_validity_ms, ..
            } => *min_validity_ms,
            _ => None,
        };
        let asks_for_token = matches!(kind, AuditEvent::Release | AuditEvent::Refresh);
        Some(Self {
            audit: audit.clone(),
            kind,
            peer: peer.clone(),
            request: request.kind(),
            account: request.account().cloned(),
            min_validity_ms,
            forced: asks_for_token.then_some(kind == AuditEvent::Refresh),
            acted: None,
            closed: false,
        })
    }

    /// Whether the request is an act that continues after its client has left.
    pub(crate) fn is_act(&self) -> bool {
        !matches!(self.kind, AuditEvent::Release | AuditEvent::Denial)
    }

    /// Whether further work is useless: the requested token could not be released.
    pub(crate) fn is_futile(&self) -> bool {
        self.kind == AuditEvent::Release && !self.audit.may_release()
    }

    /// The peer, with the facts read since the request began.
    pub(crate) fn asked_by(&mut self, peer: &Peer) {
        self.peer = peer.clone();
    }

    /// Records the result of an act, whether or not a client still waits for the answer.
    pub(crate) fn acted(&mut self, rules: &Rules, response: &Response) {
        let (kind, outcome) = match response {
            Response::Fault(fault) => (self.kind_of(fault), Outcome::Fault(fault.code)),
            _ => (self.kind, Outcome::Ok),
        };
        let rule = rules.act.clone().filter(|_| outcome == Outcome::Ok);
        self.note(kind, outcome, rule);
        self.acted = Some(outcome);
    }

    /// Records the result, if the request has an entry. Returns the answer that may be sent: without the token if its release has to be
    /// recorded and cannot be.
    pub(crate) fn close(
        entry: Option<Self>,
        rules: &Rules,
        served: Option<&ServedAccount>,
        response: Response,
    ) -> Response {
        match entry {
            Some(entry) => entry.close_with(rules, served, response),
            None => response,
        }
    }

    fn close_with(
        mut self,
        rules: &Rules,
        served: Option<&ServedAccount>,
        response: Response,
    ) -> Response {
        self.closed = true;
        match &response {
            Response::Fault(fault) | Response::Unavailable(fault) => {
                let outcome = Outcome::Fault(fault.code);
                let kind = self.kind_of(fault);
                let is_look = kind == AuditEvent::Denial && !is_denial(fault);
                if !is_look && self.acted != Some(outcome) {
                    self.note(kind, outcome, None);
                }
                response
            }
            Response::Token(token) => {
                if self.is_act() && self.acted.is_none() {
                    self.note(self.kind, Outcome::Ok, rules.act.clone());
                }
                let mut event = self.event(AuditEvent::Release, Outcome::Ok);
                event.rule = rules.token.clone();
                event.token = Some(self.fingerprint(served, token));
                event.grant = Some(token.grant);
                match self.audit.record(event) {
                    Ok(()) => response,
                    Err(_) => {
                        let fault = unrecorded();
                        self.note(AuditEvent::Failure, Outcome::Fault(fault.code), None);
                        Response::Fault(fault)
                    }
                }
            }
            _ => {
                let kind = match self.kind {
                    // A peer that may report tokens and not have them.
                    AuditEvent::Release => AuditEvent::Reject,
                    kind => kind,
                };
                if kind != AuditEvent::Denial && self.acted.is_none() {
                    self.note(kind, Outcome::Ok, rules.act.clone());
                }
                response
            }
        }
    }

    fn kind_of(&self, fault: &Fault) -> AuditEvent {
        match self.kind {
            _ if is_denial(fault) => AuditEvent::Denial,
            AuditEvent::Release => AuditEvent::Failure,
            kind => kind,
        }
    }

    fn note(&self, kind: AuditEvent, outcome: Outcome, rule: Option<Ruling>) {
        self.audit.note(Event {
            rule,
            ..self.event(kind, outcome)
        });
    }

    fn event(&self, kind: AuditEvent, outcome: Outcome) -> Event {
        Event {
            peer: Some(self.peer.clone()),
            request: Some(Trigger::Request(self.request)),
            account: self.account.clone(),
            min_validity_ms: self.min_validity_ms,
            forced: self.forced,
            ..Event::new(kind, outcome)
        }
    }

    /// The fingerprint was made when the token was published; only a token that was replaced meanwhile needs a new one.
    fn fingerprint(&self, served: Option<&ServedAccount>, token: &Token) -> TokenFingerprint {
        let held = served.map(|served| served.cell.token());
        match held.as_deref().and_then(Option::as_ref) {
            Some(held) if held.held.grant.0 == token.grant => held.fingerprint,
            _ => self.audit.fingerprint(token.access_token.expose()),
        }
    }
}

/// Whether the answer says that the peer lacks permission, or that the account is unknown.
pub(crate) fn is_denial(fault: &Fault) -> bool {
    matches!(
        fault.code,
        FaultCode::NotAllowed | FaultCode::UnknownAccount
    )
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.closed && self.acted.is_none() && self.kind != AuditEvent::Denial {
            let kind = match self.kind {
                AuditEvent::Release => AuditEvent::Failure,
                act => act,
            };
            self.audit.note(self.event(kind, Outcome::Abandoned));
        }
    }
}

/// The answer in place of a token whose release cannot be recorded.
pub(crate) fn unrecorded() -> Fault {
    let message = "no token is released, because its release cannot be recorded";
    Fault::new(FaultCode::AuditUnavailable, message)
        .advise("check the daemon's log for the reason, such as a full disk; `required` below [audit] asks for it")
        .retry_after(1_000)
}
