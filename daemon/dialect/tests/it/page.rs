//! tokend-dialect(5) cannot lie: it has every key and word of the language and no other, and its examples compile.

use std::collections::BTreeSet;
use std::path::Path;

use tokend_dialect::{Catalog, parse};
use tokend_pages::{Kind, Page, complaints};

use crate::readme::words;
use crate::support::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../man/tokend-dialect.5");

/// Keys that the compiler names in no list of valid ones: the members of tables that may have one member only, places, rates.
const UNLISTED: &[&str] = &[
    "at", "header", "cookie", "jwt", "prefix", "since", "unit", "burst", "every",
];

#[test]
fn it_has_every_key_and_word_of_the_language() {
    let page = Page::read(PAGE);
    let described: BTreeSet<&String> = page.all(Kind::Key).flat_map(|entry| &entry.names).collect();
    for (word, is_key) in words() {
        let message = described.contains(&word)
            || !is_key && page.text().split_whitespace().any(|other| other == word);
        assert!(
            message,
            "the language has `{word}`, and daemon/man/tokend-dialect.5 does not: add `.It Ic {word} Pq TYPE` for a key, or \
             `.Cm {word}` where its choices are listed"
        );
    }
}

#[test]
fn it_has_nothing_the_language_has_not() {
    let page = Page::read(PAGE);
    let known: BTreeSet<String> = words().into_iter().map(|(word, _)| word).collect();
    for name in page.all(Kind::Key).flat_map(|entry| &entry.names) {
        assert!(
            known.contains(name) || UNLISTED.contains(&name.as_str()),
            "daemon/man/tokend-dialect.5 describes `{name}`, which the language does not know"
        );
    }
}

#[test]
fn its_examples_compile() {
    let examples = Page::read(PAGE).examples();
    assert!(examples.len() >= 10);
    for text in examples.iter().filter(|text| !text.starts_with("$ ")) {
        let done = if text.contains("summary = ") {
            parse("example.toml", text, &Catalog::builtin()).map(drop)
        } else if text.contains("[login]") {
            try_dialect(text).map(drop)
        } else {
            let login = "[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n";
            try_dialect(&format!("{text}\n{login}")).map(drop)
        };
        if let Err(error) = done {
            panic!("{}\nin\n{text}", shown(&error));
        }
    }
}

#[test]
fn programs_that_show_man_pages_have_no_complaint() {
    assert_eq!(complaints(Path::new(PAGE)), "");
}
