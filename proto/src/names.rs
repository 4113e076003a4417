//! Account names: the one identifier people type.
//!
//! Owns the rule for what a name may look like, so that it is safe in a path, a log line, a header and a shell
//! word. Never holds a name that breaks the rule, whether it was typed, configured or decoded.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// The name of one account: 1 to 64 bytes, first a letter or digit, then letters, digits and `. _ @ + -`.
///
/// All of it ASCII and case-sensitive. Cloning copies a pointer.
///
/// ```
/// use tokend_proto::AccountName;
///
/// let name: AccountName = "ads.prod@example".parse()?;
/// assert_eq!(name.as_str(), "ads.prod@example");
/// assert!("-starts-like-an-option".parse::<AccountName>().is_err());
/// # Ok::<(), tokend_proto::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a key of TOML: in quotes if it has a character that would end the key or part it in two.
    ///
    /// ```
    /// # use tokend_proto::AccountName;
    /// let name = |text: &str| -> AccountName { text.parse().unwrap() };
    /// assert_eq!(name("ads").toml_key(), "ads");
    /// assert_eq!(name("ads.prod@example").toml_key(), "\"ads.prod@example\"");
    /// ```
    pub fn toml_key(&self) -> Cow<'_, str> {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        match self.0.bytes().all(is_bare) {
            true => Cow::Borrowed(&self.0),
            // No character of a name needs more than quotes.
            false => Cow::Owned(format!("\"{}\"", self.0)),
        }
    }
}

/// Why a text is not an account name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is no text at all.
    #[error("account name is empty")]
    Empty,
    /// The text is longer than [`AccountName::MAX_LEN`].
    #[error("account name is {len} bytes long, at most {max} are allowed", max = AccountName::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The first character would make the name look like an option or a hidden file.
    #[error("account name must start with an ASCII letter or digit, not {found:?}")]
    BadStart {
        /// The offending character.
        found: char,
    },
    /// A later character is not among those allowed.
    #[error(
        "account name may hold only ASCII letters, digits and . _ @ + -, not {found:?} at byte {at}"
    )]
    BadCharacter {
        /// The offending character.
        found: char,
        /// Its byte offset in the name.
        at: usize,
    },
}

impl FromStr for AccountName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for AccountName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl TryFrom<&str> for AccountName {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        text.parse()
    }
}

fn check(text: &str) -> Result<(), NameError> {
    let Some(first) = text.chars().next() else {
        return Err(NameError::Empty);
    };
    if text.len() > AccountName::MAX_LEN {
        return Err(NameError::TooLong { len: text.len() });
    }
    if !first.is_ascii_alphanumeric() {
        return Err(NameError::BadStart { found: first });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-');
    match text.char_indices().find(|&(_, c)| !allowed(c)) {
        Some((at, found)) => Err(NameError::BadCharacter { found, at }),
        None => Ok(()),
    }
}

impl AsRef<str> for AccountName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AccountName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for AccountName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = AccountName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an account name")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AccountName, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_people_use() {
        for good in [
            "a",
            "9",
            "ads",
            "Ads.prod",
            "you@example.com",
            "a+b",
            "team_x-1",
            &"x".repeat(64),
        ] {
            assert_eq!(good.parse::<AccountName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        let refusal = |text: &str| text.parse::<AccountName>().unwrap_err();
        assert_eq!(refusal(""), NameError::Empty);
        assert_eq!(refusal(&"x".repeat(65)), NameError::TooLong { len: 65 });
        assert_eq!(refusal("-a"), NameError::BadStart { found: '-' });
        assert_eq!(refusal(".hidden"), NameError::BadStart { found: '.' });
        assert_eq!(refusal("é"), NameError::BadStart { found: 'é' });
        assert_eq!(
            refusal("a/b"),
            NameError::BadCharacter { found: '/', at: 1 }
        );
        assert_eq!(
            refusal("a b"),
            NameError::BadCharacter { found: ' ', at: 1 }
        );
        assert_eq!(refusal("aé"), NameError::BadCharacter { found: 'é', at: 1 });
        assert_eq!(
            refusal("a\n"),
            NameError::BadCharacter { found: '\n', at: 1 }
        );
    }

    #[test]
    fn sorts_and_prints_as_text() {
        let name: AccountName = "ads".parse().unwrap();
        assert!(name < "adz".parse().unwrap());
        assert_eq!(format!("{name:>5}|{name:?}"), "  ads|\"ads\"");
    }
}
