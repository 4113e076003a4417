//! How documents are written: lines that fit an editor, cells that fit a table, and no private words, in documents and in sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The widest line of prose, unless it contains a piece that is too long to be broken.
const WIDEST_LINE: usize = 120;
/// The longest cell of a table; longer content belongs in a list.
const LONGEST_CELL: usize = 200;
/// Words that only this code had, or that mean something else to everybody else.
const PRIVATE_WORDS: [&str; 8] = [
    "desk", "keeper", "vault", "roster", "pulse", "witness", "epoch", "teller",
];

/// The same in sources, where some are words of the field when they are in lower case.
const PRIVATE_NAMES: [&str; 26] = [
    "desk",
    "Desk",
    "keeper",
    "Keeper",
    "vault",
    "Vault",
    "roster",
    "Roster",
    "pulse",
    "Pulse",
    "witness",
    "Witness",
    "teller",
    "Teller",
    "thrift",
    "Thrift",
    "Epoch",
    "Books",
    "PaceMarks",
    "InLine",
    "Handled",
    "Holding",
    "StageTeller",
    "Sheet",
    "Way",
    "Ways",
];
/// Files that have a reason for these words: this one, and a configuration that must be refused.
const MAY_HAVE_THEM: [&str; 2] = [
    "tests/tests/acceptance/documents.rs",
    "daemon/config/src/tests/mistakes/catalogue.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every Markdown file of the repository, by its path from the root.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(root(), ".md", &mut found);
    assert!(found.len() > 10, "only {found:?}");
    found
}

fn files_below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            let built = ["target", "node_modules", "corpus"].contains(&name);
            if !built && (!name.starts_with('.') || name == ".github") {
                files_below(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
}

/// The lines of a text outside of blocks of code, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.map(|(index, line)| (index + 1, line)).collect()
}

/// The cells of a row of a table; empty for any other line.
fn cells(line: &str) -> Vec<String> {
    let Some(row) = line.trim_start().strip_prefix('|') else {
        return Vec::new();
    };
    let row = row.replace("\\|", "\u{0}");
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// Whether a line is wider than necessary: without a table, a heading, a link, or a piece that cannot be broken.
fn too_wide(line: &str) -> bool {
    let whole = line.trim_start().starts_with(['|', '#']) || line.contains("](");
    let pieces = line.split('`').enumerate().flat_map(|(index, part)| {
        let words: Vec<_> = part.split(' ').collect();
        if index % 2 == 1 { vec![part] } else { words }
    });
    let unbroken = pieces.map(|piece| piece.chars().count()).max();
    !whole && line.chars().count() > WIDEST_LINE && unbroken.unwrap_or_default() < 80
}

/// The private words of a line, outside code and quotes of code.
fn private_words(line: &str) -> Vec<String> {
    if line.starts_with('>') {
        return Vec::new();
    }
    let plain = line.split('`').step_by(2);
    let words = plain.flat_map(|part| part.split(|letter: char| !letter.is_alphanumeric()));
    let words = words.map(str::to_lowercase);
    words
        .filter(|word| PRIVATE_WORDS.contains(&word.as_str()))
        .collect()
}

/// All complaints of `wrong` about the lines of all documents, each with its place.
fn complaints(wrong: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut all = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let lines = prose(&text).into_iter();
        all.extend(lines.filter_map(|(number, line)| {
            Some(format!("{}:{number}: {}", path.display(), wrong(line)?))
        }));
    }
    all
}

#[test]
fn no_line_of_a_document_is_too_wide_for_an_editor() {
    let wide = complaints(|line| too_wide(line).then(|| line.to_owned()));
    assert_eq!(wide, [""; 0], "wrap prose at about 110 columns");
}

#[test]
fn no_cell_of_a_table_in_a_document_is_a_page() {
    let long = complaints(|line| {
        let cells = cells(line);
        let long = cells.iter().map(|cell| cell.chars().count()).max()?;
        (long > LONGEST_CELL).then(|| format!("{long} characters: {line}"))
    });
    assert_eq!(long, [""; 0], "make it a list, or say it below the table");
}

#[test]
fn no_document_has_a_private_word() {
    let private = complaints(|line| {
        let words = private_words(line);
        (!words.is_empty()).then(|| format!("{words:?}: {line}"))
    });
    assert_eq!(private, [""; 0], "say it in the words of the field");
}

/// The private names in a line of a source, also as parts of longer names.
fn private_names(line: &str) -> Vec<&str> {
    let words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.filter(|word| PRIVATE_NAMES.contains(word)).collect()
}

#[test]
fn no_source_has_a_private_word() {
    let mut sources = Vec::new();
    files_below(root(), ".rs", &mut sources);
    assert!(sources.len() > 100, "only {sources:?}");
    let mut found = Vec::new();
    for path in sources {
        if MAY_HAVE_THEM.iter().any(|exempt| path.ends_with(exempt)) {
            continue;
        }
        let text = fs::read_to_string(root().join(&path)).unwrap();
        for (index, line) in text.lines().enumerate() {
            let names = private_names(line);
            if !names.is_empty() {
                found.push(format!("{}:{}: {names:?}", path.display(), index + 1));
            }
        }
    }
    assert_eq!(found, [""; 0], "say it in the words of the field");
}

#[test]
fn what_is_wrong_in_a_document_is_seen() {
    let wide = "word ".repeat(30);
    assert!(too_wide(&wide));
    assert!(!too_wide(&format!("| {wide} |")));
    assert!(!too_wide(&format!("`{wide}`")));
    assert_eq!(cells("| a \\| b | c |"), ["a \u{0} b", "c", ""]);
    assert_eq!(
        private_words("The Vault's keeper, not `desk`"),
        ["vault", "keeper"]
    );
    assert_eq!(
        private_names("let desk = the_keeper.deskless(Epoch)"),
        ["desk", "keeper", "Epoch"]
    );
    assert_eq!(prose("a\n```\nb\n```\nc"), [(1, "a"), (5, "c")]);
}
