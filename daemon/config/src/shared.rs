//! Values that accounts share by the thousand, kept once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Values that many accounts have in common, kept once.
#[derive(Debug)]
pub(super) struct Shared<V: ?Sized>(HashSet<Arc<V>>);

impl<V: ?Sized + Eq + Hash> Shared<V> {
    /// Nothing kept yet.
    pub(super) fn new() -> Self {
        Self(HashSet::new())
    }

    /// The one value equal to `value`.
    pub(super) fn keep(&mut self, value: impl Borrow<V> + Into<Arc<V>>) -> Arc<V> {
        let equal: &V = value.borrow();
        if let Some(kept) = self.0.get(equal) {
            return Arc::clone(kept);
        }
        let kept = value.into();
        self.0.insert(Arc::clone(&kept));
        kept
    }

    /// The same; `None` where there are `most` others already.
    pub(super) fn keep_at_most(&mut self, most: usize, value: Arc<V>) -> Option<Arc<V>> {
        let fits = self.0.len() < most || self.0.contains(&value);
        fits.then(|| self.keep(value))
    }

    /// All that are kept.
    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<V>> {
        self.0.iter()
    }
}
