//! What several formats of a token have in common.
//!
//! Owns the refusal of a token that cannot stand in a format.

use tokend_client::{Presentation, Token};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// The name of the header that the API wants, and the text before the token there.
pub(super) fn header(token: &Token) -> Result<(String, String), Failure> {
    let (place, other) = match token.presentation() {
        // RFC 6750 section 2.1 allows less; a line break would even smuggle in another header.
        Presentation::Header { name, prefix } => {
            demand_plain(token.access_token.expose(), "a header")?;
            return Ok((name.into_owned(), prefix.into_owned()));
        }
        Presentation::Cookie { name } => (format!("the cookie `{name}`"), "--format curl"),
        Presentation::Query { name } => (
            format!("the query parameter `{name}` of the URL"),
            "--format curl",
        ),
    };
    Err(Failure::new(
        Exit::Config,
        format!("the API of this account wants its token in {place}, not in a header"),
        format!("use {other}, or --format plain and put the token into {place}"),
    ))
}

/// Refuses a token with blanks, line breaks or other than ASCII.
pub(crate) fn demand_plain(secret: &str, place: &str) -> Result<(), Failure> {
    match secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(cannot_stand(place)),
    }
}

pub(super) fn cannot_stand(place: &str) -> Failure {
    Failure::new(
        Exit::Software,
        format!("the token has characters that cannot stand in {place}"),
        "use another --format, and check what the provider sends",
    )
}

/// These parts and a line end.
pub(super) fn line(parts: &[&str]) -> Zeroizing<Vec<u8>> {
    lines(&[parts, &["\n"]].concat())
}

/// These parts, which have their line ends.
pub(crate) fn lines(parts: &[&str]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut lines = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        lines.extend_from_slice(part.as_bytes());
    }
    lines
}
