//! Reads tables.
//!
//! Owns the refusal of unknown keys: the reader of a table asks for each key, and a key that was never asked for is a mistake. Never stops
//! at a mistake, so that one run reports all of them.

use crate::diagnostic::Diagnostics;
use crate::nearest::choose_from;
use crate::node::{Content, Key, Node, Table};
use crate::source::Mark;
use crate::span::Span;
use crate::value::Value;

/// A table that is being read; every key must be asked for before [`Section::finish`].
#[derive(Debug)]
pub struct Section<'p> {
    table: &'p Table<'p>,
    span: &'p Span,
    mark: Mark,
    known: Vec<&'p str>,
    refused: Vec<&'p str>,
}

/// Stands in for the root of a document that is not a table.
static NOTHING: Table<'static> = Table {
    entries: Vec::new(),
};

impl<'p> Value<'p> {
    /// A table.
    pub fn section(self, diagnostics: &mut Diagnostics) -> Option<Section<'p>> {
        match &self.node().content {
            Content::Table(table) => Some(Section::new(table, &self.node().span, Mark::Masked)),
            _ => self.wrong_type("a table", diagnostics),
        }
    }
}

impl<'p> Section<'p> {
    /// The table at the root of a document.
    pub fn root(node: &'p Node<'p>) -> Self {
        let table = match &node.content {
            Content::Table(table) => table,
            _ => &NOTHING,
        };
        Self::new(table, &node.span, Mark::Masked)
    }

    fn new(table: &'p Table<'p>, span: &'p Span, mark: Mark) -> Self {
        Self {
            table,
            span,
            mark,
            known: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The value of a key, if it is there.
    pub fn take(&mut self, key: &'p str) -> Option<Value<'p>> {
        self.known.push(key);
        self.table.find(key).map(Value::from)
    }

    /// Whether the table has a key.
    pub fn has(&self, key: &str) -> bool {
        self.table.find(key).is_some()
    }

    /// Accepts a key without reading its value.
    pub fn ignore(&mut self, key: &'p str) {
        self.known.push(key);
    }

    /// Notes a known key that is not allowed here. It is not offered as a valid key.
    pub fn refuse(
        &mut self,
        key: &'p str,
        diagnostics: &mut Diagnostics,
        message: String,
        help: String,
    ) {
        if self.has(key) {
            self.note_key(key, diagnostics, message, help);
        }
        self.refused.push(key);
    }

    /// The value of a required key; `what` describes its purpose.
    pub fn require(
        &mut self,
        key: &'p str,
        what: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Value<'p>> {
        let value = self.take(key);
        if value.is_none() {
            let help = format!("add `{key}`: {what}");
            self.note(diagnostics, format!("`{key}` is missing"), help);
        }
        value
    }

    /// The table of a key, if it is there and a table.
    pub fn section(&mut self, key: &'p str, diagnostics: &mut Diagnostics) -> Option<Self> {
        self.take(key)?.section(diagnostics)
    }

    /// The value of a key, if it is there, converted by `read`.
    pub fn read<T>(
        &mut self,
        key: &'p str,
        diagnostics: &mut Diagnostics,
        read: impl FnOnce(Value<'p>, &mut Diagnostics) -> Option<T>,
    ) -> Option<T> {
        self.take(key).and_then(|value| read(value, diagnostics))
    }

    /// The value of a key, if it is there: one of the given words.
    pub fn word<T: Copy>(
        &mut self,
        key: &'p str,
        words: &[(&str, T)],
        diagnostics: &mut Diagnostics,
    ) -> Option<T> {
        self.take(key)?.word(words, diagnostics)
    }

    /// All keys with their values, for a table whose keys are names chosen by the user.
    pub fn entries(self) -> impl Iterator<Item = (&'p Key<'p>, Value<'p>)> {
        let entries = self.table.entries.iter();
        entries.map(|(key, node)| (key, Value::from(node)))
    }

    /// Notes a mistake about the table as a whole.
    pub fn note(
        &self,
        diagnostics: &mut Diagnostics,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        diagnostics.add(self.span, self.mark, message, help);
    }

    /// Notes a mistake about one of its keys, or about the table if the key is missing.
    pub fn note_key(
        &self,
        key: &str,
        diagnostics: &mut Diagnostics,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        match self.table.entries.iter().find(|(own, _)| own.name == key) {
            Some((key, _)) => key.note(diagnostics, message, help),
            None => self.note(diagnostics, message, help),
        }
    }

    /// Gives the table the place of its key, which reads better in a report than the place of all of its contents.
    pub fn named(self, key: &'p Key<'p>) -> Self {
        Self {
            span: &key.span,
            mark: Mark::Shown,
            ..self
        }
    }

    /// Notes every key that was never asked for.
    pub fn finish(self, diagnostics: &mut Diagnostics) {
        for (key, _) in &self.table.entries {
            let name: &str = &key.name;
            if self.known.contains(&name) || self.refused.contains(&name) {
                continue;
            }
            let elsewhere = key.span.source.language().belongs(name);
            let help = elsewhere.unwrap_or_else(|| choose_from(name, &self.known));
            key.note(diagnostics, format!("unknown key `{name}`"), help);
        }
    }
}
