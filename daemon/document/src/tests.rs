//! Documents as people write them, and what is said about each mistake.

mod diagnostics;
mod excerpts;
mod values;

use std::ops::Range;
use std::sync::Arc;

use super::*;

/// A language with one key whose values may be shown, and one key that belongs elsewhere.
#[derive(Debug)]
struct Plain;

impl Language for Plain {
    fn is_plain(&self, key: &str, value: &str) -> bool {
        key == "level" && ["info", "debug"].contains(&value)
    }

    fn is_plain_line(&self, key: &str, value: &str) -> bool {
        ["base_url", "username"].contains(&key) && !value.contains('@')
    }

    fn belongs(&self, key: &str) -> Option<String> {
        (key == "top").then(|| "`top` belongs at the top".to_owned())
    }

    fn is_toml(&self) -> &'static str {
        "this is to be TOML"
    }
}

fn source(text: &str) -> Arc<Source> {
    Source::new("a.toml", text.to_owned(), &Plain)
}

/// A document that is TOML.
fn document(text: &str) -> Node<'static> {
    let mut diagnostics = Diagnostics::default();
    let node = Node::read(&source(text), &mut diagnostics);
    node.unwrap_or_else(|| panic!("{}", report(&diagnostics, Medium::Plain)))
}

/// What is said, each in one line.
fn lines(diagnostics: Diagnostics) -> Vec<String> {
    let sorted = diagnostics.sorted();
    sorted.kept().iter().map(Diagnostic::to_string).collect()
}

/// What is said about a whole document while `read` reads it.
fn said(text: &str, read: impl FnOnce(Section<'_>, &mut Diagnostics)) -> Vec<String> {
    let node = document(text);
    let mut diagnostics = Diagnostics::default();
    read(Section::root(&node), &mut diagnostics);
    lines(diagnostics)
}
