//! What tests need of a store: one in memory with scripted faults, and the parsers of records for hostile bytes.
//!
//! Must never be in a program that keeps credentials: the feature `testing` is for dev-dependencies.

pub mod fuzzing;
mod memory;

use crate::account::{AccountId, Version};
use crate::error::{Quarantined, StoreError};
use crate::record::Record;
use crate::store::Store;

pub use memory::{MemoryStore, ScriptedFault};

/// What a store holds.
#[derive(Debug)]
pub struct Loaded {
    /// Records that open, in order of account.
    pub records: Vec<(AccountId, Version, Record)>,
    /// Records that do not.
    pub quarantined: Vec<Quarantined>,
}

/// Reads all records at once, for which a daemon's store may be too large.
pub trait Load: Store {
    /// All records.
    ///
    /// # Errors
    /// As [`Store::for_each`].
    fn load(&self) -> Result<Loaded, StoreError> {
        let mut records = Vec::new();
        let quarantined = self.for_each(&mut |account, version, record| {
            records.push((account, version, record));
        })?;
        Ok(Loaded {
            records,
            quarantined,
        })
    }
}

impl<S: Store + ?Sized> Load for S {}
