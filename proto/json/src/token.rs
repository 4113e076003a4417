//! An access token.

use std::borrow::Cow;

use serde::Serialize;
use tokend_proto::{Presentation, Token};

use crate::time::rfc3339;

/// What is said about a token.
#[derive(Clone)]
pub struct Facts<'a> {
    /// The access token.
    pub access_token: &'a str,
    /// Its type, or the notation for where it belongs.
    pub token_type: &'a str,
    /// When it expires, after RFC 3339, where known.
    pub expires_at: Option<String>,
    /// How many seconds it still lives, where known; left out where nobody would read it at once.
    pub expires_in: Option<Option<u64>>,
    /// What it is good for, where the provider said so.
    pub scope: Option<&'a str>,
}

impl<'a> From<&'a Token> for Facts<'a> {
    fn from(token: &'a Token) -> Self {
        Self {
            access_token: token.access_token.expose(),
            token_type: &token.token_type,
            expires_at: token.expires_at_ms.and_then(rfc3339),
            expires_in: Some(token.remaining_ms.map(|ms| ms / 1000)),
            scope: token.scope.as_deref(),
        }
    }
}

/// The keys of RFC 6749 section 5.1, `expires_at`, which daemon gave it, and how the API wants the token.
#[derive(Serialize)]
pub struct TokenJson<'a, D> {
    access_token: &'a str,
    token_type: &'a str,
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<Option<u64>>,
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<&'a D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<Present<'a>>,
}

/// Where the token belongs, when that is not behind its type in `Authorization`.
#[derive(Debug, Serialize)]
pub struct Present<'a> {
    r#in: &'static str,
    name: Cow<'a, str>,
    prefix: Cow<'a, str>,
}

/// The token as something to serialize. `daemon` is who gave it, where that is known.
pub fn token<'a, D: Serialize>(facts: Facts<'a>, daemon: Option<&'a D>) -> TokenJson<'a, D> {
    TokenJson {
        access_token: facts.access_token,
        token_type: shown_type(facts.token_type),
        expires_at: facts.expires_at,
        expires_in: facts.expires_in,
        scope: facts.scope,
        daemon,
        present: Present::of(facts.token_type),
    }
}

impl<'a> Present<'a> {
    /// Where a token of this type belongs; `None` for behind its type in `Authorization`.
    #[must_use]
    pub fn of(token_type: &'a str) -> Option<Self> {
        let (r#in, name, prefix) = match Presentation::of(token_type) {
            Presentation::Header { name, .. }
                if name == "Authorization" && !is_notation(token_type) =>
            {
                return None;
            }
            Presentation::Header { name, prefix } => ("header", name, prefix),
            Presentation::Cookie { name } => ("cookie", name.into(), "".into()),
            Presentation::Query { name } => ("query", name.into(), "".into()),
        };
        Some(Self { r#in, name, prefix })
    }
}

/// The type for who puts it before the token: `N_A` (RFC 8693 section 2.2.1) where it does not belong there.
pub(crate) fn shown_type(token_type: &str) -> &str {
    match is_notation(token_type) {
        true => "N_A",
        false => token_type,
    }
}

/// Whether the type says where the token belongs, and is no scheme.
fn is_notation(token_type: &str) -> bool {
    match Presentation::of(token_type) {
        Presentation::Header { .. } => token_type.starts_with("header:"),
        Presentation::Cookie { .. } | Presentation::Query { .. } => true,
    }
}
