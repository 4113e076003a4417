//! A token as a header, for programs that use the crate `http`.
//!
//! Owns the refusal of a token that cannot stand in a header. What it makes is marked sensitive, so that no log shows it.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};
use tokend_proto::Presentation;
use zeroize::Zeroizing;

use crate::Token;

/// Why a token does not fit into a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The API wants it somewhere else.
    #[error("the API of this token wants it in {0}")]
    Elsewhere(String),
    /// It has characters that no header may have.
    #[error("the token has characters that cannot stand in a header")]
    Unprintable,
}

impl Token {
    /// The value of the header `Authorization`, marked sensitive.
    ///
    /// # Errors
    /// [`HeaderError::Elsewhere`] when the API wants the token in another place, [`HeaderError::Unprintable`] when it
    /// cannot stand in a header.
    pub fn authorization(&self) -> Result<HeaderValue, HeaderError> {
        match self.header()? {
            (name, value) if name == AUTHORIZATION => Ok(value),
            (name, _) => Err(HeaderError::Elsewhere(format!("the header {name}"))),
        }
    }

    /// The header in which the API wants the token, a cookie included. Its value is marked sensitive.
    ///
    /// # Errors
    /// [`HeaderError::Elsewhere`] when the API wants the token in the query of the URL, [`HeaderError::Unprintable`]
    /// when it cannot stand in a header.
    pub fn header(&self) -> Result<(HeaderName, HeaderValue), HeaderError> {
        match self.presentation() {
            Presentation::Header { name, prefix } => {
                let name = HeaderName::from_bytes(name.as_bytes());
                let name = name.map_err(|_| HeaderError::Unprintable)?;
                Ok((name, self.value(&prefix)?))
            }
            Presentation::Cookie { name } => Ok((COOKIE, self.value(&format!("{name}="))?)),
            Presentation::Query { name } => {
                let place = format!("the parameter {name} of the URL's query");
                Err(HeaderError::Elsewhere(place))
            }
        }
    }

    fn value(&self, before: &str) -> Result<HeaderValue, HeaderError> {
        let secret = self.access_token.expose();
        // RFC 6750 section 2.1 allows less; a line break would even smuggle in another header.
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HeaderError::Unprintable);
        }
        let text = Zeroizing::new([before, secret].concat());
        let mut value = HeaderValue::from_str(&text).map_err(|_| HeaderError::Unprintable)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use tokend_proto::SecretText;

    use super::*;

    fn token(token_type: &str, secret: &str) -> Token {
        Token {
            token_type: token_type.to_owned(),
            ..Token::bearer(SecretText::new(secret).unwrap())
        }
    }

    #[test]
    fn a_token_is_a_sensitive_header() {
        let value = token("bearer", "hunter2").authorization().unwrap();
        assert_eq!(value, "Bearer hunter2");
        assert_eq!(format!("{value:?}"), "Sensitive");
        let (name, value) = token("header:X-Api-Key", "hunter2").header().unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("x-api-key", "hunter2".as_bytes())
        );
        let (name, value) = token("cookie:sid", "hunter2").header().unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("cookie", "sid=hunter2".as_bytes())
        );
        assert!(value.is_sensitive());
    }

    #[test]
    fn what_cannot_stand_in_the_header_is_refused() {
        let elsewhere = |token: &Token| match token.authorization() {
            Err(HeaderError::Elsewhere(place)) => place,
            other => format!("{other:?}"),
        };
        assert_eq!(
            elsewhere(&token("header:X-Api-Key", "t")),
            "the header x-api-key"
        );
        let query = token("query:access_token", "t");
        assert!(elsewhere(&query).contains("parameter access_token"));
        assert!(query.header().is_err());
        for secret in ["", "a b", "a\r\nX: y", "ä"] {
            let refused = token("Bearer", secret).authorization();
            assert_eq!(refused, Err(HeaderError::Unprintable), "{secret:?}");
        }
    }
}
