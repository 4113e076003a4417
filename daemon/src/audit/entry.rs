//! One request on its way to a record.
//!
//! Owns what of a request and its answer is recorded, as which event. A token is released only through [`Entry::close`]. Must never
//! decide who may have what: it records what was decided.

use tokend_config::AuditEvent;
use tokend_policy::{Peer, Permission};
use tokend_proto::{AccountName, Fault, FaultCode, Request, Response, Token};

use super::event::Event;
use super::{Audit, Mark};
use crate::registry::Registry;

/// A request that will leave a record.
#[derive(Debug)]
pub(crate) struct Entry {
    audit: Audit,
    kind: AuditEvent,
    peer: Peer,
    request: &'static str,
    account: Option<AccountName>,
    min_validity_ms: Option<u64>,
    forced: Option<bool>,
    closed: bool,
}

/// What was asked for and went well.
const OK: &str = "ok";

impl Entry {
    /// Begins with a request. `None` when nothing is recorded.
    pub(crate) fn open(audit: &Audit, peer: &Peer, request: &Request) -> Option<Self> {
        if !audit.is_on() {
            return None;
        }
        let kind = match request {
            Request::Get { .. } | Request::Reject { .. } => AuditEvent::Release,
            Request::Refresh { .. } => AuditEvent::Refresh,
            Request::Login { .. } => AuditEvent::Login,
            Request::Forget { .. } => AuditEvent::Forget,
            Request::Reload => AuditEvent::Reload,
            // Whoever only looks is recorded when that is refused.
            _ => AuditEvent::Denial,
        };
        let min_validity_ms = match request {
            Request::Get {
                min_validity_ms, ..
            } => *min_validity_ms,
            _ => None,
        };
        let asks_for_token = matches!(kind, AuditEvent::Release | AuditEvent::Refresh);
        Some(Self {
            audit: audit.clone(),
            kind,
            peer: peer.clone(),
            request: request.name(),
            account: request.account().cloned(),
            min_validity_ms,
            forced: asks_for_token.then_some(kind == AuditEvent::Refresh),
            closed: false,
        })
    }

    /// Whether it is an act that goes on when whoever asked for it is gone.
    pub(crate) fn is_act(&self) -> bool {
        !matches!(self.kind, AuditEvent::Release | AuditEvent::Denial)
    }

    /// Whether there is no use in going on: the token that is asked for could not be released.
    pub(crate) fn is_futile(&self) -> bool {
        self.kind == AuditEvent::Release && !self.audit.may_release()
    }

    /// Records what came of it. Gives the answer that may be sent: not the token, when its release has to be recorded and cannot be.
    pub(crate) fn close(mut self, registry: &Registry, response: Response) -> Response {
        self.closed = true;
        match &response {
            Response::Fault(fault) => {
                let denied = matches!(
                    fault.code,
                    FaultCode::NotAllowed | FaultCode::UnknownAccount
                );
                let kind = match self.kind {
                    _ if denied => AuditEvent::Denial,
                    AuditEvent::Denial => return response,
                    AuditEvent::Release => AuditEvent::Failure,
                    act => act,
                };
                self.audit.note(self.event(kind, fault.code.as_str()));
                response
            }
            Response::Token(token) => {
                if self.is_act() {
                    self.note(registry, self.kind);
                }
                let mut event = self.decided(registry, AuditEvent::Release);
                event.token = Some(self.mark(registry, token));
                event.grant = Some(token.grant);
                match self.audit.record(event) {
                    Ok(()) => response,
                    Err(_) => {
                        let fault = unrecorded();
                        self.audit
                            .note(self.event(AuditEvent::Failure, fault.code.as_str()));
                        Response::Fault(fault)
                    }
                }
            }
            _ => {
                match self.kind {
                    AuditEvent::Denial => {}
                    // Somebody who may report tokens and not have them.
                    AuditEvent::Release => self.note(registry, AuditEvent::Reject),
                    act => self.note(registry, act),
                }
                response
            }
        }
    }

    fn note(&self, registry: &Registry, kind: AuditEvent) {
        self.audit.note(self.decided(registry, kind));
    }

    /// With the rule that allowed it.
    fn decided(&self, registry: &Registry, kind: AuditEvent) -> Event {
        let permission = match kind {
            AuditEvent::Reject => Permission::Reject,
            AuditEvent::Refresh => Permission::Refresh,
            AuditEvent::Login => Permission::Login,
            AuditEvent::Forget => Permission::Forget,
            AuditEvent::Reload => Permission::Reload,
            _ => Permission::Get,
        };
        let account = self.account.as_ref();
        Event {
            rule: registry.epoch().rule_for(&self.peer, account, permission),
            ..self.event(kind, OK)
        }
    }

    fn event(&self, kind: AuditEvent, outcome: &'static str) -> Event {
        Event {
            peer: Some(self.peer.clone()),
            request: Some(self.request),
            account: self.account.clone(),
            min_validity_ms: self.min_validity_ms,
            forced: self.forced,
            ..Event::new(kind, outcome)
        }
    }

    /// The fingerprint was made when the token was published; only a token that has been replaced meanwhile needs another.
    fn mark(&self, registry: &Registry, token: &Token) -> Mark {
        let epoch = registry.epoch();
        let slot = self
            .account
            .as_ref()
            .and_then(|account| epoch.slot(account));
        let held = slot.map(|slot| slot.held.token());
        match held.as_deref().and_then(Option::as_ref) {
            Some(held) if held.held.grant.0 == token.grant => held.mark,
            _ => self.audit.mark(token.access_token.expose()),
        }
    }
}

/// Nobody waits for the answer any more.
impl Drop for Entry {
    fn drop(&mut self) {
        if !self.closed && self.kind != AuditEvent::Denial {
            let kind = match self.kind {
                AuditEvent::Release => AuditEvent::Failure,
                act => act,
            };
            self.audit.note(self.event(kind, "abandoned"));
        }
    }
}

/// What is said instead of a token that would leave no record.
pub(crate) fn unrecorded() -> Fault {
    Fault::new(
        FaultCode::AuditUnavailable,
        "no token is released, because its release cannot be recorded",
    )
    .advise("look into the daemon's log for the reason, such as a full disk; `required` below [audit] asks for it")
    .retry_after(1_000)
}
