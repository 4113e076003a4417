//! A token on standard output, in the four formats of `get`.
//!
//! Owns the formats; they are a contract with scripts. Nothing but standard output ever sees the token.

use std::borrow::Cow;

use serde::Serialize;
use tokend_client::{Presentation, Token};
use zeroize::Zeroizing;

use crate::arguments::Format;
use crate::failure::{Exit, Failure};
use crate::who_answered::Daemon;
use crate::{output, words};

/// Prints a token as asked.
pub(crate) fn print(
    token: &Token,
    format: Format,
    env_name: &str,
    daemon: &Daemon,
) -> Result<(), Failure> {
    let secret = token.access_token.expose();
    match format {
        Format::Plain => plain(token),
        Format::Header => match (token.presentation(), is_plain(secret)) {
            (Presentation::Header { name, prefix }, true) => {
                print_parts(&[&name, ": ", &prefix, secret])
            }
            // RFC 6750 section 2.1 allows less; a line break would even smuggle in another header.
            (Presentation::Header { .. }, false) => Err(Failure::new(
                Exit::Software,
                "the token has characters that cannot stand in a header",
                "use another --format, and check what the provider sends",
            )),
            (Presentation::Cookie { name }, _) => Err(no_header(&format!("the cookie `{name}`"))),
            (Presentation::Query { name }, _) => Err(no_header(&format!(
                "the query parameter `{name}` of the URL"
            ))),
        },
        Format::Env => {
            let quoted = Zeroizing::new(secret.replace('\'', r"'\''"));
            print_parts(&["export ", env_name, "='", &quoted, "'"])
        }
        Format::Json => output::print_json(&Json {
            access_token: secret,
            token_type: json_type(token),
            present: Present::of(token),
            expires_at: token.expires_at_ms.and_then(words::rfc3339),
            expires_in: token.remaining_ms.map(|ms| ms / 1000),
            scope: token.scope.as_deref(),
            daemon,
        }),
    }
}

/// Prints the token and a line end.
pub(crate) fn plain(token: &Token) -> Result<(), Failure> {
    print_parts(&[token.access_token.expose()])
}

fn is_plain(secret: &str) -> bool {
    secret.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A header is asked for, and the API takes none.
fn no_header(place: &str) -> Failure {
    Failure::new(
        Exit::Config,
        format!("the API of this account wants its token in {place}, not in a header"),
        format!("use --format plain and put the token into {place}"),
    )
}

/// The keys of RFC 6749 section 5.1, `expires_at`, which daemon gave it, and how the API wants the token.
#[derive(Serialize)]
struct Json<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_at: Option<String>,
    expires_in: Option<u64>,
    scope: Option<&'a str>,
    daemon: &'a Daemon,
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
fn json_type(token: &Token) -> &str {
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

fn print_parts(parts: &[&str]) -> Result<(), Failure> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
    let mut line = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        line.extend_from_slice(part.as_bytes());
    }
    line.push(b'\n');
    output::print(&line)
}
