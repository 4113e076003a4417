//! What the daemon tells about an account: state, token, rate limits, last attempt.
//!
//! Owns the shape of a status answer. It never carries a secret. Its fields are plain milliseconds, as on the wire; its
//! methods give durations and times.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::numbered::numbered;
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
    /// The rate limit of all attempts.
    pub attempts: PaceStatus,
    /// The rate limit of logins, which is tighter.
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

impl AccountStatus {
    /// When its token expires, where known.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at_ms.and_then(time)
    }

    /// How long its token still lives, by the daemon's clock that counts suspend.
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining_ms.map(Duration::from_millis)
    }

    /// The whole lifetime the provider gave its token.
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime_ms.map(Duration::from_millis)
    }

    /// When the daemon itself plans the next attempt.
    pub fn next_attempt_at(&self) -> Option<SystemTime> {
        self.next_attempt_at_ms.and_then(time)
    }
}

impl PaceStatus {
    /// One more attempt becomes allowed each time this passes.
    pub fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms)
    }

    /// When the next attempt is allowed; `None` for a time that this machine cannot express.
    pub fn next_at(&self) -> Option<SystemTime> {
        time(self.next_at_ms)
    }
}

impl LastAttempt {
    /// When it began; `None` for a time that this machine cannot express.
    pub fn at(&self) -> Option<SystemTime> {
        time(self.at_ms)
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }
}

fn time(ms: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

numbered! {
    /// What an account is doing.
    pub enum AccountState, others nearest BackingOff {
        /// No token is held and nothing is wrong; the next `get` obtains one.
        Idle = 0, "idle";
        /// A token is held and good.
        Valid = 1, "valid";
        /// An attempt is running.
        Obtaining = 2, "obtaining";
        /// The last attempt failed; the next one waits.
        BackingOff = 3, "backing-off";
        /// An attempt is wanted but the rate limit does not allow it yet.
        Paced = 4, "paced";
        /// No usable credential is left; only a person can help.
        LoginRequired = 5, "login-required";
        /// The configuration cannot work as it is.
        Misconfigured = 6, "misconfigured";
        /// A request was sent whose outcome is unknown.
        InDoubt = 7, "in-doubt";
        /// The newest credential is in memory only, and no attempt begins until it is stored.
        Unpersisted = 8, "unpersisted";
        /// The stored record does not open and was set aside.
        Quarantined = 9, "quarantined";
    }
}

/// How much of a rate limit is left.
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

numbered! {
    /// How a grant was asked for.
    pub enum AttemptKind, others nearest Login {
        /// With the long-lived credential.
        Login = 0, "login";
        /// With a refresh token.
        Refresh = 1, "refresh";
    }
}
