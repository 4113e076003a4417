//! What the daemon tells about an account: state, token, pace, last attempt.
//!
//! Owns the shape of a status answer. It never carries a secret, and times are plain milliseconds so that every
//! client formats them its own way.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AccountName, Fault};

/// One page of accounts' status, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusPage {
    /// The accounts the peer may see.
    pub accounts: Vec<AccountStatus>,
    /// When there are more: the name to pass as `after` for the next page.
    pub next: Option<AccountName>,
}

/// Everything the daemon tells about one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// Its name.
    pub account: AccountName,
    /// The dialect its provider is spoken to in.
    pub dialect: String,
    /// Where its provider is.
    pub base_url: String,
    /// What the account is doing.
    pub state: AccountState,
    /// Whether an access token is held, valid or not.
    pub has_token: bool,
    /// When that token expires, in Unix milliseconds, where known.
    pub expires_at_ms: Option<u64>,
    /// How long it still lives, in milliseconds, by the daemon's clock that counts suspend.
    pub remaining_ms: Option<u64>,
    /// The whole lifetime the provider gave it, in milliseconds.
    pub lifetime_ms: Option<u64>,
    /// Whether a refresh token is held.
    pub has_refresh_token: bool,
    /// Whether the newest credential is in memory only because the store refused it.
    pub unpersisted: bool,
    /// The pace of all attempts.
    pub attempts: PaceStatus,
    /// The pace of logins, which is tighter.
    pub logins: PaceStatus,
    /// When the daemon itself plans the next attempt, in Unix milliseconds.
    pub next_attempt_at_ms: Option<u64>,
    /// The attempt that ended last.
    pub last_attempt: Option<LastAttempt>,
    /// What a `get` that needs an attempt would be told now.
    pub problem: Option<Fault>,
    /// How many requests wait for the attempt that is running.
    pub waiters: u32,
}

/// What an account is doing. Append-only: the position of a variant is its tag on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AccountState {
    /// No token is held and nothing is wrong; the next `get` obtains one.
    Idle,
    /// A token is held and good.
    Valid,
    /// An attempt is running.
    Obtaining,
    /// The last attempt failed; the next one waits.
    BackingOff,
    /// An attempt is wanted but the pace does not allow it yet.
    Paced,
    /// No usable credential is left; only a person can help.
    LoginRequired,
    /// The configuration cannot work as it is.
    Misconfigured,
    /// A request was sent whose outcome is unknown.
    InDoubt,
    /// The newest credential is in memory only, and no attempt begins until it is stored.
    Unpersisted,
    /// The stored record does not open and was set aside.
    Quarantined,
}

impl AccountState {
    /// The stable name of the state in output and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Valid => "valid",
            Self::Obtaining => "obtaining",
            Self::BackingOff => "backing-off",
            Self::Paced => "paced",
            Self::LoginRequired => "login-required",
            Self::Misconfigured => "misconfigured",
            Self::InDoubt => "in-doubt",
            Self::Unpersisted => "unpersisted",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How much of a pace is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaceStatus {
    /// How many attempts are allowed right now.
    pub left: u32,
    /// How many are allowed at once after a long rest.
    pub burst: u32,
    /// One more becomes allowed each time this many milliseconds pass.
    pub period_ms: u64,
    /// When the next attempt is allowed, in Unix milliseconds; a time in the past means now.
    pub next_at_ms: u64,
}

/// The attempt of an account that ended last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAttempt {
    /// Login or refresh.
    pub kind: AttemptKind,
    /// When it began, in Unix milliseconds.
    pub at_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What came of it, as a lower-case fragment without any secret.
    pub outcome: String,
}

/// How a grant was asked for. Append-only: the position of a variant is its tag on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AttemptKind {
    /// With the long-lived credential.
    Login,
    /// With a refresh token.
    Refresh,
}

impl AttemptKind {
    /// The stable name of the kind in output and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
        }
    }
}

impl fmt::Display for AttemptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
