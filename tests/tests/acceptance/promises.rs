//! What `PROMISES.md` says and which tests show it: a name that no test has shows nothing.

use std::{collections::BTreeSet, fs, path::Path};

/// Every name of a test in the text: words in backquotes that are joined by three underscores or more.
pub(crate) fn named(text: &str) -> BTreeSet<&str> {
    let is_name = |word: &&str| {
        let plain = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
        word.matches('_').count() >= 3 && word.chars().all(plain)
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

/// Every function of the sources that is marked as a test, or is inside a macro of them.
pub(crate) fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            tests_below(&path, found);
        } else if name.ends_with(".rs") {
            tests_of(&fs::read_to_string(&path).unwrap(), found);
        }
    }
}

fn tests_of(text: &str, found: &mut BTreeSet<String>) {
    let mut marked = false;
    for line in text.lines().map(str::trim_start) {
        let line = line.strip_prefix("async ").unwrap_or(line);
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            if std::mem::take(&mut marked) {
                found.insert(name.to_owned());
            }
        }
    }
}

#[test]
fn every_test_that_shows_a_promise_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("daemon/PROMISES.md")).unwrap();
    let mut tests = BTreeSet::new();
    tests_below(root, &mut tests);
    let named = named(&text);
    assert!(named.len() > 150, "only {} names", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !tests.contains(**name))
        .collect();
    assert_eq!(missing, [&""; 0], "named by PROMISES.md, and no test");
}

#[test]
fn every_row_of_promises_names_what_shows_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("daemon/PROMISES.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|line| !line.starts_with("| promise |"));
    let mut read = 0;
    for row in rows {
        read += 1;
        let shown = row.trim_end_matches(['|', ' ']).rsplit(" | ").next();
        assert!(!named(shown.unwrap_or_default()).is_empty(), "{row}");
    }
    assert!(read > 50, "only {read} rows");
}
