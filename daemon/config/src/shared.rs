//! Values that accounts share by the thousand, kept once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use tokend_policy::{Policy, Rule};

use super::pacing::Pacing;
use super::proxy::Proxy;

/// Values that many accounts have in common, kept once.
#[derive(Debug)]
pub(super) struct Shared<K, V: ?Sized>(HashMap<K, Arc<V>>);

impl<K: Eq + Hash, V: ?Sized> Shared<K, V> {
    /// Nothing kept yet.
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// The value kept for `key`, or the one `make` makes.
    pub(super) fn get_or<E>(
        &mut self,
        key: K,
        make: impl FnOnce() -> Result<Arc<V>, E>,
    ) -> Result<Arc<V>, E> {
        match self.0.entry(key) {
            Entry::Occupied(kept) => Ok(Arc::clone(kept.get())),
            Entry::Vacant(free) => Ok(Arc::clone(free.insert(make()?))),
        }
    }
}

impl Shared<Proxy, Proxy> {
    /// The one proxy equal to `proxy`; `None` where there are `most` others already.
    pub(super) fn keep(&mut self, proxy: Arc<Proxy>, most: usize) -> Option<Arc<Proxy>> {
        if let Some(kept) = self.0.get(&*proxy) {
            return Some(Arc::clone(kept));
        }
        (self.0.len() < most).then(|| {
            self.0.insert(Proxy::clone(&proxy), Arc::clone(&proxy));
            proxy
        })
    }

    /// All that are kept.
    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<Proxy>> {
        self.0.values()
    }
}

impl Shared<Pacing, Pacing> {
    /// The one pacing equal to `pacing`.
    pub(super) fn keep(&mut self, pacing: Pacing) -> Arc<Pacing> {
        Arc::clone(self.0.entry(pacing).or_insert_with(|| Arc::new(pacing)))
    }
}

impl Shared<Arc<Policy>, Policy> {
    /// The one policy of rules equal to `rules`.
    pub(super) fn policy(&mut self, rules: Vec<Rule>) -> Arc<Policy> {
        let policy = Arc::new(Policy::new(rules));
        Arc::clone(self.0.entry(Arc::clone(&policy)).or_insert(policy))
    }
}

impl Shared<Box<str>, str> {
    /// The one text equal to `text`.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(kept) = self.0.get(text) {
            return Arc::clone(kept);
        }
        let kept: Arc<str> = text.into();
        self.0.insert(text.into(), Arc::clone(&kept));
        kept
    }
}
