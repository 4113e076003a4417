//! Reads tables out of a parsed piece of a file.
//!
//! Owns places in files and the refusal of unknown keys: whoever reads a table asks for each key, and a key that nobody asked for
//! is a mistake. Never stops at one, so that one run tells everything.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::mistake::{Mistakes, Place, choose_from};
use super::piece::Piece;
use super::value::Value;

/// Keys that are in no table. In TOML, what is written at the end of a file is in its last table.
const TOP: [&str; 6] = [
    "admin",
    "dialect_dir",
    "include_dir",
    "socket",
    "socket_mode",
    "state_dir",
];

/// A table that is being read; every key must be asked for before [`Section::finish`].
#[derive(Debug)]
pub(super) struct Section<'p> {
    piece: Piece<'p>,
    table: &'p DeTable<'p>,
    span: Range<usize>,
    known: Vec<&'p str>,
    refused: Vec<&'p str>,
}

/// A key of a table, where its name is the user's.
#[derive(Debug, Clone)]
pub(super) struct Key<'p> {
    piece: Piece<'p>,
    span: Range<usize>,
    /// The key.
    pub(super) name: &'p str,
}

impl Key<'_> {
    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        self.piece.place(&self.span, true)
    }

    /// Notes what is wrong with it.
    pub(super) fn wrong(
        &self,
        mistakes: &mut Mistakes,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        mistakes.add(self.piece.file, self.place(), message, help);
    }
}

impl<'p> Value<'p> {
    /// A table.
    pub(super) fn section(self, mistakes: &mut Mistakes) -> Option<Section<'p>> {
        match self.value {
            DeValue::Table(table) => Some(Section::new(self.piece, table, self.span)),
            _ => self.wrong_type("a table", mistakes),
        }
    }
}

impl<'p> Section<'p> {
    /// The table at the root of a piece.
    pub(super) fn root(piece: Piece<'p>, table: &'p Spanned<DeTable<'p>>) -> Self {
        Self {
            piece,
            table: table.get_ref(),
            span: 0..0,
            known: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// A table that stands at `span`.
    pub(super) fn new(piece: Piece<'p>, table: &'p DeTable<'p>, span: Range<usize>) -> Self {
        Self {
            piece,
            table,
            span,
            known: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The value of a key, if it is there.
    pub(super) fn take(&mut self, key: &'p str) -> Option<Value<'p>> {
        self.known.push(key);
        let (_, value) = self.table.get_key_value(key)?;
        Some(Value::new(self.piece, value))
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Lets a key be there without looking at it.
    pub(super) fn ignore(&mut self, key: &'p str) {
        self.known.push(key);
    }

    /// Notes a key that is no unknown one and yet must not be there. It is not offered as a valid one.
    pub(super) fn refuse(
        &mut self,
        key: &'p str,
        mistakes: &mut Mistakes,
        message: String,
        help: String,
    ) {
        if self.table.contains_key(key) {
            self.wrong_key(key, mistakes, message, help);
        }
        self.refused.push(key);
    }

    /// The value of a key that could be a secret by mistake: no report shows it.
    pub(super) fn take_secret(&mut self, key: &'p str) -> Option<Value<'p>> {
        self.take(key).map(Value::hidden)
    }

    /// The value of a key that must be there; `what` says what it is for.
    pub(super) fn require(
        &mut self,
        key: &'p str,
        what: &str,
        mistakes: &mut Mistakes,
    ) -> Option<Value<'p>> {
        let value = self.take(key);
        if value.is_none() {
            self.wrong(
                mistakes,
                format!("`{key}` is missing"),
                format!("add `{key}`: {what}"),
            );
        }
        value
    }

    /// The table of a key, if it is there and a table.
    pub(super) fn section(&mut self, key: &'p str, mistakes: &mut Mistakes) -> Option<Self> {
        self.take(key)?.section(mistakes)
    }

    /// All keys with their values, for a table whose keys are names the user chose.
    pub(super) fn entries(self) -> impl Iterator<Item = (Key<'p>, Value<'p>)> {
        let piece = self.piece;
        self.table.iter().map(move |(key, value)| {
            let key: &'p Spanned<DeString<'p>> = key;
            (
                Key {
                    piece,
                    span: key.span(),
                    name: key.get_ref(),
                },
                Value::new(piece, value),
            )
        })
    }

    /// Notes something about the table as a whole.
    pub(super) fn wrong(
        &self,
        mistakes: &mut Mistakes,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        mistakes.add(
            self.piece.file,
            self.piece.place(&self.span, true),
            message,
            help,
        );
    }

    /// Notes something about one of its keys, or about the table where the key is not there.
    pub(super) fn wrong_key(
        &self,
        key: &str,
        mistakes: &mut Mistakes,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        let span = self
            .table
            .get_key_value(key)
            .map_or(self.span.clone(), |(key, _)| key.span());
        mistakes.add(
            self.piece.file,
            self.piece.place(&span, true),
            message,
            help,
        );
    }

    /// Gives the table the place of its key, which reads better in a report than the place of all of its contents.
    pub(super) fn named(mut self, key: &Key<'p>) -> Self {
        self.span = key.span.clone();
        self
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self, mistakes: &mut Mistakes) {
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if !self.known.contains(&name) && !self.refused.contains(&name) {
                let place = self.piece.place(&key.span(), true);
                let help = match TOP.contains(&name) {
                    true => format!(
                        "`{name}` belongs at the top of the configuration, above its first `[table]`"
                    ),
                    false => choose_from(name, &self.known),
                };
                mistakes.add(
                    self.piece.file,
                    place,
                    format!("unknown key `{name}`"),
                    help,
                );
            }
        }
    }
}
