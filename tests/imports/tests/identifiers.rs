//! No identifier of this workspace is a private word.
//!
//! Owns the words that a sentence may have and a name may not, because as a name they do not say what they name. Words that may
//! not even occur in a comment are in the acceptance test `documents`.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};

const PRIVATE: [&str; 11] = [
    "told", "given", "whose", "way", "ways", "sheet", "sight", "sights", "Sight", "Sights", "DOOR",
];

/// Every Rust source below a folder, except built and downloaded ones.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            if !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// The private words among the identifiers, each with its line. `word = …` as an argument of a macro or an attribute does not
/// count, because log fields keep their names.
fn private(tokens: TokenStream) -> Vec<(usize, String)> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let is = |at: usize, mark: char| matches!(tokens.get(at), Some(TokenTree::Punct(it)) if it.as_char() == mark);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => found.extend(private(group.stream())),
            TokenTree::Ident(ident) => {
                let begins = at.checked_sub(1).is_none_or(|before| is(before, ','));
                let word = ident.to_string();
                if PRIVATE.contains(&word.as_str()) && !(begins && is(at + 1, '=')) {
                    found.push((ident.span().start().line, word));
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

#[test]
fn no_identifier_is_a_private_word() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    sources(&top, &mut all);
    assert!(all.len() > 100, "only {all:?}");
    let mut found = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        let words = private(text.parse().unwrap()).into_iter();
        let place = path.strip_prefix(&top).unwrap().display().to_string();
        found.extend(words.map(|(line, word)| format!("{place}:{line}: {word}")));
    }
    assert_eq!(found, [""; 0], "name it by what it is");
}

#[test]
fn private_words_are_found_outside_of_comments_texts_and_log_fields() {
    let source = "// whose\nlet whose = \"whose\";\nlog!(a, whose = it.whose);\nwhose(b == c)";
    let found = private(source.parse().unwrap()).into_iter();
    assert_eq!(found.map(|(line, _)| line).collect::<Vec<_>>(), [2, 3, 4]);
}
