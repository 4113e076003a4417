//! Secret text as it crosses the socket: tokens and typed credentials.
//!
//! Owns the wiping of what it holds and the refusal to show it. Never prints its content: `Debug` is redacted,
//! `Display` does not exist, errors tell lengths only.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A secret of at most 48 KiB, overwritten when dropped, compared without telling where it differs.
///
/// It serializes in the clear, because that is what the socket is for; give it to no other serializer.
///
/// ```
/// use tokend_proto::SecretText;
///
/// let token = SecretText::new("s3cr3t")?;
/// assert_eq!(token.expose(), "s3cr3t");
/// assert_eq!(format!("{token:?}"), "SecretText(redacted)");
/// # Ok::<(), tokend_proto::SecretError>(())
/// ```
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The longest secret, in bytes: a frame must hold it together with the rest of its message.
    pub const MAX_LEN: usize = 48 * 1024;

    /// Takes a secret over; what is refused is wiped.
    ///
    /// # Errors
    /// [`SecretError`] when it is longer than [`SecretText::MAX_LEN`].
    pub fn new(text: impl Into<String>) -> Result<Self, SecretError> {
        let text = Zeroizing::new(text.into());
        match text.len() {
            len if len > Self::MAX_LEN => Err(SecretError { len }),
            _ => Ok(Self(text)),
        }
    }

    /// The secret itself. Do not copy it into anything that is not wiped.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A secret is too long to be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("secret is {len} bytes long, at most {max} can be carried", max = SecretText::MAX_LEN)]
pub struct SecretError {
    /// Its length in bytes.
    pub len: usize,
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(redacted)")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretText {}

impl Zeroize for SecretText {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = SecretText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretText, E> {
                // Checked before the copy, so that an oversized claim costs nothing.
                match text.len() {
                    len if len > SecretText::MAX_LEN => Err(E::custom(SecretError { len })),
                    _ => SecretText::new(text).map_err(E::custom),
                }
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<SecretText, E> {
                SecretText::new(text).map_err(E::custom)
            }
        }

        // `str`, not `String`: a decoder that holds the bytes lends them, and the only copy is the wiped one.
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing() {
        let secret = SecretText::new("hunter2").unwrap();
        assert!(!format!("{secret:?} {secret:#?}").contains("hunter2"));
        assert_eq!((secret.len(), secret.is_empty()), (7, false));
    }

    #[test]
    fn refuses_what_a_frame_cannot_hold() {
        assert!(SecretText::new("x".repeat(SecretText::MAX_LEN)).is_ok());
        let refused = SecretText::new("x".repeat(SecretText::MAX_LEN + 1)).unwrap_err();
        assert_eq!(
            refused,
            SecretError {
                len: SecretText::MAX_LEN + 1
            }
        );
        assert!(!refused.to_string().contains('x'));
    }

    #[test]
    fn compares_by_content() {
        let secret = |text: &str| SecretText::new(text).unwrap();
        assert_eq!(secret("a"), secret("a"));
        assert_ne!(secret("a"), secret("b"));
        assert_ne!(secret("a"), secret("ab"));
    }

    #[test]
    fn can_be_wiped_early() {
        let mut secret = SecretText::new("hunter2").unwrap();
        secret.zeroize();
        assert!(secret.is_empty());
    }
}
