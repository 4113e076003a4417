//! The state that all connections share.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    ledger::Ledger,
    spec::{Api, Deployment},
};
use crate::clock::Stopwatch;

/// State shared by all connections.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) watch: Stopwatch,
    pub(super) deployments: Mutex<BTreeMap<Api, Deployment>>,
    pub(super) ledger: Mutex<Ledger>,
}

impl Shared {
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deployment(&self, api: Api) -> Deployment {
        let all = self
            .deployments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.get(&api)
            .cloned()
            .unwrap_or_else(|| Deployment::documented(api))
    }
}
