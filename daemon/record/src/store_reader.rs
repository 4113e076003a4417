//! Read-only access to the store.
//!
//! The store thread owns every write. Reads run beside it: a walk over a hundred thousand records takes seconds, and every commit would
//! otherwise wait for it. A read sees whole transactions in any case. Must never write.

use std::fmt;
use std::sync::Arc;

use tokend_store::{AccountId, Quarantined, Record, Store, StoreError, Strayed, Version};

/// The store without its writing methods. Cheap to clone. All methods block.
#[derive(Clone)]
pub struct StoreReader(Arc<dyn Store>);

impl StoreReader {
    /// Reads from this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// As [`Store::for_each`].
    pub fn for_each(
        &self,
        visit: &mut dyn FnMut(AccountId, Version, Record),
    ) -> Result<Vec<Quarantined>, StoreError> {
        self.0.for_each(visit)
    }

    /// As [`Store::read`].
    pub fn read(&self, id: &AccountId) -> Result<Option<(Version, Record)>, StoreError> {
        self.0.read(id)
    }

    /// As [`Store::strayed`].
    pub fn strayed(
        &self,
        accounts: &[AccountId],
        set_aside: &[Quarantined],
    ) -> Result<Vec<Strayed>, StoreError> {
        self.0.strayed(accounts, set_aside)
    }

    /// As [`Store::in_place`].
    pub fn in_place(&self) -> Result<(), StoreError> {
        self.0.in_place()
    }
}

impl fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreReader")
    }
}
