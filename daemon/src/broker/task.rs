//! The state of the driver.

use std::collections::HashMap;
use std::sync::Arc;

use tokend_engine::{AccountKey, Engine, WaiterId};
use tokend_process::clock::Clock;
use tokend_process::systemd::Manager;
use tokio::sync::oneshot;

use super::in_flight::InFlight;
use super::queued::Queued;
use super::reports::Reports;
use super::service_status::ServiceStatus;
use super::shares::Shares;
use crate::broker::accounts::Accounts;
use crate::broker::attempt_log::Telemetry;
use crate::broker::inbox::Driver;
use crate::broker::registry::Registry;
use crate::broker::store_thread::StoreThread;
use tokend_upstream::Upstream;

/// The parts of the daemon that the driver works with.
#[derive(Debug)]
pub(crate) struct DriverParts {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    pub(crate) store_thread: StoreThread,
    pub(crate) upstream: Arc<Upstream>,
    /// A sender to the driver's own inbox, for the tasks it starts.
    pub(crate) own: Driver,
    pub(crate) manager: Manager,
}

/// The task's state.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) engine: Engine,
    pub(crate) accounts: Accounts,
    pub(crate) registry: Arc<Registry>,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
    pub(super) store_thread: StoreThread,
    pub(super) upstream: Arc<Upstream>,
    pub(super) own: Driver,
    pub(super) waiters: HashMap<WaiterId, Queued>,
    pub(super) shares: Shares,
    pub(super) reports: Reports,
    /// The data that each account's attempt in flight needs for its next step.
    pub(super) in_flight: HashMap<AccountKey, InFlight>,
    pub(super) drained: Option<oneshot::Sender<()>>,
    pub(super) service_status: ServiceStatus,
}
