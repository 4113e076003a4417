//! The promises of `PROMISES.md` and their tests: a name without a test proves nothing.

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

/// `PROMISES.md` in its two halves: what is promised, and the index of tests.
fn halves() -> (String, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("daemon/PROMISES.md")).unwrap();
    let (promises, index) = text.split_once("\n## Index of tests\n").unwrap();
    (promises.to_owned(), index.to_owned())
}

/// The items of a list that begin with an id (`- **L1** …`, `- **N1 The window.** …`): the id and the text after it.
fn items(text: &str) -> Vec<(&str, &str)> {
    let items = text.split("\n- **").skip(1);
    items
        .map(|item| item.split_at(item.find([' ', '*']).unwrap_or_default()))
        .collect()
}

#[test]
fn every_test_that_shows_a_promise_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (_, index) = halves();
    let mut tests = BTreeSet::new();
    tests_below(root, &mut tests);
    let named = named(&index);
    assert!(named.len() > 300, "only {} names", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !tests.contains(**name))
        .collect();
    assert_eq!(missing, [&""; 0], "named by PROMISES.md, and no test");
}

#[test]
fn every_failure_of_an_outlet_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("tests/README.md")).unwrap();
    let (_, table) = text.split_once("\n## Failures of outlets\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let mut tests = BTreeSet::new();
    tests_below(root, &mut tests);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter_map(|line| {
            Some(
                line.strip_prefix("| ")?
                    .strip_suffix(" |")?
                    .split(" | ")
                    .collect(),
            )
        })
        .collect();
    assert_eq!(
        rows.first().unwrap(),
        &["failure", "http", "credentials", "oidc-agent"]
    );
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows.iter().skip(1) {
        assert_eq!(row.len(), 4, "{row:?}");
        for cell in row.iter().skip(1) {
            let named = named(cell);
            assert_eq!(named.is_empty(), !cell.contains('`'), "{cell}");
            assert!(
                named.iter().all(|name| tests.contains(*name)),
                "no test: {cell}"
            );
        }
    }
}

#[test]
fn every_promise_has_a_test_in_the_index() {
    let (promises, index) = halves();
    let (promises, index) = (items(&promises), items(&index));
    let promised: Vec<_> = promises.iter().map(|(id, _)| *id).collect();
    assert!(promised.len() > 100, "only {} promises", promised.len());
    let once: BTreeSet<_> = promised.iter().collect();
    assert_eq!(once.len(), promised.len(), "an id stands twice");
    for (id, shown) in &index {
        assert!(!named(shown).is_empty(), "{id} names no test:{shown}");
    }
    // A non-promise (N) needs no test, but may have one.
    let indexed: Vec<_> = index.iter().map(|(id, _)| *id).collect();
    let needed = promised
        .iter()
        .filter(|id| !id.starts_with('N') || indexed.contains(id));
    assert_eq!(
        needed.copied().collect::<Vec<_>>(),
        indexed,
        "the index has each promise once, in the order of the page"
    );
}
