//! How everything is at a moment.
//!
//! Owns the samples of accounts, which are gathered from the driver some at a time, so that nobody waits long behind a scrape of very many.

use tokio::sync::oneshot;

use super::sample::Sample;
use crate::broker::inbox::{Driver, Message};
use crate::broker::registry::Registry;

/// How many accounts the driver is asked for at once.
const SOME: usize = 256;

/// Text that is the same for any number of accounts, and the accounts.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) head: String,
    pub(super) accounts: Vec<Sample>,
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
