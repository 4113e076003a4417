//! Faults: failures as a client gets them.
//!
//! Owns the closed list of codes and their stable names. A fault never carries a secret, and its code alone
//! decides what a program does about it; the sentences are for people.

use serde::{Deserialize, Serialize};

use crate::numbered::numbered;

/// A failure as a client gets it: what happened, what to do, and when to try again.
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

numbered! {
    /// What kind of failure a [`Fault`] is.
    pub enum FaultCode, others nearest TooBusy {
        /// No account of this name is configured, or the peer may not know that it is.
        UnknownAccount = 0, "unknown-account";
        /// The policy refuses this peer.
        NotAllowed = 1, "not-allowed";
        /// No usable credential is left; only a person can help.
        LoginRequired = 2, "login-required";
        /// The configuration of the account or its dialect cannot work as it is.
        Misconfigured = 3, "misconfigured";
        /// The provider did not answer.
        ProviderUnreachable = 4, "provider-unreachable";
        /// The provider asked for time, or failed in a way that passes.
        ProviderBusy = 5, "provider-busy";
        /// The provider answered something its dialect cannot read.
        ProviderMisbehaved = 6, "provider-misbehaved";
        /// The rate limit allows no attempt now.
        Paced = 7, "paced";
        /// The provider's tokens do not live as long as the caller demands.
        ValidityUnattainable = 8, "validity-unattainable";
        /// The caller's time was over before there was an answer; the attempt goes on.
        Timeout = 9, "timeout";
        /// The daemon is stopping and accepts nothing new.
        Draining = 10, "draining";
        /// The store cannot be read or written, so no attempt may begin.
        StoreUnavailable = 11, "store-unavailable";
        /// The request breaks the protocol or contradicts itself.
        BadRequest = 12, "bad-request";
        /// The daemon and the client share no protocol version.
        UnsupportedVersion = 13, "unsupported-version";
        /// Too many connections or requests at once.
        TooBusy = 14, "too-busy";
        /// The new configuration was refused and the old one stays in force.
        ReloadFailed = 15, "reload-failed";
        /// A request was sent whose outcome is unknown, and sending it again could cost the account.
        InDoubt = 16, "in-doubt";
        /// A defect of the daemon.
        Internal = 17, "internal";
        /// The release of a token has to be recorded and cannot be, so there is none.
        AuditUnavailable = 18, "audit-unavailable";
    }
}
