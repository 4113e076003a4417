//! How everything is at a moment.
//!
//! Owns the samples of accounts, which are gathered from the driver some at a time, so that nobody waits long behind a scrape of very many.

use std::sync::Arc;

use tokend_proto::AccountState;
use tokio::sync::oneshot;

use super::Tried;
use crate::message::{Driver, Message};
use crate::registry::{Registry, Slot};

/// How many accounts the driver is asked for at once.
const SOME: usize = 256;

/// Text that is the same for any number of accounts, and the accounts.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) head: String,
    pub(super) accounts: Vec<Sample>,
}

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

/// Samples of all accounts in force, by name. `None` when there is no driver any more.
pub(super) async fn gather(registry: &Registry, driver: &Driver) -> Option<Vec<Sample>> {
    let keys: Vec<_> = registry.epoch().slots().map(|slot| slot.key).collect();
    let mut samples = Vec::with_capacity(keys.len());
    for some in keys.chunks(SOME) {
        let (reply, answer) = oneshot::channel();
        let accounts = some.to_vec();
        let asked = driver.send(Message::Sample { accounts, reply });
        asked.await.ok()?;
        samples.extend(answer.await.ok()?);
    }
    Some(samples)
}
