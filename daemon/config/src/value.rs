//! Reads typed values out of a parsed piece of a file.
//!
//! Owns the sentences about wrong types, unknown words, numbers, durations, sizes and paths. What could be a secret is kept out
//! of them.

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use toml::Spanned;
use toml::de::DeValue;

use super::mistake::{Mistakes, Place, choose_from};
use super::piece::Piece;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Value<'p> {
    pub(super) piece: Piece<'p>,
    pub(super) value: &'p DeValue<'p>,
    pub(super) span: Range<usize>,
    secret: bool,
}

impl<'p> Value<'p> {
    /// A value of a parsed piece.
    pub(super) fn new(piece: Piece<'p>, value: &'p Spanned<DeValue<'p>>) -> Self {
        Self {
            piece,
            value: value.get_ref(),
            span: value.span(),
            secret: false,
        }
    }

    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        self.piece.place(&self.span, !self.secret)
    }

    /// `path:line:column` of where it stands.
    pub(super) fn position(&self) -> String {
        self.piece.file.position(&self.place())
    }

    /// The file it stands in.
    pub(super) fn file(&self) -> String {
        self.piece.file.path.display().to_string()
    }

    /// Keeps it out of reports.
    pub(super) fn hidden(self) -> Self {
        Self {
            secret: true,
            ..self
        }
    }

    /// Lets reports show it after all.
    pub(super) fn shown(self) -> Self {
        Self {
            secret: false,
            ..self
        }
    }

    /// Notes what is wrong with it.
    pub(super) fn wrong<T>(
        &self,
        mistakes: &mut Mistakes,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) -> Option<T> {
        mistakes.add(self.piece.file, self.place(), message, help);
        None
    }

    pub(super) fn wrong_type<T>(&self, expected: &str, mistakes: &mut Mistakes) -> Option<T> {
        self.wrong(
            mistakes,
            format!("expected {expected}, found {}", self.kind()),
            None,
        )
    }

    /// What it is, as a report names it.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        }
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether it is an array.
    pub(super) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    /// The values of an array.
    pub(super) fn array(
        &self,
        mistakes: &mut Mistakes,
    ) -> Option<impl Iterator<Item = Self> + use<'p>> {
        let DeValue::Array(values) = self.value else {
            return self.wrong_type("an array", mistakes);
        };
        let (piece, secret) = (self.piece, self.secret);
        Some(values.iter().map(move |value| Self {
            secret,
            ..Self::new(piece, value)
        }))
    }

    /// A string that is not empty.
    pub(super) fn string(&self, mistakes: &mut Mistakes) -> Option<&'p str> {
        match self.value {
            DeValue::String(text) if text.is_empty() => {
                self.wrong(mistakes, "this text is empty", None)
            }
            DeValue::String(text) => Some(text),
            _ => self.wrong_type("a string", mistakes),
        }
    }

    /// A string that people may forget to put in quotes; `expected` says what it is and that it needs them.
    pub(super) fn quoted(&self, expected: &str, mistakes: &mut Mistakes) -> Option<&'p str> {
        match self.value {
            DeValue::String(_) => self.string(mistakes),
            _ => self.wrong_type(expected, mistakes),
        }
    }

    /// A string, or a number or boolean as it is written.
    pub(super) fn text(&self, mistakes: &mut Mistakes) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Boolean(truth) => Some(truth.to_string()),
            _ => self.wrong_type("a string", mistakes),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, mistakes: &mut Mistakes) -> Option<bool> {
        match self.value {
            DeValue::Boolean(truth) => Some(*truth),
            _ => self.wrong_type("true or false", mistakes),
        }
    }

    /// A string or an integer that is not negative, as users and groups are written.
    pub(super) fn name_or_number(&self, mistakes: &mut Mistakes) -> Option<String> {
        match self.value {
            DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.to_string()),
            _ => self.wrong_type("a name or a number", mistakes),
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(
        &self,
        range: RangeInclusive<u32>,
        mistakes: &mut Mistakes,
    ) -> Option<u32> {
        let DeValue::Integer(number) = self.value else {
            return self.wrong_type("an integer", mistakes);
        };
        let number = i64::from_str_radix(number.as_str(), number.radix());
        let fits = number
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|n| range.contains(n));
        fits.or_else(|| {
            let (least, most) = range.into_inner();
            self.wrong(
                mistakes,
                format!("expected a whole number from {least} to {most}"),
                None,
            )
        })
    }

    /// One of the given words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)], mistakes: &mut Mistakes) -> Option<T> {
        let text = self.string(mistakes)?;
        let meaning = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning);
        meaning.or_else(|| {
            let valid: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(
                mistakes,
                format!("unknown word `{text}`"),
                choose_from(text, &valid),
            )
        })
    }

    /// A duration with units within `range`.
    pub(super) fn duration(
        &self,
        range: RangeInclusive<Duration>,
        mistakes: &mut Mistakes,
    ) -> Option<Duration> {
        let text = self.quoted("a duration in quotes, such as \"90s\"", mistakes)?;
        let duration = match tokend_notation::duration(text) {
            Ok(duration) => duration,
            Err(why) => {
                let message = format!("`{text}` is not a duration");
                return self.wrong(mistakes, message, why.to_string());
            }
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let show = |duration: &Duration| {
            SignedDuration::try_from(*duration)
                .map_or_else(|_| "forever".to_owned(), |signed| format!("{signed:#}"))
        };
        let (least, most) = (show(range.start()), show(range.end()));
        self.wrong(
            mistakes,
            format!("`{text}` is out of range"),
            format!("from {least} to {most}"),
        )
    }

    /// A number of bytes within `range`, with or without a unit.
    pub(super) fn size(
        &self,
        range: RangeInclusive<usize>,
        mistakes: &mut Mistakes,
    ) -> Option<usize> {
        let text = match self.value {
            DeValue::Integer(number) => number.to_string(),
            _ => self.string(mistakes)?.to_owned(),
        };
        let Some(size) = bytes(&text) else {
            let help =
                "write a number of bytes, or one with a unit: `65536`, `64KiB`, `1MiB`".to_owned();
            return self.wrong(mistakes, format!("`{text}` is not a size"), help);
        };
        if range.contains(&size) {
            return Some(size);
        }
        let (least, most) = range.into_inner();
        self.wrong(
            mistakes,
            format!("`{text}` is out of range"),
            format!("from {least} to {most} bytes"),
        )
    }

    /// A path; a relative one is taken from `base`, the directory of the file it stands in.
    pub(super) fn path(&self, base: &Path, mistakes: &mut Mistakes) -> Option<PathBuf> {
        let text = self.string(mistakes)?;
        if text.contains('\0') {
            return self.wrong(mistakes, "a path cannot hold a null character", None);
        }
        if text.starts_with("~/") {
            let help = "write the full path; `~` is the shell's".to_owned();
            return self.wrong(mistakes, "`~` is not expanded here", help);
        }
        Some(base.join(text))
    }
}

fn bytes(text: &str) -> Option<usize> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}
