//! An access token in JSON, for programs.
//!
//! Owns the keys; they are a contract with scripts.

use std::borrow::Cow;

use serde::Serialize;
use tokend_client::{Presentation, Token};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::output;
use crate::who_answered::Daemon;
use crate::words;

/// The token as one line of JSON. Without a daemon it is for a file that is read later, and says nothing that holds only now.
pub(super) fn text(token: &Token, daemon: Option<&Daemon>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    output::json_line(&Json {
        access_token: token.access_token.expose(),
        token_type: json_type(token),
        present: Present::of(token),
        expires_at: token.expires_at.and_then(words::rfc3339_of),
        expires_in: daemon.map(|_| token.remaining.map(|left| left.as_secs())),
        scope: token.scope.as_deref(),
        daemon,
    })
}

/// The keys of RFC 6749 section 5.1, `expires_at`, which daemon gave it, and how the API wants the token.
#[derive(Serialize)]
struct Json<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<Option<u64>>,
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<&'a Daemon>,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<Present<'a>>,
}

/// Where the token belongs, when that is not behind its type in `Authorization`.
#[derive(Serialize)]
struct Present<'a> {
    r#in: &'static str,
    name: Cow<'a, str>,
    prefix: Cow<'a, str>,
}

impl<'a> Present<'a> {
    fn of(token: &'a Token) -> Option<Self> {
        let (r#in, name, prefix) = match token.presentation() {
            Presentation::Header { name, .. } if name == "Authorization" && !is_notation(token) => {
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
pub(crate) fn json_type(token: &Token) -> &str {
    match is_notation(token) {
        true => "N_A",
        false => &token.token_type,
    }
}

/// Whether the type says where the token belongs, and is no scheme.
fn is_notation(token: &Token) -> bool {
    match token.presentation() {
        Presentation::Header { .. } => token.token_type.starts_with("header:"),
        Presentation::Cookie { .. } | Presentation::Query { .. } => true,
    }
}
