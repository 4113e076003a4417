//! All metrics at one moment.

use crate::sample::Sample;

/// The text that does not depend on accounts, and the samples of all accounts.
#[derive(Debug)]
pub struct MetricsSnapshot {
    /// The lines that do not depend on accounts.
    pub head: String,
    /// The samples of the accounts.
    pub accounts: Vec<Sample>,
}
