//! What the engine must find again after a restart.
//!
//! Owns [`Durable`]: every fact of an account that is not a secret and must outlive the process. The shell stores it with the secrets it
//! describes: a secret that no `Durable` mentions must not be in the record either.

use std::time::Duration;

use crate::ids::{AttemptId, GrantId};
use crate::no_verdict::NoVerdict;
use crate::pace::Tat;
use crate::problem::Problem;
use crate::time::Timestamp;

/// The stored state of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durable {
    /// State of the pace of all attempts.
    pub attempts: Tat,
    /// State of the pace of logins.
    pub logins: Tat,
    /// State of the host's rate limit as this account last saw it; the latest of all records counts, whether or not their accounts are
    /// configured.
    pub host: Tat,
    /// The last attempt begun.
    pub last_attempt: AttemptId,
    /// An attempt that has begun and whose outcome is not stored yet.
    pub intent: Option<Intent>,
    /// The held token, if any.
    pub held: Option<TokenFacts>,
    /// Whether a refresh was sent while it was held that may have been processed and brought no token: some providers end the previous
    /// one then.
    pub overtaken: bool,
    /// The held refresh token, if any.
    pub refresh: Option<RefreshToken>,
    /// The entered credential that the attempt of `intent` tries. It is kept beside the held one and replaces nothing yet.
    pub candidate: Option<Candidate>,
    /// Whether a spare refresh token is kept: a person entered it, it was sent, and its outcome is unknown.
    pub spare: bool,
    /// Whether the spare one is a successor that the provider brought and that was never sent.
    pub spare_unsent: bool,
    /// Why no attempt may be made until something changes.
    pub block: Option<Block>,
    /// How the last attempt failed.
    pub problem: Option<Problem>,
    /// Attempts that failed in a row.
    pub failures: u32,
    /// No attempt before this time.
    pub deferral: Option<Deferral>,
    /// Attempts without a verdict of the provider.
    pub no_verdict: NoVerdict,
}

/// The durable note that an attempt has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Of which kind.
    pub kind: AttemptKind,
}

/// An entered credential on trial, without the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The only attempt that tries it.
    pub attempt: AttemptId,
    /// The kind of that attempt: a refresh tries a refresh token, a login anything else.
    pub kind: AttemptKind,
    /// Whether it is the held refresh token: the result of the attempt is then that one's.
    pub same: bool,
}

/// The two ways to obtain a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptKind {
    /// From the long-lived credential.
    Login,
    /// From a refresh token.
    Refresh,
}

impl AttemptKind {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Login, Self::Refresh];

    /// Its stable name in logs, metrics and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
        }
    }
}

/// A held access token, without the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenFacts {
    /// Which grant it came with.
    pub grant: GrantId,
    /// When its request was sent: lifetimes count from there, so that a slow answer cannot stretch them.
    pub issued: Timestamp,
    /// When it expires; `None` when the provider gives no lifetime: it is used until an API refuses it.
    pub expires: Option<Timestamp>,
}

impl TokenFacts {
    /// The lifetime the provider gave.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.expires.map(|expires| expires.since(self.issued))
    }

    /// The time after which it is no longer handed out: a little before expiry, because the caller still has to use it.
    ///
    /// The margin is five seconds, or a tenth of the lifetime where that is less.
    #[must_use]
    pub fn usable_until(&self) -> Timestamp {
        match (self.expires, self.lifetime()) {
            (Some(expires), Some(lifetime)) => {
                expires.before((lifetime / 10).min(Duration::from_secs(5)))
            }
            _ => Timestamp::FAR,
        }
    }

    /// A stored token, corrected if it seems to come from the future: it lives no longer than its lifetime from `now`.
    pub(crate) fn clamp(self, now: Timestamp) -> Self {
        let expires = match (self.expires, self.lifetime()) {
            (Some(expires), Some(lifetime)) => Some(expires.min(now.after(lifetime))),
            _ => None,
        };
        Self {
            issued: self.issued.min(now),
            expires,
            ..self
        }
    }

    /// Whether it may be handed out at `now` to a client that needs it for `min_validity`.
    #[must_use]
    pub fn is_good(&self, now: Timestamp, min_validity: Option<Duration>) -> bool {
        let Some(expires) = self.expires else {
            return true;
        };
        now < self.usable_until() && min_validity.is_none_or(|needed| expires.since(now) >= needed)
    }
}

/// A held refresh token, without the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    /// When it expires, if the provider said so.
    pub expires: Option<Timestamp>,
    /// Whether it was sent by an attempt whose outcome is unknown, so that it may be spent.
    pub in_doubt: bool,
    /// Whether the provider refused it. It is kept until another replaces it: a provider may refuse by mistake, and if no login is
    /// possible a person can have it tried again.
    pub refused: bool,
}

/// Why an account makes no attempt until something changes. Survives restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Block {
    /// The provider refused the credential: it is not tried again without a person.
    CredentialRejected,
    /// The provider called the request wrong: the dialect or the configuration has to change.
    Misconfigured,
}

/// A wait after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferral {
    /// No attempt before this.
    pub until: Timestamp,
    /// Whether the provider named the time (Retry-After). Not even a person can shorten that.
    pub by_provider: bool,
}
