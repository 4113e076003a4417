//! Names in a dialect, and the entries of its tables.

use crate::{
    document::{self, Node, Value},
    mistake::Mistakes,
    section,
};

/// Whether a name can be that of a field, an option or an endpoint.
pub(super) fn is_word(name: &str, dash: bool) -> bool {
    let letters = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || (dash && b == b'-'));
    letters && name.len() <= 40 && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// The entries of a table, or nothing with a mistake.
pub(super) fn entries<'a>(node: &'a Node, m: &mut Mistakes) -> &'a [(document::Key, Node)] {
    match &node.value {
        Value::Table(table) => &table.entries,
        _ => {
            let _mistake = section::table(node, m);
            &[]
        }
    }
}
