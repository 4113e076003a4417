//! Which part of a file, a variable, a program's output or a typed line is the secret.
//!
//! Owns that rule, whole: editors leave a byte order mark and line ends, password managers print more than the password, and a file may be
//! the wrong one. Bytes that are certainly not part of a secret are removed; ambiguous ones are refused.

/// The UTF-8 form of the byte order mark, which some editors put before a text.
const MARK: &str = "\u{feff}";

/// Which lines are the secret, if there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// There must be one.
    One,
    /// The first line, as all readers of pass(1)'s output take it.
    First,
    /// All lines, as for a key in PEM form.
    All,
}

/// A secret as it is used, still in the bytes it was read from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'t> {
    /// The text. Do not copy it into anything that is not wiped.
    pub text: &'t str,
    /// How many lines followed that are not part of it.
    pub left_out: usize,
}

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

/// Why some bytes are not a secret, as said of a place: `file /a` is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASecret {
    /// There are only blanks and line ends.
    #[error("is empty")]
    Empty,
    /// The first line should be the secret, and is blank.
    #[error("begins with an empty line, so there is no secret in its first line")]
    NoFirstLine,
    /// There is no text.
    #[error("is not UTF-8 text; a secret that is sent to a provider must be")]
    NotUtf8,
    /// A byte that no text has.
    #[error(
        "holds a NUL byte, as binary files and UTF-16 text do; a secret is UTF-8 text without one"
    )]
    Nul,
    /// A character typed or shown by accident.
    #[error(
        "holds a control character, as colours and keys of a terminal leave; a secret is printed text"
    )]
    Control,
    /// More than one line.
    #[error("has {0} lines, and a secret is one line")]
    SeveralLines(usize),
}

/// The secret in `bytes`: without a byte order mark before it and line ends behind it, and as many lines as `lines` says.
///
/// Blanks stay: they may be part of a password.
///
/// # Errors
/// [`NotASecret`] if nothing is left, or the rest cannot be meant.
pub fn secret(bytes: &[u8], lines: Lines) -> Result<Secret<'_>, NotASecret> {
    if bytes.contains(&0) {
        return Err(NotASecret::Nul);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NotASecret::NotUtf8)?;
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let text = text.trim_end_matches(['\n', '\r']);
    if text.trim().is_empty() {
        return Err(NotASecret::Empty);
    }
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    let (first, left_out) = (text.get(..end).unwrap_or_default(), breaks(text));
    match lines {
        Lines::All => Ok(Secret { text, left_out: 0 }),
        Lines::One | Lines::First if first.contains(is_control) => Err(NotASecret::Control),
        _ if left_out == 0 => Ok(Secret { text, left_out }),
        Lines::One => Err(NotASecret::SeveralLines(left_out + 1)),
        Lines::First if first.trim().is_empty() => Err(NotASecret::NoFirstLine),
        Lines::First => Ok(Secret {
            text: first,
            left_out,
        }),
    }
}

/// A character that nobody means as part of a line. A tab could be meant.
fn is_control(letter: char) -> bool {
    letter != '\t' && (letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}'))
}

/// How many lines end in `text`: with CR LF, LF, or CR alone, which no program that prints a secret means as part of it.
fn breaks(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    ends.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], lines: Lines) -> Result<(&str, usize), NotASecret> {
        secret(bytes, lines).map(|secret| (secret.text, secret.left_out))
    }

    #[test]
    fn what_is_certainly_no_part_of_a_secret_is_taken_off() {
        for lines in [Lines::One, Lines::First, Lines::All] {
            for sent in [
                "pw",
                "pw\n",
                "pw\r\n",
                "pw\n\n",
                "pw\r",
                "pw\r\n\r\n",
                "\u{feff}pw",
                "\u{feff}pw\r\n",
            ] {
                assert_eq!(read(sent.as_bytes(), lines), Ok(("pw", 0)), "{sent:?}");
            }
            assert_eq!(read(b" p w \n", lines), Ok((" p w ", 0)));
        }
    }

    #[test]
    fn of_several_lines_the_first_all_or_none_is_the_secret() {
        let several = [
            ("a\nb\nc\n", 2),
            ("a\r\nb\r\nc", 2),
            ("a\rb", 1),
            ("a\n\n\nb", 3),
        ];
        for (sent, more) in several {
            let bytes = sent.as_bytes();
            assert_eq!(read(bytes, Lines::First), Ok(("a", more)), "{sent:?}");
            assert_eq!(
                read(bytes, Lines::One),
                Err(NotASecret::SeveralLines(more + 1))
            );
            let all = sent.trim_end();
            assert_eq!(read(bytes, Lines::All), Ok((all, 0)));
        }
        assert_eq!(read(b"\na\n", Lines::First), Err(NotASecret::NoFirstLine));
    }

    #[test]
    fn what_terminals_leave_in_a_line_is_refused_and_allowed_in_a_whole_text() {
        for sent in [
            "pw\u{1b}[A",
            "\u{1b}[1mpw\u{1b}[0m\n",
            "p\u{8}w",
            "pw\u{7f}",
            "pw\u{b}\n",
            "pw\u{85}",
            "pw\u{2028}x",
            "\u{9b}1mpw",
        ] {
            let bytes = sent.as_bytes();
            for lines in [Lines::One, Lines::First] {
                assert_eq!(read(bytes, lines), Err(NotASecret::Control), "{sent:?}");
            }
            let text = sent.trim_end_matches('\n');
            assert_eq!(read(bytes, Lines::All), Ok((text, 0)));
        }
        assert_eq!(read(b"p\tw\n", Lines::One), Ok(("p\tw", 0)));
        let first = "pw\n\u{1b}[1mlogin: me\n".as_bytes();
        assert_eq!(read(first, Lines::First), Ok(("pw", 1)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_not_shown() {
        let table: [(&[u8], NotASecret); 9] = [
            (b"", NotASecret::Empty),
            (b"\n", NotASecret::Empty),
            (b" \t \n", NotASecret::Empty),
            (b"\xef\xbb\xbf\r\n", NotASecret::Empty),
            (b"hunter2\0", NotASecret::Nul),
            (b"\0hunter2\n", NotASecret::Nul),
            (b"h\0u\0n\0", NotASecret::Nul),
            (b"\xff\xfeh\0u\0", NotASecret::Nul),
            (b"caf\xe9", NotASecret::NotUtf8),
        ];
        for (sent, why) in table {
            for lines in [Lines::One, Lines::First, Lines::All] {
                assert_eq!(read(sent, lines), Err(why), "{sent:?}");
            }
        }
        let shown = format!("{:?}", secret(b"hunter2", Lines::One));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
