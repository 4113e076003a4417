//! Why a unit has no credential, in words and in records.
//!
//! Owns these sentences. They stand in the daemon's log, since systemd takes none: what the unit's own log has is
//! `Failed to set up credentials`. Must never decide.

use std::fmt;

use tokend_audit::{Event, Outcome};
use tokend_config::AuditEvent;
use tokend_outlets::credentials::{CredentialRequest, Unfit, Unproved};
use tokend_policy::Peer;
use tokend_proto::{AccountName, Fault, FaultCode};

use crate::requests::is_denial;

const ONLY_SYSTEMD: &str = "only systemd asks here: another program gets its token by tokenctl get";

/// Why there is no credential.
#[derive(Debug)]
pub(super) enum Missing {
    /// The address of the other end is none of systemd's.
    NoAddress,
    /// The daemon before died while it answered.
    Begun,
    /// The process may not speak for the unit.
    Unproved(Unproved),
    /// No account can have that name.
    NoName,
    /// The token cannot stand in the format.
    Unfit(Unfit),
    /// No rule gives this account to the unit, or there is no such account.
    Denied(AccountName),
    /// The request for the token failed.
    Fault(Fault),
}

impl Missing {
    /// The request for the token of this account failed.
    pub(super) fn of(account: AccountName, fault: Fault) -> Self {
        match is_denial(&fault) {
            true => Self::Denied(account),
            false => Self::Fault(fault),
        }
    }

    /// The daemon ends before there is a token.
    pub(super) fn stopping() -> Self {
        let fault = Fault::new(FaultCode::Draining, "the daemon is stopping");
        Self::Fault(fault.advise("start the unit again once tokend is back"))
    }

    /// An answer of another request.
    pub(super) fn unexpected() -> Self {
        let message = "the answer to this request is not a token; please report this";
        Self::Fault(Fault::new(FaultCode::Internal, message))
    }

    /// Whether the client is certainly not systemd.
    pub(super) fn is_by_a_stranger(&self) -> bool {
        matches!(self, Self::NoAddress | Self::Unproved(Unproved::NoManager))
    }

    /// The record of a refusal that no request made.
    pub(super) fn event(&self, peer: &Peer, asked: Option<&CredentialRequest>) -> Option<Event> {
        let kind = match self {
            Self::NoAddress | Self::Unproved(_) | Self::NoName => AuditEvent::Denial,
            Self::Unfit(_) => AuditEvent::Failure,
            // Recorded with its request.
            Self::Begun | Self::Denied(_) | Self::Fault(_) => return None,
        };
        let code = match self {
            Self::Unfit(_) => FaultCode::Misconfigured,
            _ => FaultCode::NotAllowed,
        };
        let detail = match asked {
            Some(asked) => format!("credential {} for {}: {self}", asked.id(), asked.unit()),
            None => self.to_string(),
        };
        Some(Event {
            peer: Some(peer.clone()),
            detail: Some(detail.into()),
            ..Event::new(kind, Outcome::Fault(code))
        })
    }

    /// What to do about it.
    fn advice(&self, peer: &Peer, asked: &CredentialRequest) -> String {
        match self {
            Self::NoAddress | Self::Unproved(Unproved::NoManager) => {
                ONLY_SYSTEMD.to_owned()
            }
            Self::Begun => "start the unit again".to_owned(),
            Self::Unproved(Unproved::Unread(_)) => {
                "if it goes on, use tokenctl exec in ExecStart= of the unit instead of a credential".to_owned()
            }
            Self::Unproved(Unproved::OtherUnit(_)) => {
                "credentials are for services; other units use tokenctl exec, or tokenctl get".to_owned()
            }
            Self::NoName => "the name of the credential has to be that of an account, as it is or followed by .json, .header or .curl".to_owned(),
            Self::Unfit(_) => "correct LoadCredential= of the unit".to_owned(),
            Self::Denied(account) => format!(
                "have {} added to `allow` of [account.{}], and reload",
                rule(peer, asked.unit()),
                account.toml_key()
            ),
            Self::Fault(fault) => match &fault.advice {
                Some(advice) => advice.clone(),
                None => "start the unit again later".to_owned(),
            },
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("the process that connected is not systemd"),
            Self::Begun => f.write_str(
                "the tokend before died in the middle of its answer, which cannot be completed",
            ),
            Self::Unproved(unproved) => unproved.fmt(f),
            Self::NoName => f.write_str("no account can have such a name"),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Denied(account) => {
                write!(f, "there is no account {account} that this unit may use")
            }
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

/// The rule that matches this unit and nothing else.
fn rule(peer: &Peer, unit: &str) -> String {
    // A basic string of TOML would take a backslash for the beginning of an escape.
    let quote = if unit.contains('\\') { '\'' } else { '"' };
    match peer.user_unit() {
        Some(_) => format!(
            "{{ user = {}, user_unit = {quote}{unit}{quote} }}",
            peer.uid
        ),
        None => format!("{{ unit = {quote}{unit}{quote} }}"),
    }
}

/// Says in the log why a unit has no credential.
pub(super) fn log(peer: &Peer, asked: Option<&CredentialRequest>, missing: &Missing) {
    match asked {
        Some(asked) => tracing::warn!(
            peer = %peer,
            "a credential was refused: {} of {}, which does not start: {missing}; {}",
            asked.id(),
            asked.unit(),
            missing.advice(peer, asked)
        ),
        None => tracing::warn!(
            peer = %peer,
            "a credential was refused: {missing}; {ONLY_SYSTEMD}"
        ),
    }
}
