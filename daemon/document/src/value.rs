//! Reads typed values.
//!
//! Owns the messages about wrong types, unknown words, numbers, durations, sizes and paths. Possible secrets are kept out of them.

use std::fmt::Write as _;
use std::ops::{Deref, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;

use crate::diagnostic::Diagnostics;
use crate::nearest::choose_from;
use crate::node::{Content, Node};
use crate::source::Mark;

/// A value that is being read.
#[derive(Debug, Clone, Copy)]
pub struct Value<'p> {
    node: &'p Node<'p>,
    secret: bool,
}

impl<'p> From<&'p Node<'p>> for Value<'p> {
    fn from(node: &'p Node<'p>) -> Self {
        let secret = false;
        Self { node, secret }
    }
}

impl<'p> Deref for Value<'p> {
    type Target = Node<'p>;

    fn deref(&self) -> &Node<'p> {
        self.node
    }
}

impl<'p> Value<'p> {
    /// The value as it was parsed.
    pub fn node(self) -> &'p Node<'p> {
        self.node
    }

    /// The value's place as `name:line:column`. Counting lines takes time.
    pub fn position(self) -> String {
        self.node.span.position()
    }

    /// Keeps the value out of reports.
    pub fn hidden(self) -> Self {
        let secret = true;
        Self { secret, ..self }
    }

    /// Lets reports show the value after all.
    pub fn shown(self) -> Self {
        let secret = false;
        Self { secret, ..self }
    }

    fn mark(self) -> Mark {
        match self.node.content {
            _ if self.secret => Mark::Hidden,
            Content::Array(_) | Content::Table(_) => Mark::Masked,
            _ => Mark::Shown,
        }
    }

    /// Notes a mistake about the value.
    pub fn note(
        self,
        diagnostics: &mut Diagnostics,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        diagnostics.add(&self.node.span, self.mark(), message, help);
    }

    /// Notes a mistake about the value and returns `None`.
    pub fn wrong<T>(
        self,
        diagnostics: &mut Diagnostics,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) -> Option<T> {
        self.note(diagnostics, message, help);
        None
    }

    /// Notes a wrong type and returns `None`.
    pub fn wrong_type<T>(self, expected: &str, diagnostics: &mut Diagnostics) -> Option<T> {
        let message = format!("expected {expected}, found {}", self.kind());
        self.wrong(diagnostics, message, None)
    }

    /// The type of the value, as a report names it.
    pub fn kind(self) -> &'static str {
        self.node.content.kind()
    }

    /// Whether it is a table.
    pub fn is_table(self) -> bool {
        matches!(self.node.content, Content::Table(_))
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        matches!(self.node.content, Content::Array(_))
    }

    /// The values of an array.
    pub fn array(
        self,
        diagnostics: &mut Diagnostics,
    ) -> Option<impl ExactSizeIterator<Item = Self> + use<'p>> {
        match &self.node.content {
            Content::Array(_) => Some(self.one_or_many()),
            _ => self.wrong_type("an array", diagnostics),
        }
    }

    /// One value, or the values of an array.
    pub fn one_or_many(self) -> impl ExactSizeIterator<Item = Self> + use<'p> {
        let items = match &self.node.content {
            Content::Array(items) => &**items,
            _ => std::slice::from_ref(self.node),
        };
        items.iter().map(move |node| Self { node, ..self })
    }

    /// A string.
    pub fn string(self, diagnostics: &mut Diagnostics) -> Option<&'p str> {
        match &self.node.content {
            Content::String(text) => Some(text),
            _ => self.wrong_type("a string", diagnostics),
        }
    }

    /// A string that is not empty.
    pub fn text(self, diagnostics: &mut Diagnostics) -> Option<&'p str> {
        let text = self.string(diagnostics)?;
        match text.is_empty() {
            true => self.wrong(diagnostics, "this text is empty", None),
            false => Some(text),
        }
    }

    /// A string or an array of strings, at least one.
    pub fn strings(self, diagnostics: &mut Diagnostics) -> Option<Vec<String>> {
        let items = self.one_or_many();
        if items.len() == 0 {
            return self.wrong(diagnostics, "this list is empty", None);
        }
        items
            .map(|item| item.string(diagnostics).map(str::to_owned))
            .collect()
    }

    /// A string that people may write without quotes; `expected` describes it and says that it needs them.
    pub fn quoted(self, expected: &str, diagnostics: &mut Diagnostics) -> Option<&'p str> {
        match self.node.content {
            Content::String(_) => self.text(diagnostics),
            _ => self.wrong_type(expected, diagnostics),
        }
    }

    /// A string; a number of any length or a boolean is returned as it is written.
    pub fn written(self, diagnostics: &mut Diagnostics) -> Option<String> {
        match &self.node.content {
            Content::Integer(_, text) => Some(text.to_string()),
            Content::Unfit(text) => Some(text.to_string()),
            Content::Boolean(truth) => Some(truth.to_string()),
            _ => self.string(diagnostics).map(str::to_owned),
        }
    }

    /// `true` or `false`.
    pub fn boolean(self, diagnostics: &mut Diagnostics) -> Option<bool> {
        match self.node.content {
            Content::Boolean(truth) => Some(truth),
            _ => self.wrong_type("true or false", diagnostics),
        }
    }

    /// A whole number within `range`.
    pub fn integer(self, range: RangeInclusive<u32>, diagnostics: &mut Diagnostics) -> Option<u32> {
        let Content::Integer(number, _) = self.node.content else {
            return self.wrong_type("a whole number", diagnostics);
        };
        let fits = u32::try_from(number).ok().filter(|n| range.contains(n));
        fits.or_else(|| {
            let (least, most) = range.into_inner();
            let mut message = format!("expected a whole number from {least} to {most}");
            if !self.secret {
                let _infallible = write!(message, ", found {number}");
            }
            self.wrong(diagnostics, message, None)
        })
    }

    /// One of the given words.
    pub fn word<T: Copy>(self, words: &[(&str, T)], diagnostics: &mut Diagnostics) -> Option<T> {
        let text = self.text(diagnostics)?;
        let meaning = words.iter().find(|(word, _)| *word == text);
        meaning.map(|(_, meaning)| *meaning).or_else(|| {
            let valid: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(
                diagnostics,
                format!("unknown word `{text}`"),
                choose_from(text, &valid),
            )
        })
    }

    /// A duration with units within `range`, such as `45m` or `1h 30m`.
    pub fn duration(
        self,
        range: RangeInclusive<Duration>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Duration> {
        let text = self.quoted("a duration in quotes, such as \"90s\"", diagnostics)?;
        let duration = match tokend_notation::duration(text) {
            Ok(duration) => duration,
            Err(why) => {
                let message = format!("`{text}` is not a duration");
                return self.wrong(diagnostics, message, why.to_string());
            }
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let most = length(*range.end());
        let help = match range.start().is_zero() {
            true => format!("at most {most}"),
            false => format!("from {} to {most}", length(*range.start())),
        };
        self.wrong(diagnostics, format!("`{text}` is out of range"), help)
    }

    /// A positive duration of at most `most`.
    pub fn nonzero_duration(
        self,
        most: Duration,
        diagnostics: &mut Diagnostics,
    ) -> Option<Duration> {
        let duration = self.duration(Duration::ZERO..=most, diagnostics)?;
        match duration.is_zero() {
            true => {
                let message = "this duration must be longer than nothing";
                self.wrong(diagnostics, message, format!("at most {}", length(most)))
            }
            false => Some(duration),
        }
    }

    /// A number of bytes within `range`, with or without a unit.
    pub fn size(
        self,
        range: RangeInclusive<usize>,
        diagnostics: &mut Diagnostics,
    ) -> Option<usize> {
        let text = match &self.node.content {
            Content::Integer(_, text) => text.to_string(),
            _ => self.text(diagnostics)?.to_owned(),
        };
        let Some(size) = bytes(&text) else {
            let help =
                "write a number of bytes, or one with a unit: `65536`, `64KiB`, `1MiB`".to_owned();
            return self.wrong(diagnostics, format!("`{text}` is not a size"), help);
        };
        if range.contains(&size) {
            return Some(size);
        }
        let (least, most) = range.into_inner();
        self.wrong(
            diagnostics,
            format!("`{text}` is out of range"),
            format!("from {least} to {most} bytes"),
        )
    }

    /// A path; a relative one is taken from `base`, the directory of the file it stands in.
    pub fn path(self, base: &Path, diagnostics: &mut Diagnostics) -> Option<PathBuf> {
        let text = self.text(diagnostics)?;
        if text.contains('\0') {
            return self.wrong(diagnostics, "a path cannot hold a null character", None);
        }
        if text.starts_with("~/") {
            let help = "write the full path; `~` is the shell's".to_owned();
            return self.wrong(diagnostics, "`~` is not expanded here", help);
        }
        Some(base.join(text))
    }
}

/// A duration as a bound in a message.
fn length(duration: Duration) -> String {
    const YEAR: u64 = 366 * 24 * 3600;
    let seconds = duration.as_secs();
    match seconds / YEAR {
        years @ 2.. if seconds.is_multiple_of(YEAR) => format!("{years} years"),
        _ => SignedDuration::try_from(duration)
            .map_or_else(|_| "forever".to_owned(), |signed| format!("{signed:#}")),
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
