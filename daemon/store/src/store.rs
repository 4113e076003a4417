//! The contract every store keeps: [`Store`], and what goes in and out of it.
//!
//! All of it blocks, so it is called from its own thread. Must never say where or how records are kept.

use std::time::Duration;

use crate::account::{AccountId, Version};
use crate::claims::Claim;
use crate::error::{Quarantined, StoreError};
use crate::record::Record;
use crate::watch::Watch;

/// Durable records of accounts, with claims so that only one daemon attempts for an account at a time.
pub trait Store: Send + Sync {
    /// Hands each record to `visit`, one at a time, and returns those that do not open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`]; what was visited before stays visited.
    fn for_each(
        &self,
        visit: &mut dyn FnMut(AccountId, Version, Record),
    ) -> Result<Vec<Quarantined>, StoreError>;

    /// One record and its version, or `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Quarantined`] when it does not open, else as [`for_each`](Self::for_each).
    fn read(&self, account: &AccountId) -> Result<Option<(Version, Record)>, StoreError>;

    /// Takes the right to attempt and to commit for an account.
    ///
    /// A shared store ends the claim after `ttl`, so that a crashed daemon does not hold it. A local store has the state directory to
    /// itself: a claim lives until it is released or the store is closed. It grants none while the disk has no room for an outcome.
    ///
    /// # Errors
    /// [`StoreError::Claimed`] while another claim on the account lives; [`StoreError::Unavailable`] when the disk is full, and as
    /// [`in_place`](Self::in_place).
    fn claim(&self, account: &AccountId, ttl: Duration) -> Result<Claim, StoreError>;

    /// Writes the batch in one durable transaction, in order, and answers each in turn.
    ///
    /// [`Conflict`](StoreError::Conflict), [`Fenced`](StoreError::Fenced), [`Quarantined`](StoreError::Quarantined) and
    /// [`TooLarge`](StoreError::TooLarge) concern one commit and not the others. [`Unavailable`](StoreError::Unavailable) and
    /// [`Corrupt`](StoreError::Corrupt) concern all, and leave open whether the batch landed. Then the *same* commits may be tried
    /// again: one that had landed is recognised by its content and is no conflict; it is written once more, so that it does not rest on
    /// a failed fsync.
    fn commit(&self, batch: &[RecordCommit<'_>]) -> Vec<Result<Version, StoreError>>;

    /// Ends a claim. A claim that has already ended is no error.
    fn release(&self, claim: Claim);

    /// Whether committed records will survive a restart, as far as can be known without writing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the open database was removed, replaced or emptied.
    fn in_place(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Changes made by others from now on. A local store never reports one.
    fn watch(&self) -> Watch;

    /// Which of these records that do not open were sealed for one of these accounts: their name was damaged. Writes nothing and delays
    /// no write.
    ///
    /// # Errors
    /// As [`for_each`](Self::for_each).
    fn strayed(
        &self,
        accounts: &[AccountId],
        set_aside: &[Quarantined],
    ) -> Result<Vec<Strayed>, StoreError>;

    /// Puts back the records that [`strayed`](Self::strayed) found, all in one transaction, and returns their accounts. A record stays
    /// where it is if it was moved since or its account has a record by now.
    ///
    /// # Errors
    /// As [`commit`](Self::commit); nothing is moved then.
    fn put_back(&self, strayed: &[Strayed]) -> Result<Vec<AccountId>, StoreError>;

    /// Removes a record that does not open, by the name in its [`Quarantined`].
    ///
    /// # Errors
    /// [`StoreError::NotQuarantined`] when there is no such record, or when it does open.
    fn discard_quarantined(&self, account: &str) -> Result<(), StoreError>;
}

/// A record that is stored under a wrong name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strayed {
    pub(crate) account: AccountId,
    /// Where it is stored: perhaps no valid name.
    pub(crate) key: Box<[u8]>,
}

/// One change to one account's record.
#[derive(Debug, Clone, Copy)]
pub struct RecordCommit<'a> {
    /// The claim on the account.
    pub claim: &'a Claim,
    /// The version the caller last saw; [`Version::NONE`] for a first record.
    pub expected: Version,
    /// The whole new record, or `None` to remove it (forget).
    pub record: Option<&'a Record>,
}

/// Decides whether a commit may replace the stored record. The one rule for every local store.
///
/// `standing` is the version and plaintext of the stored record, `encoded` the plaintext to be written.
pub(crate) fn check_version(
    commit: &RecordCommit<'_>,
    standing: Option<(Version, &[u8])>,
    encoded: Option<&[u8]>,
) -> Result<(), StoreError> {
    let actual = standing.map_or(Version::NONE, |(version, _)| version);
    if actual == commit.expected {
        return Ok(());
    }
    let landed_before = match (standing, encoded) {
        (Some((version, plain)), Some(encoded)) => version > commit.expected && plain == encoded,
        (None, None) => true,
        _ => false,
    };
    if landed_before {
        return Ok(());
    }
    Err(StoreError::Conflict {
        account: commit.claim.account().clone(),
        expected: commit.expected,
        actual,
    })
}
