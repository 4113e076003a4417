//! The language reference cannot lie: its dialects parse, and it names every key the compiler knows.

use tokend_dialect::{Catalog, DialectError, ExchangeKind, parse};

use crate::support::*;

const README: &str = include_str!("../../README.md");

/// The fenced blocks of this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README
        .split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

#[test]
fn its_dialects_are_dialects() {
    let catalog = Catalog::builtin();
    let whole = blocks("toml dialect");
    assert!(whole.len() >= 2);
    for text in whole {
        if let Err(error) = parse("example.toml", text, &catalog) {
            panic!("{}\nin\n{text}", shown(&error));
        }
    }
}

#[test]
fn its_fragments_fit_into_a_dialect() {
    let fragments = blocks("toml fragment");
    assert!(fragments.len() >= 8);
    for text in fragments {
        let login = if text.contains("[login]") {
            ""
        } else {
            "[login]\npath = \"/l\"\nbody.form = { u = \"{username}\" }\n"
        };
        if let Err(error) = try_dialect(&format!("{text}\n{login}")) {
            panic!("{}\nin\n{text}", shown(&error));
        }
    }
}

/// What a mistake lists as valid is what the compiler knows: every word, and whether it is a key.
pub(crate) fn words() -> Vec<(String, bool)> {
    let wrong = "zzz = 1\n[login]\nzzz = 1\nmethod = \"z\"\nauth = { scheme = \"z\" }\n[[login.cases]]\nzzz = 1\n[refresh]\nzzz = 1\n\
                 reuse = \"z\"\n[reply]\nzzz = 1\nlifetime = { zzz = 1, take = \"z\", from = [{ at = \"/x\", unit = \"z\" }] }\n\
                 [[rules]]\nzzz = 1\nclass = \"z\"\nprocessed = \"z\"\n[pacing]\nzzz = 1\n[options.o]\nzzz = 1\n[fields.f]\nzzz = 1\n";
    let error = mistakes_of(wrong);
    let more = ["basic", "bearer", "custom"].map(|scheme| {
        let wrong =
            format!("[login]\npath = \"/l\"\nauth = {{ scheme = \"{scheme}\", zzz = 1 }}\n");
        mistakes_of(&wrong)
    });
    let api = mistakes_of("[login]\npath = \"/l\"\n[api]\nzzz = 1\npresent = { zzz = 1 }\n");
    let errors = [&error, &api].into_iter().chain(&more);
    let mut words = Vec::new();
    for diagnostic in errors.flat_map(|error| error.diagnostics().kept()) {
        let Some((_, valid)) = diagnostic
            .help()
            .and_then(|help| help.split_once("valid here: "))
        else {
            continue;
        };
        let is_key = diagnostic.message().starts_with("unknown key");
        words.extend(
            valid
                .split(", ")
                .map(|word| (word.trim_matches('`').to_owned(), is_key)),
        );
    }
    assert!(words.len() > 60, "{}", words.len());
    words
}

fn mistakes_of(text: &str) -> DialectError {
    match try_dialect(text) {
        Err(error) => error,
        Ok(_) => panic!("{text} has mistakes"),
    }
}

#[test]
fn it_names_every_key_and_word() {
    for (word, _) in words() {
        assert!(
            README.contains(&format!("`{word}`")),
            "the language reference does not name {word}"
        );
    }
}

#[test]
fn its_first_example_does_what_it_says() {
    let dialect = parse(
        "example.toml",
        blocks("toml dialect")[0],
        &Catalog::builtin(),
    )
    .unwrap();
    assert!(dialect.can_login() && dialect.can_refresh());
    let grant = grant(
        &dialect,
        ExchangeKind::Login,
        r#"{"token":{"value":"a","renew":"r","ttl_ms":"90000"}}"#,
    );
    assert_eq!(
        (access(&grant), refresh(&grant), grant.lifetime),
        ("a", Some("r"), seconds(90))
    );
}
