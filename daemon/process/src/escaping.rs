//! Text from elsewhere, made safe to print on one line.
//!
//! Owns the escaping of control characters, line separators and invisible or direction-changing characters.
//! Text of a provider or a program can then neither start a new log line nor move a terminal's cursor.

use std::fmt::{self, Write as _};

/// Shows a text with everything that is not plainly printable written as an escape such as `\n` or `\u{1b}`.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if is_plain(c) {
                f.write_char(c)
            } else {
                write!(f, "{}", c.escape_debug())
            }
        })
    }
}

/// Shows a text as the value of `key=value`: as it is where that is unmistakable, else quoted and escaped.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(pub &'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = !self.0.is_empty()
            && self
                .0
                .chars()
                .all(|c| is_plain(c) && !matches!(c, ' ' | '=' | '"' | '\\'));
        if bare {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c => write!(f, "{}", Escaped(c.encode_utf8(&mut [0; 4])))?,
            }
        }
        f.write_char('"')
    }
}

fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') || (!c.is_ascii() && c.escape_debug().len() == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_forge_a_line_or_move_a_cursor_is_escaped() {
        let table = [
            (
                "plain text, it's \"quoted\" and back\\slashed",
                "plain text, it's \"quoted\" and back\\slashed",
            ),
            ("a\nERROR forged", "a\\nERROR forged"),
            ("a\r\x1b[2Jb\0c\x7fd", "a\\r\\u{1b}[2Jb\\0c\\u{7f}d"),
            (
                "\u{85}\u{9b}31m\u{2028}\u{2029}",
                "\\u{85}\\u{9b}31m\\u{2028}\\u{2029}",
            ),
            (
                "abc\u{202e}def\u{200b}\u{feff}",
                "abc\\u{202e}def\\u{200b}\\u{feff}",
            ),
            ("grüße 世界 ✓", "grüße 世界 ✓"),
        ];
        for (text, shown) in table {
            assert_eq!(Escaped(text).to_string(), shown);
        }
    }

    #[test]
    fn a_value_cannot_pose_as_another_key() {
        let table = [
            ("ads", "ads"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("ok account=other", "\"ok account=other\""),
            ("x\" account=\"y", "\"x\\\" account=\\\"y\""),
            ("a\\", "\"a\\\\\""),
            ("a\nb", "\"a\\nb\""),
        ];
        for (text, shown) in table {
            assert_eq!(Value(text).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_shown_holds_a_control_character(text in any::<String>()) {
            prop_assert!(!Escaped(&text).to_string().chars().any(char::is_control));
            prop_assert!(!Value(&text).to_string().chars().any(char::is_control));
        }
    }
}
