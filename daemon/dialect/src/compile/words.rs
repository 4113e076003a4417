//! Names in a dialect, the entries of its tables, and how long anything may take.

use std::time::Duration;

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

/// The entries of a table, or nothing with a mistake.
pub(super) fn entries<'a>(
    node: Value<'a>,
    diagnostics: &mut Diagnostics,
) -> Vec<(&'a Key<'a>, Value<'a>)> {
    let section = node.section(diagnostics);
    section.into_iter().flat_map(Section::entries).collect()
}
