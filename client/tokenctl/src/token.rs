//! A token on standard output, in the four formats of `get`.
//!
//! Owns the formats; they are a contract with scripts. Nothing but standard output ever sees the token.

use serde::Serialize;
use tokend_client::Token;
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
        Format::Header => match secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => print_parts(&["Authorization: ", scheme(token), " ", secret]),
            // RFC 6750 section 2.1 allows less; a line break would even smuggle in another header.
            false => Err(Failure::new(
                Exit::Software,
                "the token has characters that cannot stand in a header",
                "use another --format, and check what the provider sends",
            )),
        },
        Format::Env => {
            let quoted = Zeroizing::new(secret.replace('\'', r"'\''"));
            print_parts(&["export ", env_name, "='", &quoted, "'"])
        }
        Format::Json => output::print_json(&Json {
            access_token: secret,
            token_type: &token.token_type,
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

/// The keys of RFC 6749 section 5.1, `expires_at`, and which daemon gave it.
#[derive(Serialize)]
struct Json<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_at: Option<String>,
    expires_in: Option<u64>,
    scope: Option<&'a str>,
    daemon: &'a Daemon,
}

/// RFC 6749 section 5.1: the type is compared without case, but not every API does so.
fn scheme(token: &Token) -> &str {
    match token.token_type.as_str() {
        kind if kind.is_empty() || kind.eq_ignore_ascii_case("bearer") => "Bearer",
        kind => kind,
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
