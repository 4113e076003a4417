//! The state of one account at one moment.

use std::sync::Arc;

use tokend_proto::AccountState;

use super::counters::Tried;
use tokend_config::Account;

/// The state of one account at one moment.
#[derive(Debug)]
pub struct Sample {
    /// The name of the account.
    pub account: Arc<Account>,
    /// Its state.
    pub state: AccountState,
    /// Whether a token is held.
    pub has_token: bool,
    /// When the token expires; `None` for a held token means that its expiry is unknown.
    pub remaining_ms: Option<u64>,
    /// How many attempts the rate limit allows now.
    pub attempts_left: u32,
    /// How many logins the rate limit allows now.
    pub logins_left: u32,
    /// How many attempts failed in a row.
    pub failures: u32,
    /// When the next attempt may begin. `None` when no attempt may begin before a change.
    pub rest_ms: Option<u64>,
    /// How many requests wait for the account.
    pub waiters: u32,
    /// Whether its credential is held in memory and not stored.
    pub unpersisted: bool,
    /// The outcomes of its attempts.
    pub tried: Tried,
}
