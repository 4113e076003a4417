//! A document as a tree of values with their places in the text.
//!
//! Owns the conversion from TOML to the tree. Must never drop a position: every later mistake is reported with file, line and column.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeFloat, DeInteger, DeTable, DeValue};
use toml::value::Datetime;

use crate::diagnostic::{Diagnostics, Syntax};
use crate::source::{Mark, Source};
use crate::span::Span;

/// A value and its place in the document.
#[derive(Debug, Clone)]
pub struct Node<'t> {
    /// The place of the value.
    pub span: Span,
    /// The value itself.
    pub content: Content<'t>,
}

/// The content of a value.
#[derive(Debug, Clone)]
pub enum Content<'t> {
    /// Text.
    String(Cow<'t, str>),
    /// An integer, and its original text.
    Integer(i64, Box<str>),
    /// A number with a point or an exponent.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date, a time, or both.
    Datetime(Datetime),
    /// A list.
    Array(Vec<Node<'t>>),
    /// Values by key.
    Table(Table<'t>),
    /// The original text of a number that is too large.
    Unfit(Cow<'t, str>),
}

/// A key of a table and its place in the document.
#[derive(Debug, Clone)]
pub struct Key<'t> {
    /// The key.
    pub name: Cow<'t, str>,
    /// The place of the key.
    pub span: Span,
}

/// A table, with its keys in the order of the document.
#[derive(Debug, Clone, Default)]
pub struct Table<'t> {
    /// Its keys and values.
    pub entries: Vec<(Key<'t>, Node<'t>)>,
}

impl Content<'_> {
    /// The kind of value, as a mistake names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(..) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Unfit(_) => "a number that does not fit into 64 bits",
        }
    }

    fn into_owned(self) -> Content<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::String(text) => Content::String(own(text)),
            Self::Unfit(text) => Content::Unfit(own(text)),
            Self::Integer(number, text) => Content::Integer(number, text),
            Self::Float(number) => Content::Float(number),
            Self::Boolean(flag) => Content::Boolean(flag),
            Self::Datetime(date) => Content::Datetime(date),
            Self::Array(items) => Content::Array(items.into_iter().map(Node::into_owned).collect()),
            Self::Table(table) => {
                let own = |(key, node): (Key<'_>, Node<'_>)| (key.into_owned(), node.into_owned());
                let entries = table.entries.into_iter().map(own).collect();
                Content::Table(Table { entries })
            }
        }
    }
}

impl Key<'_> {
    fn into_owned(self) -> Key<'static> {
        Key {
            name: Cow::Owned(self.name.into_owned()),
            span: self.span,
        }
    }

    /// The key as a string value, for readers that take a value.
    pub fn to_node(&self) -> Node<'_> {
        Node {
            span: self.span.clone(),
            content: Content::String(Cow::Borrowed(&self.name)),
        }
    }

    /// Notes a mistake about the key.
    pub fn note(
        &self,
        diagnostics: &mut Diagnostics,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        diagnostics.add(&self.span, Mark::Shown, message, help);
    }
}

impl<'t> Table<'t> {
    /// The value of a key.
    pub fn find(&self, name: &str) -> Option<&Node<'t>> {
        let found = self.entries.iter().find(|(key, _)| key.name == name);
        found.map(|(_, node)| node)
    }

    /// The value of a key, to be changed.
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Node<'t>> {
        let found = self.entries.iter_mut().find(|(key, _)| key.name == name);
        found.map(|(_, node)| node)
    }

    /// Removes a key; false if there is no such key.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(key, _)| key.name != name);
        self.entries.len() != before
    }
}

impl<'t> Node<'t> {
    /// Parses `text`, which is `source` or stretches of it: `place` translates a place of the text into one of the source.
    ///
    /// # Errors
    ///
    /// Every place with a syntax error.
    pub fn parse(
        source: &Arc<Source>,
        text: &'t str,
        place: impl Fn(Range<usize>) -> Range<usize>,
    ) -> Result<Self, Vec<Syntax>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let place = |range| Span {
            source: Arc::clone(source),
            range: place(range),
        };
        if errors.is_empty() {
            let content = Content::Table(read_table(table.into_inner(), &place));
            return Ok(Self {
                content,
                ..Self::empty(source)
            });
        }
        let syntax = |error: toml::de::Error| Syntax {
            span: place(error.span().unwrap_or(0..0)),
            message: error.message().to_owned(),
        };
        Err(errors.into_iter().map(syntax).collect())
    }

    /// An empty document.
    pub fn empty(source: &Arc<Source>) -> Self {
        Self {
            span: Span {
                source: Arc::clone(source),
                range: 0..0,
            },
            content: Content::Table(Table::default()),
        }
    }

    /// A copy that does not borrow from the text.
    pub fn into_owned(self) -> Node<'static> {
        Node {
            span: self.span,
            content: self.content.into_owned(),
        }
    }
}

impl Node<'static> {
    /// Parses a whole document. Syntax errors are noted.
    pub fn read(source: &Arc<Source>, diagnostics: &mut Diagnostics) -> Option<Self> {
        match Node::parse(source, source.text(), |range| range) {
            Ok(node) => Some(node.into_owned()),
            Err(errors) => {
                for error in &errors {
                    diagnostics.add_syntax(error);
                }
                None
            }
        }
    }
}

fn read_table<'t>(table: DeTable<'t>, place: &impl Fn(Range<usize>) -> Span) -> Table<'t> {
    let read = |(key, value): (toml::Spanned<Cow<'t, str>>, toml::Spanned<DeValue<'t>>)| {
        let span = place(key.span());
        let name = key.into_inner();
        (Key { name, span }, read_value(value, place))
    };
    let mut entries: Vec<_> = table.into_iter().map(read).collect();
    entries.sort_by_key(|(key, _)| key.span.range.start);
    Table { entries }
}

fn read_value<'t>(
    value: toml::Spanned<DeValue<'t>>,
    place: &impl Fn(Range<usize>) -> Span,
) -> Node<'t> {
    let span = place(value.span());
    let content = match value.into_inner() {
        DeValue::String(text) => Content::String(text),
        DeValue::Integer(digits) => integer(&digits),
        DeValue::Float(digits) => float(&digits),
        DeValue::Boolean(flag) => Content::Boolean(flag),
        DeValue::Datetime(date) => Content::Datetime(date),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| read_value(item, place));
            Content::Array(items.collect())
        }
        DeValue::Table(table) => Content::Table(read_table(table, place)),
    };
    Node { span, content }
}

fn integer(digits: &DeInteger<'_>) -> Content<'static> {
    match i64::from_str_radix(digits.as_str(), digits.radix()) {
        Ok(number) => Content::Integer(number, digits.to_string().into()),
        Err(_) => Content::Unfit(Cow::Owned(digits.to_string())),
    }
}

fn float(digits: &DeFloat<'_>) -> Content<'static> {
    match digits.as_str().parse() {
        Ok(number) => Content::Float(number),
        Err(_) => Content::Unfit(Cow::Owned(digits.as_str().to_owned())),
    }
}
