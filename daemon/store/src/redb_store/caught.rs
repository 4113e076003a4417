//! Panics of redb on damaged pages.
//!
//! redb checks most of what it reads and panics on the rest: about one in a hundred flipped bits in its own pages. This is the one place
//! where such a panic becomes an error like other damage. Must be around every use of redb, its drop included.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::StorageError;

/// redb panicked. The process has logged where; the database must not be used any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("reading its pages made redb panic")
    }
}

impl From<Panicked> for redb::Error {
    fn from(panicked: Panicked) -> Self {
        StorageError::Corrupted(panicked.to_string()).into()
    }
}

/// Runs some work with redb.
///
/// # Errors
/// When redb panicked.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // What the closure borrows is either let go of after a panic, or ours and changed in one step only.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_message| Panicked)
}
