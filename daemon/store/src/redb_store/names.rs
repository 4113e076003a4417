//! The key of an entry in the database, and the account it names.

use crate::account::AccountId;

pub(super) fn account_of(key: &[u8]) -> Option<AccountId> {
    AccountId::new(std::str::from_utf8(key).ok()?).ok()
}

/// The name of an entry for messages, whatever its key is.
pub(super) fn name_of(key: &[u8]) -> String {
    account_of(key).map_or_else(
        || key.escape_ascii().to_string(),
        |account| account.as_str().to_owned(),
    )
}
