//! Requests as they are counted and recorded, and the metrics that are made of it.
//!
//! Owns the way into the desk: nothing is answered past it. Must never decide who may have what.

use std::sync::Arc;

use tokend_policy::{Peer, Permission};
use tokend_proto::{Fault, MetricsCursor, Request, Response};

use super::admission::administrator;
use super::{Desk, Handled, to_the_end};
use crate::audit;
use crate::metrics::Counters;

impl Desk {
    /// Handles one request of a peer, counts it, and records what came of it.
    pub(crate) fn handle(&self, peer: &Peer, request: Request) -> Handled {
        let which = Counters::request(&request);
        let began = self.clock.since_boot();
        match self.recorded(peer, request) {
            Handled::Now(response) => {
                let took = self.clock.since_boot().saturating_sub(began);
                self.metrics
                    .counters()
                    .answered(which, &response, false, took);
                Handled::Now(response)
            }
            Handled::Later(pending) => {
                let (counters, clock) = (Arc::clone(self.metrics.counters()), self.clock.clone());
                Handled::Later(Box::pin(async move {
                    let response = pending.await;
                    let took = clock.since_boot().saturating_sub(began);
                    counters.answered(which, &response, true, took);
                    response
                }))
            }
        }
    }

    fn recorded(&self, peer: &Peer, request: Request) -> Handled {
        let Some(entry) = audit::Entry::open(&self.audit, peer, &request) else {
            return self.dispatch(peer, request);
        };
        if entry.is_futile() {
            let unrecorded = Response::Fault(audit::unrecorded());
            return Handled::Now(entry.close(&self.registry, unrecorded));
        }
        let pending = match self.dispatch(peer, request) {
            Handled::Now(response) => return Handled::Now(entry.close(&self.registry, response)),
            Handled::Later(pending) => pending,
        };
        let registry = Arc::clone(&self.registry);
        let act = entry.is_act();
        let closed = async move {
            let response = pending.await;
            entry.close(&registry, response)
        };
        match act {
            // What came of it is recorded even when nobody waits any more.
            true => to_the_end(closed),
            false => Handled::Later(Box::pin(closed)),
        }
    }

    pub(super) fn read_metrics(
        &self,
        peer: &Peer,
        after: Option<MetricsCursor>,
    ) -> Result<Handled, Box<Fault>> {
        if !self.metrics.may_read(peer) {
            administrator(
                &self.registry.epoch(),
                peer,
                Permission::Status,
                "read metrics",
            )?;
        }
        let metrics = self.metrics.clone();
        Ok(Handled::Later(Box::pin(async move {
            metrics.page(after).await
        })))
    }
}
