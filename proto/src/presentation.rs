//! How an API wants a token: with a scheme of `Authorization`, in a header of its own, in a cookie, or in its URL.
//!
//! Owns the notation for it in [`Token::token_type`], which has no other place on the wire. A type that is no such notation is a
//! scheme, as RFC 6749 has it.

use std::borrow::Cow;

use crate::Token;

/// How an API wants a token.
///
/// Not `#[non_exhaustive]`: a program that presents a token has to know every way, because a guess would send the
/// token to the wrong place. The wire has no number for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a client that guesses sends the token to the wrong place"
)]
pub enum Presentation<'a> {
    /// In a header, behind this text.
    Header {
        /// Name of the header.
        name: Cow<'a, str>,
        /// What stands before the token, with its blank: `Bearer `.
        prefix: Cow<'a, str>,
    },
    /// In a cookie.
    Cookie {
        /// Name of the cookie.
        name: &'a str,
    },
    /// In the query of the URL.
    Query {
        /// Name of the parameter.
        name: &'a str,
    },
}

impl Token {
    /// How the API of this token wants it.
    #[must_use]
    pub fn presentation(&self) -> Presentation<'_> {
        Presentation::of(&self.token_type)
    }
}

impl<'a> Presentation<'a> {
    /// What a token type says: `header:NAME`, `header:NAME:TEXT BEFORE`, `cookie:NAME`, `query:NAME`, or a scheme.
    #[must_use]
    pub fn of(token_type: &'a str) -> Self {
        if let Some(header) = token_type.strip_prefix("header:") {
            let (name, prefix) = header.split_once(':').unwrap_or((header, ""));
            let is_text = prefix.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
            if is_token(name) && is_text {
                let (name, prefix) = (name.into(), prefix.into());
                return Self::Header { name, prefix };
            }
        }
        if let Some(name) = token_type.strip_prefix("cookie:").filter(|it| is_token(it)) {
            return Self::Cookie { name };
        }
        if let Some(name) = token_type
            .strip_prefix("query:")
            .filter(|it| !it.is_empty())
        {
            return Self::Query { name };
        }
        // RFC 6749 section 5.1: the type is compared without case, but not every API does so.
        let is_bearer = token_type.is_empty() || token_type.eq_ignore_ascii_case("bearer");
        let scheme = if is_bearer { "Bearer" } else { token_type };
        Self::Header {
            name: "Authorization".into(),
            prefix: format!("{scheme} ").into(),
        }
    }
}

/// RFC 9110 section 5.6.2: what the name of a header or a cookie is made of.
fn is_token(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str, prefix: &'static str) -> Presentation<'static> {
        let (name, prefix) = (name.into(), prefix.into());
        Presentation::Header { name, prefix }
    }

    #[test]
    fn a_token_type_says_how_a_token_is_presented() {
        for (token_type, expected) in [
            ("", header("Authorization", "Bearer ")),
            ("bearer", header("Authorization", "Bearer ")),
            ("JWT", header("Authorization", "JWT ")),
            ("header:X-Api-Key", header("X-Api-Key", "")),
            (
                "header:X-Auth:Token token=",
                header("X-Auth", "Token token="),
            ),
            ("cookie:sid", Presentation::Cookie { name: "sid" }),
            (
                "query:access_token",
                Presentation::Query {
                    name: "access_token",
                },
            ),
            // No notation: whatever it is, it cannot become a header of its own.
            ("header:X Y", header("Authorization", "header:X Y ")),
            ("header:", header("Authorization", "header: ")),
            ("cookie:a=b", header("Authorization", "cookie:a=b ")),
        ] {
            assert_eq!(Presentation::of(token_type), expected, "{token_type}");
        }
        assert_ne!(Presentation::of("header:X:a\r\nY"), header("X", "a\r\nY"));
    }
}
