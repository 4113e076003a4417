//! The quoted line of a mistake, with everything masked that could be a secret.
//!
//! People paste passwords where they do not belong, and a report of mistakes ends up in a journal or a ticket. Only the marked
//! text itself is shown as it is, and only where the caller says that it is no secret; other values on its line, and comments,
//! are replaced by `***`.

use std::ops::Range;

/// How many characters of a line are shown on either side of the mark, and of the mark itself.
const WIDTH: usize = 120;

/// Keys whose values are never secret, so that a line which TOML does not understand can be shown.
const PLAIN_KEYS: [&str; 12] = [
    "provider",
    "base_url",
    "username",
    "client_id",
    "scope",
    "refresh",
    "socket",
    "socket_mode",
    "state_dir",
    "allow",
    "level",
    "format",
];

const MASK: &str = "***";

/// One line of a file, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Line, from 1.
    pub(super) line: usize,
    /// Column in characters, from 1.
    pub(super) column: usize,
    /// The line, masked and shortened.
    pub(super) text: String,
    /// The bytes of `text` the mistake is about.
    pub(super) marked: Range<usize>,
}

impl Excerpt {
    /// The line of `range`, its other values masked, and the marked text too unless `show` allows it.
    pub(super) fn new(file: &str, range: &Range<usize>, show: bool) -> Self {
        let (line, column, before, marked, after) = locate(file, range);
        let mut masking = Masking::default();
        let before = masking.pass(before);
        let marked = if show {
            marked.to_owned()
        } else {
            MASK.to_owned()
        };
        // A value that is marked ends the state it began in; a key that is marked is followed by its `=`.
        let after = Masking::default().pass(after);
        Self::join(line, column, &before, &marked, &after)
    }

    /// The line of `range` in a file that is no TOML: nothing after the key is shown unless the key is known to be harmless.
    pub(super) fn of_broken(file: &str, range: &Range<usize>) -> Self {
        let (line, column, before, marked, after) = locate(file, range);
        let whole = format!("{before}{marked}{after}");
        if is_harmless(&whole) && !before.contains('#') {
            let after = after.split_once('#').map_or(after, |(code, _comment)| code);
            return Self::join(line, column, before, marked, after);
        }
        let (key, value) = whole
            .split_once('=')
            .map_or(("", &*whole), |(key, value)| (key, value));
        let equals = if key.is_empty() { "" } else { "=" };
        let shown = if value.trim().is_empty() { value } else { MASK };
        let key_part = format!("{key}{equals}");
        // The mark keeps its place only when it is in the key; in a masked value it covers the mask.
        if before.len() + marked.len() <= key.len() {
            let (_, rest) = key_part.split_at(before.len() + marked.len());
            return Self::join(line, column, before, marked, &format!("{rest} {shown}"));
        }
        Self::join(line, column, &format!("{key_part} "), shown, "")
    }

    fn join(line: usize, column: usize, before: &str, marked: &str, after: &str) -> Self {
        let clean = |text: String| text.replace(char::is_control, " ");
        let before = clean(tail(before.trim_start()));
        let marked = clean(head(marked));
        let after = clean(head(after.trim_end()));
        let start = before.len();
        let end = start + marked.len();
        Self {
            line,
            column,
            text: before + &marked + &after,
            marked: start..end,
        }
    }
}

/// Whether a line that is no TOML surely holds no secret: a table's header, or a key whose value is never one.
fn is_harmless(line: &str) -> bool {
    match line.split_once('=') {
        // A URL may hold a password before its `@`.
        Some((key, value)) => {
            PLAIN_KEYS.contains(&key.trim()) && !(value.contains("://") && value.contains('@'))
        }
        None => line.trim_start().starts_with('[') && !line.contains(['"', '\'']),
    }
}

/// Line and column of `range`, and its line cut in three: before, within, after. A range over several lines ends with its first.
fn locate<'a>(file: &'a str, range: &Range<usize>) -> (usize, usize, &'a str, &'a str, &'a str) {
    let start = floor(file, range.start);
    let end = floor(file, range.end.max(start));
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

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

fn head(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn tail(text: &str) -> String {
    match text.char_indices().rev().nth(WIDTH) {
        Some((cut, _)) => format!("…{}", text.get(cut..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Whether this is a value of this key that is no secret, whoever wrote it: a number of a user, a word the language has.
fn is_plain(key: &str, value: &str) -> bool {
    // No longer than the number of a user or a group.
    let is_number = (1..=10).contains(&value.len()) && value.bytes().all(|c| c.is_ascii_digit());
    match key.trim() {
        "user" | "group" => is_number || value == "root",
        "burst" | "host_in_flight" | "connections" | "connections_per_user" => is_number,
        "may" => tokend_policy::Permission::ALL
            .iter()
            .any(|it| it.as_str() == value),
        "refresh" => ["auto", "always", "on-demand"].contains(&value),
        "mode" => value == "as-mounted",
        "whole" | "required" => ["true", "false"].contains(&value),
        // Words of closed lists, and times, which are too short and too regular to be a secret.
        "level" => ["error", "warn", "info", "debug", "trace"].contains(&value),
        "format" => ["auto", "human", "journal", "json"].contains(&value),
        "every" | "timeout" => value.len() <= 8 && tokend_notation::duration(value).is_ok(),
        "provider" => tokend_dialect::Catalog::builtin().find(value).is_ok(),
        _ => false,
    }
}

/// Replaces values by a mask: what stands in quotes, and what follows an `=`, unless it is plain. Cuts comments off.
#[derive(Debug, Default)]
struct Masking {
    quote: Option<char>,
    /// The key that was read last, until its value ends.
    key: String,
    is_list: bool,
    value: bool,
    masked: bool,
}

impl Masking {
    fn pass(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut escaped = false;
        // What was shown already.
        let mut shown = 0;
        for (at, c) in text.char_indices() {
            if at < shown {
                continue;
            }
            if let Some(quote) = self.quote {
                let ends = c == quote && !escaped;
                escaped = c == '\\' && quote == '"' && !escaped;
                if ends {
                    self.quote = None;
                }
                self.mask(&mut out);
                continue;
            }
            if let Some(plain) = self.plain(text.get(at..).unwrap_or_default()) {
                out.push_str(plain);
                shown = at + plain.len();
                self.masked = true;
                continue;
            }
            match c {
                '#' => break,
                '"' | '\'' => {
                    self.quote = Some(c);
                    self.mask(&mut out);
                }
                '=' => self.structure(&mut out, c, true),
                ',' | '{' | '}' | '[' | ']' => self.structure(&mut out, c, false),
                c if c.is_whitespace() => out.push(c),
                _ if self.value => self.mask(&mut out),
                c => {
                    out.push(c);
                    self.key.push(c);
                }
            }
        }
        out
    }

    /// A plain value at the beginning of this text.
    fn plain<'t>(&self, text: &'t str) -> Option<&'t str> {
        if self.masked || !(self.value || self.is_list) {
            return None;
        }
        let first = text.chars().next()?;
        let (value, shown) = match text.strip_prefix(['"', '\'']) {
            Some(rest) => {
                let end = rest.find(first)?;
                (rest.get(..end)?, text.get(..end + 2)?)
            }
            None => {
                let ends = |c: char| c.is_whitespace() || [',', '}', ']', '#'].contains(&c);
                let end = text.find(ends).unwrap_or(text.len());
                (text.get(..end)?, text.get(..end)?)
            }
        };
        is_plain(&self.key, value).then_some(shown)
    }

    fn structure(&mut self, out: &mut String, c: char, value: bool) {
        out.push(c);
        match c {
            // The key's value follows.
            '=' => {}
            '[' if self.value => self.is_list = true,
            ',' if self.is_list => {}
            _ => {
                self.key.clear();
                self.is_list = false;
            }
        }
        self.value = value;
        self.masked = false;
    }

    fn mask(&mut self, out: &mut String) {
        if !self.masked {
            out.push_str(MASK);
            self.masked = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, mark: &str, show: bool) -> String {
        let start = line.find(mark).expect("the mark is in the line");
        Excerpt::new(line, &(start..start + mark.len()), show).text
    }

    #[test]
    fn what_cannot_be_a_secret_is_shown_beside_the_mark() {
        let table = [
            (
                r#"allow = [{ user = 0, may = ["get", "reload"] }]"#,
                r#""reload""#,
                r#"allow = [{ user = 0, may = ["get", "reload"] }]"#,
            ),
            (
                r#"allow = [{ user = 1000, exe = "/usr/bin/x", gruop = "ci" }]"#,
                "gruop",
                r#"allow = [{ user = 1000, exe = ***, gruop = *** }]"#,
            ),
            (
                r#"attempts = { burst = 3, evry = "1m" }"#,
                "evry",
                r#"attempts = { burst = 3, evry = *** }"#,
            ),
            (
                r#"x = { user = "hunter2", may = ["hunter2", "get"], zz = 1 }"#,
                "zz",
                r#"x = { user = ***, may = [***, "get"], zz = *** }"#,
            ),
            (
                r#"x = { password = 1000, user = 12345678901, zz = 1 }"#,
                "zz",
                r#"x = { password = ***, user = ***, zz = *** }"#,
            ),
            (
                r#"log = { level = "debug", format = "hunter2", zz = 1 }"#,
                "zz",
                r#"log = { level = "debug", format = ***, zz = *** }"#,
            ),
            (
                r#"x = { provider = "oauth2", every = "10s", secret = "10s", zz = 1 }"#,
                "zz",
                r#"x = { provider = "oauth2", every = "10s", secret = ***, zz = *** }"#,
            ),
            (
                r#"x = { provider = "hunter2", every = "hunter2s", timeout = "2h", zz = 1 }"#,
                "zz",
                r#"x = { provider = ***, every = ***, timeout = "2h", zz = *** }"#,
            ),
            (
                r#"x = { user = 0hunter2, password = ["get"], zz = 1 }"#,
                "zz",
                r#"x = { user = ***, password = [***], zz = *** }"#,
            ),
        ];
        for (line, mark, expected) in table {
            assert_eq!(shown(line, mark, true), expected, "{line}");
        }
    }

    #[test]
    fn only_the_marked_text_is_shown() {
        let table = [
            (r#"pasword = "hunter2""#, "pasword", true, "pasword = ***"),
            (r#"pasword = hunter2"#, "pasword", true, "pasword = ***"),
            (
                r#"password = "hunter2" # old: hunter1"#,
                r#""hunter2""#,
                false,
                "password = ***",
            ),
            (
                r#"base_url = "ftp://x" # hunter2"#,
                r#""ftp://x""#,
                true,
                r#"base_url = "ftp://x""#,
            ),
            (
                r#"p = { fil = "/a", x = "hunter2", y = 'hun\' }"#,
                "fil",
                true,
                "p = { fil = ***, x = ***, y = *** }",
            ),
            (
                r#"p = { a = "hunter2", fil = 3 }"#,
                "fil",
                true,
                "p = { a = ***, fil = *** }",
            ),
            (
                r#"p = { a = "hun\"ter2", fil = 3 }"#,
                "fil",
                true,
                "p = { a = ***, fil = *** }",
            ),
            (r#"x = """hunter2"#, "x", true, "x = ***"),
            (r#"[account.ads]"#, "ads", true, "[account.ads]"),
        ];
        for (line, mark, show, expected) in table {
            assert_eq!(shown(line, mark, show), expected);
        }
    }

    #[test]
    fn a_broken_line_shows_its_key_and_hides_its_value() {
        let table = [
            ("password = hunter2", "hunter2", "password = ***"),
            ("password = \"hunter2", "\"", "password = ***"),
            ("password \"hunter2\"", "\"", "***"),
            ("hunter2\"\"\"", "\"", "***"),
            ("pass word = \"hunter2\"", "word", "pass word = ***"),
            ("base_url = htps://x", "htps", "base_url = htps://x"),
            ("[account.ads", "ads", "[account.ads"),
            ("base_url = https://u:hunter2@x", "https", "base_url = ***"),
            ("username = you # hunter2", "you", "username = you"),
            ("[\"hunter2\"", "[", "***"),
        ];
        for (line, mark, expected) in table {
            let start = line.find(mark).expect("the mark is in the line");
            let excerpt = Excerpt::of_broken(line, &(start..start + mark.len()));
            assert_eq!(excerpt.text, expected);
            assert!(excerpt.text.get(excerpt.marked).is_some());
        }
    }

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let file = "a = 1\n  é = 'x'\r\nlast = 2";
        let at = file.find("'x'").expect("there");
        let excerpt = Excerpt::new(file, &(at..at + 3), true);
        assert_eq!((excerpt.line, excerpt.column), (2, 7));
        assert_eq!(&excerpt.text[excerpt.marked.clone()], "'x'");
        let excerpt = Excerpt::new(file, &(file.len()..file.len() + 9), true);
        assert_eq!((excerpt.line, excerpt.column), (3, 9));
        assert_eq!(
            (excerpt.text.as_str(), excerpt.marked),
            ("last = ***", 10..10)
        );
    }

    #[test]
    fn long_lines_are_shortened_around_the_mark() {
        let line = format!("{}marked{}", "a".repeat(500), "b".repeat(500));
        let excerpt = Excerpt::new(&line, &(500..506), true);
        assert_eq!(&excerpt.text[excerpt.marked.clone()], "marked");
        assert!(excerpt.text.chars().count() < 260, "{}", excerpt.text);
        assert_eq!(excerpt.column, 501);
    }
}
