//! The counters of the running daemon.
//!
//! Owns the numbers. Sessions add to them without a lock; only the driver, which is one task, adds new dialects.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokend_engine::{AttemptKind, AttemptOutcome};
use tokend_proto::{FaultCode, RequestKind, Response};

use super::label::Each;

const REQUESTS: usize = RequestKind::ALL.len();
const KINDS: usize = AttemptKind::ALL.len();
const OUTCOMES: usize = AttemptOutcome::ALL.len();

/// Upper bounds of all histograms, in microseconds.
pub(super) const BOUNDS: [u32; 15] = [
    10, 50, 250, 1_000, 5_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// All counters.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) started_ms: AtomicI64,
    pub(super) requests: Each<RequestKind, Answers, REQUESTS>,
    /// Duration of a `get` that is answered from a held token.
    pub(super) get_held: Histogram,
    /// Duration of a `get` that waits for a token.
    pub(super) get_waited: Histogram,
    pub(super) connections: AtomicU64,
    pub(super) watches: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) not_stored: AtomicU64,
    pub(super) store: Histogram,
    pub(super) reloads: AtomicU64,
    pub(super) reloads_refused: AtomicU64,
    pub(super) reload_failed: AtomicBool,
    pub(super) reloaded_ms: AtomicI64,
    pub(super) dialects: Mutex<BTreeMap<Box<str>, Arc<Attempts>>>,
}

/// The answers to requests of one kind, by success and fault.
#[derive(Debug, Default)]
pub(super) struct Answers {
    ok: AtomicU64,
    faults: [AtomicU64; FaultCode::ALL.len()],
}

/// Whether a `get` found a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The token was held.
    Held,
    /// The client waited for the token.
    Waited,
}

/// The attempts of all accounts of a dialect.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    pub(super) counts: Each<AttemptKind, Each<AttemptOutcome, AtomicU64, OUTCOMES>, KINDS>,
    pub(super) took: Each<AttemptKind, Histogram, KINDS>,
}

/// The attempts of one account, by kind and outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tried(pub(super) Each<AttemptKind, Each<AttemptOutcome, u64, OUTCOMES>, KINDS>);

/// A histogram of durations.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    pub(super) buckets: [AtomicU64; BOUNDS.len() + 1],
    pub(super) nanos: AtomicU64,
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub struct Connected(Arc<Counters>);

/// A watch, until it is dropped.
#[derive(Debug)]
pub struct Watched(Arc<Counters>);

impl Counters {
    /// Starts to count.
    pub fn new(wall_ms: i64) -> Arc<Self> {
        Arc::new(Self {
            started_ms: wall_ms.into(),
            reloaded_ms: wall_ms.into(),
            ..Self::default()
        })
    }

    /// A request was answered.
    pub fn answered(
        &self,
        request: RequestKind,
        response: &Response,
        found: Found,
        took: Duration,
    ) {
        if let Some(counter) = self.requests.of(request).counter(response) {
            counter.fetch_add(1, Relaxed);
        }
        if request == RequestKind::Get {
            let durations = match found {
                Found::Held => &self.get_held,
                Found::Waited => &self.get_waited,
            };
            durations.add(took);
        }
    }

    /// A connection was accepted.
    pub fn connected(self: &Arc<Self>) -> Connected {
        self.accepted.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed);
        Connected(Arc::clone(self))
    }

    /// A watch has begun.
    pub fn watched(self: &Arc<Self>) -> Watched {
        self.watches.fetch_add(1, Relaxed);
        Watched(Arc::clone(self))
    }

    /// A connection was refused.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// A transaction of the store has finished.
    pub fn written(&self, done: usize, refused: usize, took: Duration) {
        self.stored.fetch_add(done as u64, Relaxed);
        self.not_stored.fetch_add(refused as u64, Relaxed);
        self.store.add(took);
    }

    /// The configuration was reloaded, or the reload failed.
    pub fn reloaded(&self, done: bool, wall_ms: i64) {
        let counter = match done {
            true => &self.reloads,
            false => &self.reloads_refused,
        };
        counter.fetch_add(1, Relaxed);
        self.reload_failed.store(!done, Relaxed);
        if done {
            self.reloaded_ms.store(wall_ms, Relaxed);
        }
    }

    /// An attempt has finished. Counted for its dialect, and in `tried` for its account.
    pub fn attempted(
        &self,
        dialect: &str,
        kind: AttemptKind,
        outcome: AttemptOutcome,
        took: Duration,
        tried: &mut Tried,
    ) {
        *tried.0.of_mut(kind).of_mut(outcome) += 1;
        let attempts = {
            let mut dialects = self.dialects.lock().unwrap_or_else(PoisonError::into_inner);
            match dialects.get(dialect) {
                Some(known) => Arc::clone(known),
                None => Arc::clone(dialects.entry(dialect.into()).or_default()),
            }
        };
        attempts.counts.of(kind).of(outcome).fetch_add(1, Relaxed);
        attempts.took.of(kind).add(took);
    }
}

impl Answers {
    /// `None` for a fault of a newer release, which this daemon never returns: it has no counter.
    fn counter(&self, response: &Response) -> Option<&AtomicU64> {
        let (Response::Fault(fault) | Response::Unavailable(fault)) = response else {
            return Some(&self.ok);
        };
        let known = FaultCode::ALL.iter().position(|own| *own == fault.code);
        self.faults.get(known?)
    }

    /// All outcomes with their counters.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &AtomicU64)> {
        let codes = FaultCode::ALL.iter().map(|code| code.as_str());
        std::iter::once(("ok", &self.ok)).chain(codes.zip(&self.faults))
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        let micros = took.as_micros();
        let at = BOUNDS.iter().position(|bound| micros <= u128::from(*bound));
        if let Some(bucket) = self.buckets.get(at.unwrap_or(BOUNDS.len())) {
            bucket.fetch_add(1, Relaxed);
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Relaxed);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.watches.fetch_sub(1, Relaxed);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokend_proto::Fault;

    use super::*;

    #[test]
    fn a_fault_without_a_name_counts_as_no_other() {
        let answers = Answers::default();
        let count = |response: Response| {
            let counter = answers.counter(&response)?;
            counter.fetch_add(1, Relaxed);
            let mut counted = answers
                .iter()
                .filter(|(_, count)| count.swap(0, Relaxed) > 0);
            Some(counted.next()?.0)
        };
        let fault = |code| Response::Fault(Fault::new(code, "no"));
        for code in FaultCode::ALL {
            assert_eq!(count(fault(code)), Some(code.as_str()));
        }
        assert_eq!(count(fault(FaultCode::Other(9_999))), None);
        let message = String::new();
        assert_eq!(count(Response::Done { message }), Some("ok"));
    }
}
