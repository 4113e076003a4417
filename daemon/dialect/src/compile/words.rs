//! Names in a dialect, the entries of its tables, what can stand in a header, and how long anything may take.

use std::time::Duration;

use http::{HeaderName, header};
use tokend_document::{Diagnostics, Key, Section, Value};

/// The longest duration a dialect may state: ten years.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Whether a name can be that of a field, an option or an endpoint.
pub(super) fn is_word(name: &str, dash: bool) -> bool {
    let letters = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || (dash && b == b'-'));
    letters && name.len() <= 40 && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Whether a text is a token in the sense of RFC 9110 section 5.6.2: the name of a header or cookie.
pub(super) fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

/// Headers whose content follows from the request.
pub(super) const SET_BY_HTTP: [HeaderName; 4] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
];

/// Whether a text can stand in a header.
pub(super) fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

/// The message about a text that cannot stand in a header.
pub(super) const NOT_PRINTABLE: &str = "a header has only printable ASCII characters";

/// The entries of a table, if it is there.
pub(super) fn entries<'a>(
    node: Option<Value<'a>>,
    diagnostics: &mut Diagnostics,
) -> Vec<(&'a Key<'a>, Value<'a>)> {
    let section = node.and_then(|node| node.section(diagnostics));
    section.into_iter().flat_map(Section::entries).collect()
}
