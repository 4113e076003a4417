//! Samples of all accounts. They are requested from the driver in batches, so that no client waits long behind a scrape of very many
//! accounts.

use tokend_metrics::Sample;

use crate::broker::inbox::{Driver, Message, ask};
use crate::broker::registry::Registry;

/// The number of accounts in one batch.
const SOME: usize = 256;

/// Samples of all accounts in force, by name. `None` when the driver is gone.
pub(super) async fn gather(registry: &Registry, driver: &Driver) -> Option<Vec<Sample>> {
    let keys: Vec<_> = registry
        .snapshot()
        .all_served()
        .map(|served| served.key)
        .collect();
    let mut samples = Vec::with_capacity(keys.len());
    for some in keys.chunks(SOME) {
        let accounts = some.to_vec();
        samples.extend(ask(driver, |reply| Message::Sample { accounts, reply }).await?);
    }
    Some(samples)
}
