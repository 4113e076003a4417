//! What is compiled for tests alone.

use syn::{Attribute, Meta};

/// `#[cfg(test)]`, alone or as one of what must all hold.
pub(crate) fn only_for_tests(attr: &Attribute) -> bool {
    let Meta::List(list) = &attr.meta else {
        return false;
    };
    if !list.path.is_ident("cfg") {
        return false;
    }
    let text = list.tokens.to_string().replace(' ', "");
    text == "test"
        || text.starts_with("all(test,")
        || text.starts_with("all(") && text.contains(",test")
}
