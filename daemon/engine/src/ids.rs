//! Names of things inside one run of the daemon.
//!
//! Owns the id newtypes. None carries a secret or a configured name; the shell knows what they stand for.

/// One identity of one configured account. A changed identity gets a new key; a key is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey(pub u32);

/// A provider host: accounts that share it share its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostKey(pub u32);

/// One attempt, unique for an account across restarts (it is part of what is stored).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AttemptId(pub u64);

impl AttemptId {
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One grant of an account: the id of the attempt that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GrantId(pub u64);

/// A waiter. Only an id, so a waiter that leaves cannot end an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);
