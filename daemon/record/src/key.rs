//! The key of a record in the store: it is built and parsed only here.
//!
//! The key is the account's name and the fingerprint of its identity. Each identity has its own record, so that going back to an earlier
//! configuration finds the earlier credential.

use std::ops::Deref;

use tokend_config::Account;
use tokend_proto::AccountName;
use tokend_store::AccountId;

/// The separator between name and identity. No account name contains it.
const BETWEEN: char = '#';

/// The key of one identity's record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(AccountId);

impl RecordKey {
    /// The key of an account's record.
    pub fn of(account: &Account) -> Option<Self> {
        Self::read(&format!("{}{BETWEEN}{}", account.name, account.identity))
    }

    /// Parses a record's key, if the text is one.
    pub fn read(text: &str) -> Option<Self> {
        AccountId::new(text).ok().map(Self)
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        let whole = self.0.as_str();
        whole.split_once(BETWEEN).map_or(whole, |(name, _)| name)
    }

    /// The part that stays when the account is renamed.
    pub fn identity(&self) -> &str {
        let parts = self.0.as_str().split_once(BETWEEN);
        parts.map_or("", |(_, identity)| identity)
    }

    /// Whether this is the key of an identity of this account.
    pub fn is_of(&self, account: &AccountName) -> bool {
        Self::is_text_of(self.0.as_str(), account)
    }

    /// The same question about a text in place of a key, which may be damaged behind the name.
    pub fn is_text_of(text: &str, account: &AccountName) -> bool {
        let rest = text.strip_prefix(account.as_str());
        rest.is_some_and(|rest| rest.starts_with(BETWEEN))
    }
}

impl From<AccountId> for RecordKey {
    fn from(id: AccountId) -> Self {
        Self(id)
    }
}

/// The form that the store takes.
impl Deref for RecordKey {
    type Target = AccountId;

    fn deref(&self) -> &AccountId {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokend_config::testing::Site;

    fn name(text: &str) -> AccountName {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_made_of_an_account_is_read_again_and_never_taken_for_another() {
        let account = |name: &str| {
            let text = format!(
                "[account.{name}]\nprovider = \"oauth2\"\nbase_url = \"http://127.0.0.1:1\"\nusername = \"u\"\nclient_id = \"c\"\n"
            );
            Site::new(&text).account()
        };
        let (ads, renamed) = (account("ads"), account("ads2"));
        let key = RecordKey::of(&ads).unwrap();
        assert_eq!(RecordKey::read(key.as_str()).as_ref(), Some(&key));
        assert_eq!(
            key.as_str(),
            format!("ads#{}", ads.identity),
            "as it is on disk"
        );
        assert_eq!(
            (key.name(), key.identity()),
            ("ads", &*ads.identity.to_string())
        );
        assert!(key.is_of(&name("ads")) && !key.is_of(&name("ad")) && !key.is_of(&name("ads2")));
        let other = RecordKey::of(&renamed).unwrap();
        assert_eq!(other.identity(), key.identity());
        assert!(!other.is_of(&name("ads")));
        // Texts that were never built here.
        let bare = RecordKey::read("ads").unwrap();
        assert_eq!((bare.name(), bare.identity()), ("ads", ""));
        assert!(!bare.is_of(&name("ads")));
        assert_eq!(RecordKey::read(""), None);
    }
}
