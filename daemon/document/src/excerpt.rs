//! The quoted line of a mistake, with every possible secret masked.
//!
//! People paste passwords into wrong places, and a report of mistakes ends up in a journal or a ticket. Only the marked text itself is
//! shown, and only if the caller says that it is no secret; other values on its line, and comments, are replaced by `***`.

use std::ops::Range;

use crate::masking::{MASK, Masking};
use crate::source::{Language, Mark, Source};

/// How many characters are shown on either side of the mark, and of the mark itself.
const WIDTH: usize = 120;

/// One line of a file, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// The line, masked and shortened.
    pub(crate) text: String,
    /// The bytes of `text` the mistake is about.
    pub(crate) marked: Range<usize>,
}

impl Excerpt {
    /// The line of `range`, with other values masked, and with the part of the marked text that `mark` allows.
    pub(crate) fn new(source: &Source, range: &Range<usize>, mark: Mark) -> Self {
        let (line, column, before, marked, after) = locate(source.text(), range);
        let mut masking = Masking::new(source.language());
        let before = masking.pass(before);
        let (marked, mut rest) = match mark {
            // A marked value ends the state in which it began; a marked key is followed by its `=`.
            Mark::Shown => (marked.to_owned(), masking.behind(marked)),
            Mark::Masked => (masking.pass(marked), masking),
            Mark::Hidden => (MASK.to_owned(), masking.behind("")),
        };
        let after = rest.pass(after);
        Self::join(line, column, &before, &marked, &after)
    }

    /// The line of `range` in a file that is not valid TOML: text after the key is shown only if the key is known to be harmless.
    pub(crate) fn of_broken(source: &Source, range: &Range<usize>) -> Self {
        let (line, column, before, marked, after) = locate(source.text(), range);
        let whole = format!("{before}{marked}{after}");
        if is_harmless(source.language(), &whole) && !before.contains('#') {
            let after = after.split_once('#').map_or(after, |(code, _comment)| code);
            return Self::join(line, column, before, marked, after);
        }
        let (key, value) = whole.split_once('=').unwrap_or(("", &whole));
        let equals = if key.is_empty() { "" } else { "=" };
        let shown = if value.trim().is_empty() { value } else { MASK };
        let key_part = format!("{key}{equals}");
        // The mark keeps its place only if it is in the key; in a masked value it covers the mask.
        if before.len() + marked.len() <= key.len() {
            let (_, rest) = key_part.split_at(before.len() + marked.len());
            return Self::join(line, column, before, marked, &format!("{rest} {shown}"));
        }
        Self::join(line, column, &format!("{key_part} "), shown, "")
    }

    fn join(line: usize, column: usize, before: &str, marked: &str, after: &str) -> Self {
        let clean = |text: String| text.replace(char::is_control, " ");
        let before = clean(ending_of(before.trim_start()));
        let marked = clean(beginning_of(marked));
        let after = clean(beginning_of(after.trim_end()));
        let start = before.len();
        let mut text = before + &marked + &after;
        // The mark must not be empty, even at the end of the line.
        let end = match marked.is_empty() {
            true => {
                let next = after.chars().next().unwrap_or_else(|| {
                    text.push(' ');
                    ' '
                });
                start + next.len_utf8()
            }
            false => start + marked.len(),
        };
        Self {
            line,
            column,
            text,
            marked: start..end,
        }
    }
}

/// Whether a line that is not valid TOML cannot hold a secret: a table's header, or a key whose value is never secret.
fn is_harmless(language: &dyn Language, line: &str) -> bool {
    match line.split_once('=') {
        Some((key, value)) => language.is_plain_line(key.trim(), value),
        None => line.trim_start().starts_with('[') && !line.contains(['"', '\'']),
    }
}

/// Line and column of `range`, and its line cut in three: before, within, after. A range over several lines ends with its first.
fn locate<'a>(file: &'a str, range: &Range<usize>) -> (usize, usize, &'a str, &'a str, &'a str) {
    let start = file.floor_char_boundary(range.start);
    let end = file.floor_char_boundary(range.end.max(start));
    let (before, rest) = file.split_at(start);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line_end = start + rest.find('\n').unwrap_or(rest.len());
    let (before_all, before) = before.split_at(line_start);
    let line = before_all.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.chars().count() + 1;
    let end = end.min(line_end);
    let marked = file.get(start..end).unwrap_or_default();
    let after = file.get(end..line_end).unwrap_or_default();
    (line, column, before, marked, after)
}

fn beginning_of(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn ending_of(text: &str) -> String {
    match text.char_indices().rev().nth(WIDTH) {
        Some((cut, _)) => format!("…{}", text.get(cut..).unwrap_or_default()),
        None => text.to_owned(),
    }
}
