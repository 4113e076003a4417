//! One account at a moment.

use std::sync::Arc;

use tokend_proto::AccountState;

use super::counters::Tried;
use crate::broker::registry::Slot;

/// One account at a moment.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) slot: Arc<Slot>,
    pub(crate) state: AccountState,
    pub(crate) has_token: bool,
    /// Until the token expires; without it, a token that is held has no known end.
    pub(crate) remaining_ms: Option<u64>,
    pub(crate) attempts_left: u32,
    pub(crate) logins_left: u32,
    /// Attempts that failed in a row.
    pub(crate) failures: u32,
    /// Until an attempt may begin. `None` when none may before something changes.
    pub(crate) rest_ms: Option<u64>,
    pub(crate) waiters: u32,
    pub(crate) unpersisted: bool,
    pub(crate) tried: Tried,
}
