//! How everything is at a moment.

use crate::sample::Sample;

/// Text that is the same for any number of accounts, and the accounts.
#[derive(Debug)]
pub struct MetricsSnapshot {
    /// The lines that do not depend on accounts.
    pub head: String,
    /// How each account is.
    pub accounts: Vec<Sample>,
}
