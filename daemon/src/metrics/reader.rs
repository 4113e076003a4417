//! Permission to read metrics, and reading them in parts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokend_config::Metrics as Settings;
use tokend_policy::{Needs, Peer, Permission};
use tokend_proto::{Fault, FaultCode, MetricsCursor, MetricsPage, Response};

use crate::broker::inbox::Driver;
use crate::broker::registry::Registry;
use tokend_audit::Audit;
use tokend_metrics::{At, Counters, MetricsSnapshot};
use tokend_process::clock::Clock;
use tokend_process::logging::Lines;

use super::gather::gather;

/// The number of snapshots that are kept for readers in parts.
const KEPT: usize = 4;
const KEPT_FOR: Duration = Duration::from_secs(60);
/// The size of one part of the text.
pub(crate) const PART: usize = 48 * 1024;

/// Reads metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counters: Arc<Counters>,
    settings: ArcSwap<Settings>,
    registry: Arc<Registry>,
    driver: Driver,
    audit: Audit,
    log: Lines,
    clock: Clock,
    /// One snapshot is made at a time.
    making: tokio::sync::Mutex<u64>,
    kept: Mutex<VecDeque<(u64, Arc<MetricsSnapshot>)>>,
}

impl Metrics {
    pub(crate) fn new(
        counters: Arc<Counters>,
        settings: Settings,
        registry: Arc<Registry>,
        driver: Driver,
        audit: Audit,
        log: Lines,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner {
            counters,
            settings: ArcSwap::from_pointee(settings),
            registry,
            driver,
            audit,
            log,
            clock,
            making: tokio::sync::Mutex::default(),
            kept: Mutex::default(),
        }))
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// Uses these settings from now on. The listening address stays.
    pub(crate) fn configure(&self, settings: &Settings) {
        self.0.settings.store(Arc::new(settings.clone()));
    }

    pub(crate) fn may_read(&self, peer: &Peer) -> bool {
        let is_admin = || {
            let snapshot = self.0.registry.snapshot();
            snapshot.administers(peer, Permission::Status).is_ok()
        };
        self.allows(peer) || is_admin()
    }

    /// Whether the metrics rules let a peer read them that is no administrator.
    pub(crate) fn allows(&self, peer: &Peer) -> bool {
        let settings = self.0.settings.load();
        settings.allow.decide(peer, Permission::Status).is_allowed()
    }

    pub(crate) fn needs(&self) -> Needs {
        self.0.settings.load().allow.needs()
    }

    /// One part of a snapshot; without a cursor, of a new snapshot.
    pub(crate) async fn page(&self, cursor: Option<MetricsCursor>) -> Response {
        let mut at = cursor.map_or_else(At::default, |cursor| At {
            family: cursor.family,
            index: cursor.index,
        });
        let found = match cursor {
            Some(MetricsCursor { snapshot: id, .. }) => self.kept(id).ok_or_else(displaced),
            None => self.make().await.ok_or_else(stopping),
        };
        let (id, snapshot) = match found {
            Ok(found) => found,
            Err(fault) => return Response::Fault(fault),
        };
        let mut text = String::with_capacity(PART);
        let more = snapshot.write(&mut at, PART, &mut text);
        match more {
            true if cursor.is_none() => self.keep(id, snapshot),
            true => {}
            false => self.forget(id),
        }
        let next = more.then_some(MetricsCursor {
            snapshot: id,
            family: at.family,
            index: at.index,
        });
        Response::Metrics(MetricsPage { text, next })
    }

    /// A new snapshot. `None` when the daemon is stopping.
    pub(crate) async fn make(&self) -> Option<(u64, Arc<MetricsSnapshot>)> {
        let inner = &*self.0;
        let mut making = inner.making.lock().await;
        *making += 1;
        let each = inner.settings.load().accounts;
        let samples = gather(&inner.registry, &inner.driver).await?;
        let head = tokend_metrics::head(
            &inner.counters,
            (&inner.audit, &inner.log),
            (&samples, inner.registry.sinks().counts()),
            inner.clock.wall_ms(),
        );
        let accounts = if each { samples } else { Vec::new() };
        Some((*making, Arc::new(MetricsSnapshot { head, accounts })))
    }

    fn kept(&self, id: u64) -> Option<(u64, Arc<MetricsSnapshot>)> {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(own, _)| *own == id).cloned()
    }

    fn keep(&self, id: u64, snapshot: Arc<MetricsSnapshot>) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((id, snapshot));
        drop(kept);
        // A reader that leaves in the middle leaves no snapshot behind for long.
        let metrics = self.clone();
        drop(tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            metrics.forget(id);
        }));
    }

    fn forget(&self, id: u64) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(own, _)| *own != id);
    }
}

fn displaced() -> Fault {
    let message = "the metrics that were being read are not kept any longer";
    Fault::new(FaultCode::TooBusy, message)
        .advise("read them again from the beginning")
        .retry_after(1_000)
}

fn stopping() -> Fault {
    Fault::new(FaultCode::Draining, "the daemon is stopping")
        .advise("try again once it is back")
        .retry_after(1_000)
}
