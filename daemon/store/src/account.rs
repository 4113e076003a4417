//! The name of a record and the count of its changes: [`AccountId`] and [`Version`].
//!
//! Must never know what a record holds.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The longest account name, in bytes.
pub const MAX_ACCOUNT_ID_BYTES: usize = 128;

/// The name of an account, as the key of its record: 1 to 128 bytes of UTF-8 without control characters.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// When the name is empty, longer than [`MAX_ACCOUNT_ID_BYTES`], or has a control character, which would garble logs.
    pub fn new(name: &str) -> Result<Self, AccountIdError> {
        if name.is_empty() {
            return Err(AccountIdError::Empty);
        }
        if name.len() > MAX_ACCOUNT_ID_BYTES {
            return Err(AccountIdError::TooLong { bytes: name.len() });
        }
        if name.chars().any(char::is_control) {
            return Err(AccountIdError::ControlCharacter);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({})", self.0)
    }
}

/// Why a name is not an [`AccountId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccountIdError {
    /// The name has no bytes.
    #[error("an account name is empty: give it 1 to {MAX_ACCOUNT_ID_BYTES} bytes")]
    Empty,
    /// The name has too many bytes.
    #[error("an account name of {bytes} bytes is too long: use at most {MAX_ACCOUNT_ID_BYTES}")]
    TooLong {
        /// The length of the refused name.
        bytes: usize,
    },
    /// The name has a line break, an escape or the like.
    #[error("an account name has a control character: use printable characters only")]
    ControlCharacter,
}

/// Counts the changes of one account's record. It only grows, also across removal.
///
/// Opaque to callers: a commit answers with the next one to expect, which need not be one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u64);

impl Version {
    /// No record yet.
    pub const NONE: Self = Self(0);

    /// The version after this one, or `None` when there are no more (which 2^64 changes would need).
    pub(crate) fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl From<u64> for Version {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<Version> for u64 {
    fn from(version: Version) -> Self {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bounded_and_printable() {
        assert!(AccountId::new("ads").is_ok());
        assert!(AccountId::new(&"a".repeat(128)).is_ok());
        assert_eq!(AccountId::new(""), Err(AccountIdError::Empty));
        assert_eq!(
            AccountId::new(&"ä".repeat(65)),
            Err(AccountIdError::TooLong { bytes: 130 })
        );
        for bad in ["a\nb", "a\0", "\u{1b}[31m"] {
            assert_eq!(AccountId::new(bad), Err(AccountIdError::ControlCharacter));
        }
    }

    #[test]
    fn versions_end_rather_than_wrap() {
        assert_eq!(Version::NONE.next(), Some(Version::from(1)));
        assert_eq!(Version::from(u64::MAX).next(), None);
    }
}
