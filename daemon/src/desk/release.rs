//! Whether what was waited for may still leave.
//!
//! Owns the decision from the moment it is made to the moment the answer leaves: one lookup decides, and what decided goes with the
//! request to its answer and its record. Where another configuration is in force by then, it is decided again. Must never let an
//! answer out on the word of a configuration that is not in force any more.

use std::sync::Arc;
use std::time::Duration;

use tokend_policy::{Needs, Peer, Permission, Permissions};
use tokend_proto::{AccountName, Fault, FaultCode, Request, Response};

use super::admission::allowed;
use super::recorded::Entry;
use super::rules::Rules;
use super::service::Desk;
use super::told::new_token;
use crate::registry::{Epoch, Granted, Ruling, Slot};

/// What was decided about a request.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    /// The account it is about, if it is about one that is configured.
    pub(super) slot: Option<Arc<Slot>>,
    pub(super) rules: Rules,
}

/// What has to hold when the answer leaves.
#[derive(Debug)]
pub(super) enum Terms {
    /// Nothing: it says what became of something that was allowed when it was begun.
    Act,
    /// The peer may do this with the account, and a token is only for whoever may have it.
    Token(Permission),
    /// It shows what this request is allowed to see, which is asked for again.
    View(Box<Request>),
}

/// An answer that was waited for, on its way out.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(super) response: Response,
    /// The number of the configuration that decided.
    pub(super) under: u64,
    pub(super) decided: Decided,
    pub(super) terms: Terms,
    pub(super) entry: Option<Entry>,
    /// Which request it was, for the counters, and when it came.
    pub(super) counted: (usize, Duration),
}

/// What becomes of an answer that was waited for.
#[derive(Debug)]
pub(crate) enum Release {
    /// It may be sent now.
    Answer(Response),
    /// Another configuration is in force: this is to be answered from the beginning.
    Again(Box<Request>),
}

impl Terms {
    /// What has to hold when the answer to a request leaves.
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Get { .. } => Self::Token(Permission::Get),
            Request::Reject { .. } => Self::Token(Permission::Reject),
            Request::Refresh { .. } => Self::Token(Permission::Refresh),
            Request::Login { .. } | Request::Forget { .. } | Request::Reload => Self::Act,
            _ => Self::View(Box::new(request.clone())),
        }
    }
}

impl Decided {
    /// Nothing that names an account.
    pub(super) fn nothing() -> Self {
        Self {
            slot: None,
            rules: Rules::default(),
        }
    }

    fn of(granted: Granted<'_>, token: Option<Ruling>) -> Self {
        Self {
            slot: Some(Arc::clone(granted.slot)),
            rules: Rules {
                act: Some(granted.rule),
                token,
            },
        }
    }
}

/// Which permissions decide about a request.
pub(super) fn wanted(request: &Request) -> Permissions {
    match request {
        Request::Get { .. } => Permissions::of(&[Permission::Get]),
        Request::Reject { .. } => Permissions::of(&[Permission::Reject, Permission::Get]),
        Request::Refresh { .. } => Permissions::of(&[Permission::Refresh, Permission::Get]),
        Request::Login { .. } => Permissions::of(&[Permission::Login]),
        Request::Forget { .. } => Permissions::of(&[Permission::Forget]),
        Request::Diagnose { .. } => Permissions::of(&[Permission::Status, Permission::Reload]),
        Request::Reload => Permissions::of(&[Permission::Reload]),
        _ => Permissions::of(&[Permission::Status]),
    }
}

/// Decides whether the peer may do this with the account, and whether it may have the token that comes of it.
pub(super) fn decide(
    epoch: &Epoch,
    peer: &Peer,
    account: &AccountName,
    permission: Permission,
) -> Result<Decided, Box<Fault>> {
    let granted = allowed(epoch, peer, account, permission)?;
    let token = match permission {
        Permission::Get => Some(granted.rule.clone()),
        Permission::Reject | Permission::Refresh => {
            epoch.grants(peer, granted.slot, Permission::Get).ok()
        }
        _ => None,
    };
    Ok(Decided::of(granted, token))
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
            Some(entry) => entry.close(&decided.rules, decided.slot.as_deref(), response),
            None => response,
        }
    }

    /// Which permissions decide, and with which account.
    fn asks(&self) -> Option<(&AccountName, Permissions)> {
        let Terms::Token(permission) = self.terms else {
            return None;
        };
        let slot = self.decided.slot.as_ref()?;
        let asked = Permissions::of(&[permission, Permission::Get]);
        Some((&slot.account.name, asked))
    }
}

impl Answered {
    /// The same, without what was waited for: more has to be known about the peer, and that cannot be found out now.
    pub(crate) fn put_off(self, fault: Fault) -> Self {
        Self {
            response: Response::Fault(fault),
            terms: Terms::Act,
            ..self
        }
    }
}

impl Desk {
    /// Which facts about the peer have to be read before an answer that was waited for leaves: none while the configuration that
    /// decided is in force.
    pub(crate) fn lacks_for(&self, peer: &Peer, answered: &Answered) -> Needs {
        let epoch = self.registry.epoch();
        match answered.asks() {
            Some((account, wanted)) if epoch.number() != answered.under => {
                epoch.lacks(peer, Some(account), wanted)
            }
            _ => Needs::NONE,
        }
    }

    /// Lets an answer out that was waited for: decided again where another configuration is in force. The caller holds that still
    /// until the answer is on its way.
    pub(crate) fn release(&self, peer: &Peer, mut answered: Answered) -> Release {
        let epoch = self.registry.epoch();
        if epoch.number() != answered.under {
            match answered.terms {
                Terms::Act => {}
                Terms::View(request) => return Release::Again(request),
                Terms::Token(permission) => decide_again(&epoch, peer, permission, &mut answered),
            }
        }
        let (which, began) = answered.counted;
        let response = answered.close();
        let took = self.clock.since_boot().saturating_sub(began);
        self.metrics
            .counters()
            .answered(which, &response, true, took);
        Release::Answer(response)
    }
}

fn decide_again(epoch: &Epoch, peer: &Peer, permission: Permission, answered: &mut Answered) {
    let Some(slot) = answered.decided.slot.as_ref() else {
        return;
    };
    let name = &slot.account.name;
    if let Some(entry) = &mut answered.entry {
        entry.asked_by(peer);
    }
    let (decided, response) = match decide(epoch, peer, name, permission) {
        Err(denied) => (Decided::nothing(), Some(Response::Fault(*denied))),
        // What was waited for is a token of another identity.
        Ok(decided) if decided.slot.as_ref().is_some_and(|now| now.key != slot.key) => {
            (decided, Some(Response::Fault(changed(name))))
        }
        Ok(decided) => {
            let response = match &answered.response {
                Response::Token(_) if decided.rules.token.is_none() => Some(new_token(name)),
                // The configuration that came in between may have retired it: what it was asked for is not what is asked for now.
                Response::Token(token) if !serves(&decided, token.grant) => {
                    Some(Response::Fault(changed(name)))
                }
                _ => None,
            };
            (decided, response)
        }
    };
    if let Some(response) = response {
        answered.response = response;
    }
    answered.decided = decided;
}

/// Whether the token of this grant is the one that the account serves.
fn serves(decided: &Decided, grant: u64) -> bool {
    let held = decided.slot.as_ref().map(|slot| slot.held.token());
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
