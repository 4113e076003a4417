//! Faults: failures as told to a client.
//!
//! Owns the closed list of codes and their stable names. A fault never carries a secret, and its code alone
//! decides what a program does about it; the sentences are for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A failure as told to a client: what happened, what to do, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind of failure, for programs.
    pub code: FaultCode,
    /// What happened, as a lower-case fragment for people, without any secret.
    pub message: String,
    /// What to do about it, as a lower-case fragment for people.
    pub advice: Option<String>,
    /// Trying again sooner than this many milliseconds from now gives the same answer.
    pub retry_after_ms: Option<u64>,
}

impl Fault {
    /// A fault without advice and without a retry time.
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            advice: None,
            retry_after_ms: None,
        }
    }

    /// The same fault, saying what to do.
    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }

    /// The same fault, saying after how many milliseconds it is worth trying again.
    #[must_use]
    pub fn retry_after(self, ms: u64) -> Self {
        Self {
            retry_after_ms: Some(ms),
            ..self
        }
    }
}

/// What kind of failure a [`Fault`] is. Append-only: the position of a variant is its tag on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultCode {
    /// No account of this name is configured, or the peer may not know that it is.
    UnknownAccount,
    /// The policy refuses this peer.
    NotAllowed,
    /// No usable credential is left; only a person can help.
    LoginRequired,
    /// The configuration of the account or its dialect cannot work as it is.
    Misconfigured,
    /// The provider did not answer.
    ProviderUnreachable,
    /// The provider asked for time, or failed in a way that passes.
    ProviderBusy,
    /// The provider answered something its dialect cannot read.
    ProviderMisbehaved,
    /// The pace allows no attempt now.
    Paced,
    /// The provider's tokens do not live as long as the caller demands.
    ValidityUnattainable,
    /// The caller's time was over before there was an answer; the attempt goes on.
    Timeout,
    /// The daemon is stopping and accepts nothing new.
    Draining,
    /// The store cannot be read or written, so no attempt may begin.
    StoreUnavailable,
    /// The request breaks the protocol or contradicts itself.
    BadRequest,
    /// The daemon and the client share no protocol version.
    UnsupportedVersion,
    /// Too many connections or requests at once.
    TooBusy,
    /// The new configuration was refused and the old one stays in force.
    ReloadFailed,
    /// A request was sent whose outcome is unknown, and sending it again could cost the account.
    InDoubt,
    /// A defect of the daemon.
    Internal,
    /// The release of a token has to be recorded and cannot be, so there is none.
    AuditUnavailable,
}

impl FaultCode {
    /// Every code, in the order of the wire.
    pub const ALL: [Self; 19] = [
        Self::UnknownAccount,
        Self::NotAllowed,
        Self::LoginRequired,
        Self::Misconfigured,
        Self::ProviderUnreachable,
        Self::ProviderBusy,
        Self::ProviderMisbehaved,
        Self::Paced,
        Self::ValidityUnattainable,
        Self::Timeout,
        Self::Draining,
        Self::StoreUnavailable,
        Self::BadRequest,
        Self::UnsupportedVersion,
        Self::TooBusy,
        Self::ReloadFailed,
        Self::InDoubt,
        Self::Internal,
        Self::AuditUnavailable,
    ];

    /// The stable name of the code in logs, metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown-account",
            Self::NotAllowed => "not-allowed",
            Self::LoginRequired => "login-required",
            Self::Misconfigured => "misconfigured",
            Self::ProviderUnreachable => "provider-unreachable",
            Self::ProviderBusy => "provider-busy",
            Self::ProviderMisbehaved => "provider-misbehaved",
            Self::Paced => "paced",
            Self::ValidityUnattainable => "validity-unattainable",
            Self::Timeout => "timeout",
            Self::Draining => "draining",
            Self::StoreUnavailable => "store-unavailable",
            Self::BadRequest => "bad-request",
            Self::UnsupportedVersion => "unsupported-version",
            Self::TooBusy => "too-busy",
            Self::ReloadFailed => "reload-failed",
            Self::InDoubt => "in-doubt",
            Self::Internal => "internal",
            Self::AuditUnavailable => "audit-unavailable",
        }
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
