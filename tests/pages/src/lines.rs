//! Reads what a program can log from its sources, and what a guide says about that from a table.
//!
//! Owns how a call of `tracing` is read and when a row describes a line. Panics at a call that it cannot read, so that none is missed.

use std::fs;
use std::path::{Path, PathBuf};

/// The placeholder for a value, in a row and in the text of a line.
const VALUE: char = '…';
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// One line that the sources can log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// File and line number in the source.
    pub at: String,
    /// Its level, as the macro is named.
    pub level: &'static str,
    /// Its text, with `…` for each value.
    pub text: String,
}

/// Every line the sources below `dir` can log. Tests are left out.
///
/// # Panics
/// When a file or a call in it cannot be read.
pub fn logged(dir: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    for file in sources(dir) {
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.strip_prefix(dir).unwrap_or(&file);
        lines.extend(in_source(&name.display().to_string(), &text));
    }
    lines
}

/// The beginnings of log lines in the table below this heading of a guide, in the order of its rows.
///
/// # Panics
/// When there is no such heading, or a row names no line or has no description.
pub fn documented(guide: &Path, heading: &str) -> Vec<String> {
    let text =
        fs::read_to_string(guide).unwrap_or_else(|error| panic!("{}: {error}", guide.display()));
    in_guide(&text, heading)
}

/// What is wrong between lines and a guide's rows: a row that no code logs, and a warning or error without a row. Each says what to do.
pub fn unmatched(lines: &[Line], rows: &[String], guide: &str) -> Vec<String> {
    let lies = rows
        .iter()
        .filter(|row| !lines.iter().any(|line| speaks_of(row, &line.text)))
        .map(|row| format!("{guide}: no code logs a line that begins with `{row}`; write what is logged, or take the row out"));
    let untold = lines
        .iter()
        .filter(|line| matches!(line.level, "warn" | "error"))
        .filter_map(|line| {
            let Line { at, level, text } = line;
            if text.starts_with(VALUE) {
                return Some(format!(
                    "{at}: this {level} line begins with a value; put words of its own in front, by which an operator can look it up"
                ));
            }
            let documented = rows.iter().any(|row| speaks_of(row, text));
            (!documented).then(|| {
                format!("{at}: this {level} line is not in {guide}; add `| `{text}` | what it means | what to do |`")
            })
        });
    lies.chain(untold).collect()
}

/// Whether a row describes a line: they are the same up to the end of a clause, or up to the row's last `…`.
fn speaks_of(row: &str, text: &str) -> bool {
    if let Some(stem) = row.strip_suffix(VALUE) {
        return text.starts_with(stem);
    }
    text.strip_prefix(row)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([',', ';', ':']))
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        let entries =
            fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        for entry in entries {
            let path = entry
                .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
                .path();
            let stem = path.file_stem().unwrap_or_default();
            if stem == "tests" || stem == "testing" {
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn in_source(name: &str, text: &str) -> Vec<Line> {
    let text = text
        .split_once("#[cfg(test)]\nmod tests {")
        .map_or(text, |(code, _)| code);
    let mut lines = Vec::new();
    for (from, _) in text.match_indices("tracing::") {
        let begin = text[..from].rfind('\n').map_or(0, |at| at + 1);
        if text[begin..].trim_start().starts_with("//") {
            continue;
        }
        let at = format!("{name}:{}", text[..from].matches('\n').count() + 1);
        let call = &text[from + "tracing::".len()..];
        let word = call
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default();
        let Some(arguments) = call[word.len()..].strip_prefix("!(") else {
            let imported = text[begin..].starts_with("use ")
                && LEVELS.iter().any(|level| {
                    call.split(';')
                        .next()
                        .is_some_and(|names| names.contains(level))
                });
            assert!(
                !imported,
                "{at}: a macro of tracing is imported; call it as tracing::warn!(…), so that it can be found"
            );
            continue;
        };
        let level = LEVELS.into_iter().find(|level| *level == word);
        let level = level.unwrap_or_else(|| panic!("{at}: tracing::{word}! is not known here"));
        let text = message(arguments)
            .unwrap_or_else(|| panic!("{at}: this call of tracing::{word}! has no text"));
        lines.push(Line {
            at,
            level,
            text: without_values(&text),
        });
    }
    lines
}

/// The text of a call: the argument that is a plain string. `arguments` begins behind the parenthesis.
fn message(arguments: &str) -> Option<String> {
    let mut rest = arguments.trim_start();
    loop {
        if let Some(text) = rest.strip_prefix('"') {
            return string(text).map(|(text, _)| text);
        }
        rest = behind_comma(rest)?.trim_start();
    }
}

/// The text behind the next comma that is not inside brackets or a string.
fn behind_comma(text: &str) -> Option<&str> {
    let (mut depth, mut rest) = (0_u32, text);
    loop {
        let first = rest.chars().next()?;
        rest = &rest[first.len_utf8()..];
        match first {
            '"' => rest = string(rest)?.1,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => return Some(rest),
            _ => {}
        }
    }
}

/// A string literal that begins behind its quote, and the text behind it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut read = String::new();
    let mut rest = text;
    loop {
        let first = rest.chars().next()?;
        rest = &rest[first.len_utf8()..];
        match first {
            '"' => return Some((read, rest)),
            '\\' => {
                let escaped = rest.chars().next()?;
                rest = &rest[escaped.len_utf8()..];
                match escaped {
                    '\n' => rest = rest.trim_start(),
                    '"' | '\\' => read.push(escaped),
                    _ => return None,
                }
            }
            _ => read.push(first),
        }
    }
}

/// A format string with `…` for each value.
fn without_values(format: &str) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        text.push(VALUE);
        rest = after.split_once('}').map_or("", |(_, behind)| behind);
    }
    text + rest
}

fn in_guide(text: &str, heading: &str) -> Vec<String> {
    let (_, below) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("there is no heading {heading}"));
    let section = below.split("\n## ").next().unwrap_or_default();
    let table = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut rows = Vec::new();
    for row in table {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [names, means, _] = cells.as_slice() else {
            panic!("a row has three cells: {row}");
        };
        assert!(!means.is_empty(), "it is not said what this means: {row}");
        let before = rows.len();
        let quoted = names.split('`').skip(1).step_by(2);
        rows.extend(quoted.map(str::to_owned));
        assert!(rows.len() > before, "it names no line: {row}");
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
// tracing::warn!("not a call");
use tracing::field::Field;
fn f() {
    tracing::error!(account = %name(id, "x, y"), error = %error, "the disk \"{disk}\" \
        is full");
    match it { _ => tracing::warn!("denied: {what}"), }
    tracing::info!(
        version = env!("VERSION"),
        n,
        "ready"
    );
}
#[cfg(test)]
mod tests {
    fn f() { tracing::warn!("in a test"); }
}
"#;

    const GUIDE: &str = "# G\n\n## Lines\n\nText.\n\n| line | means | do |\n|---|---|---|\n| `ready`, `denied: …` | it | |\n\n## Next\n| `no` | x | |\n";

    fn said() -> Vec<(&'static str, String)> {
        in_source("a.rs", SOURCE)
            .into_iter()
            .map(|line| (line.level, line.text))
            .collect()
    }

    #[test]
    fn calls_are_found_with_their_level_and_text() {
        let expected = [
            ("error", "the disk \"…\" is full".to_owned()),
            ("warn", "denied: …".to_owned()),
            ("info", "ready".to_owned()),
        ];
        assert_eq!(said(), expected);
        assert_eq!(in_source("a.rs", SOURCE)[1].at, "a.rs:7");
    }

    #[test]
    #[should_panic(expected = "a macro of tracing is imported")]
    fn a_macro_that_is_imported_is_refused() {
        in_source("a.rs", "use tracing::{Level, warn};\n");
    }

    #[test]
    #[should_panic(expected = "a.rs:1: this call of tracing::warn! has no text")]
    fn a_call_without_a_text_of_its_own_is_refused() {
        in_source("a.rs", "tracing::warn!(error = %error);");
    }

    #[test]
    fn the_first_column_of_the_table_is_read() {
        assert_eq!(in_guide(GUIDE, "Lines"), ["ready", "denied: …"]);
    }

    #[test]
    fn rows_speak_of_lines_up_to_the_end_of_a_clause() {
        for (row, text, expected) in [
            ("stopped", "stopped", true),
            ("stopped", "stopped: why", true),
            ("stopped", "stopped at once", false),
            ("denied: …", "denied: not an administrator", true),
            ("… is in force", "… is in force", true),
            ("file", "files", false),
        ] {
            assert_eq!(speaks_of(row, text), expected, "{row} {text}");
        }
    }

    #[test]
    fn lies_and_omissions_are_told_with_what_to_write() {
        let lines = in_source("a.rs", SOURCE);
        let rows = ["ready", "denied: …", "never said"].map(str::to_owned);
        let wrong = unmatched(&lines, &rows, "GUIDE.md");
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("no code logs a line that begins with `never said`"));
        assert!(
            wrong[1].starts_with("a.rs:5: this error line is not in GUIDE.md; add `| `the disk")
        );
        let nameless = in_source("a.rs", "tracing::warn!(\"{error:#}\");");
        let wrong = unmatched(&nameless, &[], "GUIDE.md");
        assert!(wrong[0].contains("begins with a value"), "{wrong:?}");
    }
}
