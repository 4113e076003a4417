//! Requests as they are counted and recorded, and the metrics that are made of it.
//!
//! Owns the way into the desk: nothing is answered past it. Must never decide who may have what.

use std::time::Duration;
use tokend_process::task;

use tokend_policy::{Peer, Permission};
use tokend_proto::{Fault, MetricsCursor, Request, Response};

use super::admission::administrator;
use super::done::{Done, died};
use super::handled::Handled;
use super::recorded::{Entry, unrecorded};
use super::release::{Answered, Decided, Terms};
use super::service::Desk;
use crate::metrics::Counters;
use crate::registry::Epoch;

impl Desk {
    /// Handles one request of a peer, counts it, and records what came of it. The caller holds the configuration still until an
    /// answer on the spot is on its way; one that takes time leaves through `release`.
    pub(crate) fn handle(&self, peer: &Peer, request: Request) -> Handled {
        let which = Counters::request(&request);
        let began = self.clock.since_boot();
        match self.recorded(peer, request, (which, began)) {
            Handled::Now(response) => {
                let took = self.clock.since_boot().saturating_sub(began);
                self.metrics
                    .counters()
                    .answered(which, &response, false, took);
                Handled::Now(response)
            }
            later => later,
        }
    }

    fn recorded(&self, peer: &Peer, request: Request, counted: (usize, Duration)) -> Handled {
        let entry = Entry::open(&self.audit, peer, &request);
        if entry.as_ref().is_some_and(Entry::is_futile) {
            let unrecorded = Response::Fault(unrecorded());
            return Handled::Now(close(entry, &Decided::nothing(), unrecorded));
        }
        let epoch = self.registry.epoch();
        let terms = Terms::of(&request);
        let (decided, done) = self.dispatch(&epoch, peer, request);
        let (under, pending) = match done {
            Done::Now(response) => return Handled::Now(close(entry, &decided, response)),
            Done::Later(pending) => (epoch.number(), pending),
        };
        let is_act = entry.as_ref().is_some_and(Entry::is_act);
        let answered = move |response, decided, entry| Answered {
            response,
            under,
            decided,
            terms,
            entry,
            counted,
        };
        if !is_act {
            return Handled::Later(Box::pin(
                async move { answered(pending.await, decided, entry) },
            ));
        }
        // What came of it is recorded even when nobody waits any more.
        let rules = decided.rules.clone();
        let to_the_end = task::guarded(async move {
            let (mut entry, response) = (entry, pending.await);
            if let Some(entry) = &mut entry {
                entry.acted(&rules, &response);
            }
            (response, entry)
        });
        Handled::Later(Box::pin(async move {
            let (response, entry) = to_the_end.await.unwrap_or_else(|| (died(), None));
            answered(response, decided, entry)
        }))
    }

    pub(super) fn read_metrics(
        &self,
        epoch: &Epoch,
        peer: &Peer,
        after: Option<MetricsCursor>,
    ) -> Result<Done, Box<Fault>> {
        if !self.metrics.may_read(peer) {
            administrator(epoch, peer, Permission::Status, "read metrics")?;
        }
        let metrics = self.metrics.clone();
        Ok(Done::Later(Box::pin(
            async move { metrics.page(after).await },
        )))
    }
}

fn close(entry: Option<Entry>, decided: &Decided, response: Response) -> Response {
    match entry {
        Some(entry) => entry.close(&decided.rules, decided.slot.as_deref(), response),
        None => response,
    }
}
