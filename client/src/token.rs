//! An access token as a program holds it.
//!
//! Owns the shape that programs see, with durations and times instead of the wire's milliseconds. It never reads a clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokend_proto::{Presentation, SecretText};

/// An access token and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// The access token (RFC 6749 section 1.4).
    pub access_token: SecretText,
    /// How to present it (RFC 6749 section 7.1), as the provider spelled it; usually `Bearer`. Where the API wants it
    /// elsewhere, a notation for that: see [`Token::presentation`].
    pub token_type: String,
    /// When it expires, where known.
    pub expires_at: Option<SystemTime>,
    /// How long it lived when the daemon gave it; immune to a wrong wall clock.
    pub remaining: Option<Duration>,
    /// What it is good for (RFC 6749 section 3.3), where the provider said so.
    pub scope: Option<String>,
    /// Changes when the token does; it has no other meaning.
    pub grant: u64,
}

impl Token {
    /// A bearer token of unknown end, as for a fake [`TokenSource`](crate::TokenSource).
    pub fn bearer(access_token: SecretText) -> Self {
        Self {
            access_token,
            token_type: "Bearer".to_owned(),
            expires_at: None,
            remaining: None,
            scope: None,
            grant: 0,
        }
    }

    /// How the API of this token wants it.
    #[must_use]
    pub fn presentation(&self) -> Presentation<'_> {
        Presentation::of(&self.token_type)
    }
}

impl From<tokend_proto::Token> for Token {
    fn from(token: tokend_proto::Token) -> Self {
        let after = |ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms));
        Self {
            access_token: token.access_token,
            token_type: token.token_type,
            expires_at: token.expires_at_ms.and_then(after),
            remaining: token.remaining_ms.map(Duration::from_millis),
            scope: token.scope,
            grant: token.grant,
        }
    }
}
