//! The parts of the daemon that answers need.

use std::sync::Arc;

use tokend_process::clock::Clock;

use crate::broker::budget::RequestBudgets;
use crate::broker::inbox::Driver;
use crate::broker::registry::Registry;
use crate::doctor::Diagnosis;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use tokend_audit::Audit;

#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) registry: Arc<Registry>,
    pub(crate) driver: Driver,
    pub(crate) clock: Clock,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) diagnosis: Arc<Diagnosis>,
    /// Reads facts about peers.
    pub(crate) facts: tokend_peer::Reader,
    pub(crate) audit: Audit,
    pub(crate) metrics: Metrics,
    /// How many requests without a token each user has made.
    pub(crate) budgets: RequestBudgets,
}
