//! One account at a moment.

use std::sync::Arc;

use tokend_proto::AccountState;

use super::counters::Tried;
use tokend_config::Account;

/// One account at a moment.
#[derive(Debug)]
pub struct Sample {
    /// Which account.
    pub account: Arc<Account>,
    /// How it is.
    pub state: AccountState,
    /// Whether a token is held.
    pub has_token: bool,
    /// Until the token expires; without it, a token that is held has no known end.
    pub remaining_ms: Option<u64>,
    /// How many attempts its pace allows now.
    pub attempts_left: u32,
    /// How many logins its pace allows now.
    pub logins_left: u32,
    /// Attempts that failed in a row.
    pub failures: u32,
    /// Until an attempt may begin. `None` when none may before something changes.
    pub rest_ms: Option<u64>,
    /// How many requests wait for it.
    pub waiters: u32,
    /// Whether its credential is held and not stored.
    pub unpersisted: bool,
    /// How its attempts ended.
    pub tried: Tried,
}
