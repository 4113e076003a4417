//! What is remembered of the configuration in force, beside the accounts that sessions read in the registry.
//!
//! Owns what it is compared with: what is on disk now, and what is known of names by now. Changes only when another is in force.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokend_config::{Config, Stamps, Unresolved};
use tokend_policy::Names;

use super::names::{self, Waiting};

/// What is remembered of the configuration in force.
#[derive(Debug)]
pub(crate) struct InForce {
    /// What its files were like.
    stamps: ArcSwap<Stamps>,
    /// Names in its rules that nobody had.
    unresolved: ArcSwap<Vec<Unresolved>>,
    /// Names in its rules, with the ids they have there.
    names: ArcSwap<Names>,
    /// Since when names are tried again, and when the next time is.
    waiting: Waiting,
}

impl InForce {
    /// Of the first configuration. The time is that of the wall clock.
    pub(crate) fn new(config: &Config, now_ms: i64) -> Self {
        let first = Self {
            stamps: ArcSwap::from_pointee(config.stamps.clone()),
            unresolved: ArcSwap::from_pointee(config.unresolved.clone()),
            names: ArcSwap::from_pointee(config.names.clone()),
            waiting: Waiting::default(),
        };
        first.waiting.note(&config.unresolved, now_ms);
        first
    }

    /// Another configuration is in force. Says which of its names nobody has.
    pub(super) fn note(&self, config: &Config, now_ms: i64) {
        self.stamps.store(Arc::new(config.stamps.clone()));
        names::tell(&config.unresolved);
        self.waiting.note(&config.unresolved, now_ms);
        self.unresolved.store(Arc::new(config.unresolved.clone()));
        self.names.store(Arc::new(config.names.clone()));
    }

    /// Says which names of rules nobody has.
    pub(crate) fn tell(&self) {
        names::tell(&self.unresolved.load());
    }

    pub(crate) fn stamps(&self) -> Arc<Stamps> {
        self.stamps.load_full()
    }

    pub(crate) fn unresolved(&self) -> Arc<Vec<Unresolved>> {
        self.unresolved.load_full()
    }

    pub(super) fn names(&self) -> Arc<Names> {
        self.names.load_full()
    }

    /// Since when nobody has the name, and when it is tried again.
    pub(crate) fn when(&self, name: &Unresolved) -> String {
        self.waiting.when(name)
    }

    /// Names are tried again at this time of the wall clock.
    pub(super) fn planned(&self, next_ms: i64) {
        self.waiting.planned(next_ms);
    }

    /// As if these names had been known to nobody.
    #[cfg(test)]
    pub(crate) fn forget_names(&self, unresolved: Vec<Unresolved>) {
        self.unresolved.store(Arc::new(unresolved));
    }
}
