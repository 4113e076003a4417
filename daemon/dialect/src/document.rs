//! A dialect file as a tree of values that remember where they were written.
//!
//! Owns reading TOML, merging a dialect onto the one it extends, and writing the merged tree back. It knows nothing of
//! what a key means (that is `compile`) and must never drop a position: every later mistake is told with file, line and column.

use std::{ops::Range, sync::Arc};

use miette::NamedSource;
use toml::de::{DeTable, DeValue};

use crate::mistake::{self, Mistake, Mistakes};

/// The longest dialect file that is read.
pub(crate) const FILE_LIMIT: usize = 256 * 1024;

/// A place in a dialect file.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) source: Arc<NamedSource<String>>,
    pub(crate) range: Range<usize>,
}

/// A value and the place it was written at.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(toml::value::Datetime),
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// The kind of value, as a mistake names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// A key of a table and the place it was written at.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// A table in the order in which it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<(Key, Node)>,
}

impl Table {
    pub(crate) fn find(&self, name: &str) -> Option<&Node> {
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    fn find_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.entries
            .iter_mut()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(key, _)| key.name != name);
        self.entries.len() != before
    }
}

/// Reads TOML text; several syntax mistakes are told at once.
pub(crate) fn read(file: &str, text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    let source = Arc::new(NamedSource::new(file, mistake::lines(text)));
    let span = |range| Span {
        source: Arc::clone(&source),
        range,
    };
    if text.len() > FILE_LIMIT {
        let help = format!("a dialect is at most {FILE_LIMIT} bytes long");
        mistakes.add(&span(0..0), "the file is too long", Some(help));
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        mistakes.add(&span(error.span().unwrap_or(0..0)), error.message(), None);
    }
    errors.is_empty().then(|| {
        let entries = convert_table(table.get_ref(), &source, mistakes);
        Node {
            span: span(0..0),
            value: Value::Table(entries),
        }
    })
}

fn convert_table(
    table: &DeTable<'_>,
    source: &Arc<NamedSource<String>>,
    mistakes: &mut Mistakes,
) -> Table {
    let mut entries: Vec<(Key, Node)> = table
        .iter()
        .map(|(key, value)| {
            let span = Span {
                source: Arc::clone(source),
                range: key.span(),
            };
            let node = convert(value.get_ref(), value.span(), source, mistakes);
            (
                Key {
                    name: key.get_ref().to_string(),
                    span,
                },
                node,
            )
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.span.range.start);
    Table { entries }
}

fn convert(
    value: &DeValue<'_>,
    range: Range<usize>,
    source: &Arc<NamedSource<String>>,
    mistakes: &mut Mistakes,
) -> Node {
    let span = Span {
        source: Arc::clone(source),
        range,
    };
    let value = match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                mistakes.add(&span, "this integer does not fit into 64 bits", None);
                Value::Integer(0)
            }
        },
        DeValue::Float(digits) => match digits.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => {
                mistakes.add(&span, "this float cannot be read", None);
                Value::Float(0.0)
            }
        },
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(date) => Value::Datetime(*date),
        DeValue::Array(items) => {
            let items = items
                .iter()
                .map(|item| convert(item.get_ref(), item.span(), source, mistakes));
            Value::Array(items.collect())
        }
        DeValue::Table(table) => Value::Table(convert_table(table, source, mistakes)),
    };
    Node { span, value }
}

/// Lists that a dialect puts before those of the dialect it extends: the first rule that matches decides.
const PREPENDED: &[&str] = &["rules", "rejection"];
/// Lists that come after those of the extended dialect: a later case overrides an earlier one.
const APPENDED: &[&str] = &["cases"];
/// Tables of which only one member may be present, or whose members belong together.
const REPLACED: &[&str] = &["auth", "lifetime", "refresh_lifetime"];

/// Tables whose keys are a provider's words.
const FREE: &[&str] = &[
    "form",
    "json",
    "query",
    "headers",
    "cookies",
    "endpoints",
    "fields",
    "options",
];

/// JSON written as text, or a table, as a JSON value; `None` where it is neither.
fn as_json(node: &Node) -> Option<serde_json::Value> {
    match &node.value {
        Value::String(text) => serde_json::from_str(text).ok(),
        Value::Table(_) => serde_json::to_value(to_toml(node)).ok(),
        _ => None,
    }
}

/// Lays JSON over JSON where one of the two is written as text, which a table cannot hold (`null`): the result is text.
fn merged_text(base: &Node, own: &Node) -> Option<String> {
    let is_text = |node: &Node| matches!(node.value, Value::String(_));
    if !(is_text(base) || is_text(own)) {
        return None;
    }
    let mut merged = as_json(base)?;
    crate::lay::lay(&mut merged, as_json(own)?);
    Some(merged.to_string())
}

/// Lays `own` over `base`: tables are merged, everything else is replaced, lists of rules and cases are joined.
pub(crate) fn merge(base: &mut Node, own: Node) {
    merge_named("", false, base, own);
}

/// `free` says that the keys are a provider's words and not the language's.
fn merge_named(name: &str, free: bool, base: &mut Node, own: Node) {
    if name == "json"
        && !free
        && let Some(text) = merged_text(base, &own)
    {
        *base = Node {
            span: own.span,
            value: Value::String(text),
        };
        return;
    }
    let Node { span, value } = own;
    let is = |names: &[&str]| !free && names.contains(&name);
    match (&mut base.value, value) {
        (Value::Table(base_table), Value::Table(own_table))
            if !(is(REPLACED) || is(&["body"]) && other_encoding(base_table, &own_table)) =>
        {
            let free = free || is(FREE);
            for (key, node) in own_table.entries {
                match base_table.find_mut(&key.name) {
                    Some(slot) => merge_named(&key.name, free, slot, node),
                    None => base_table.entries.push((key, node)),
                }
            }
            base.span = span;
        }
        (Value::Array(base_items), Value::Array(own_items)) if is(PREPENDED) => {
            base_items.splice(0..0, own_items);
        }
        (Value::Array(base_items), Value::Array(own_items)) if is(APPENDED) => {
            base_items.extend(own_items);
        }
        (_, value) => *base = Node { span, value },
    }
}

/// Whether a body table switches to another encoding, so that the extended dialect's members must not survive.
fn other_encoding(base: &Table, own: &Table) -> bool {
    own.entries.iter().any(|(key, _)| {
        matches!(key.name.as_str(), "form" | "json") && base.find(&key.name).is_none()
    })
}

/// Removes the dotted `path` from the tree; false when there is nothing at that place.
pub(crate) fn remove(tree: &mut Node, path: &str) -> bool {
    let Value::Table(table) = &mut tree.value else {
        return false;
    };
    match path.split_once('.') {
        None => table.remove(path),
        Some((first, rest)) => table.find_mut(first).is_some_and(|node| remove(node, rest)),
    }
}

/// Every dotted path of tables and values, for suggestions; bounded in depth.
pub(crate) fn paths(tree: &Node) -> Vec<String> {
    let mut found = Vec::new();
    collect_paths(tree, "", 0, &mut found);
    found
}

fn collect_paths(node: &Node, prefix: &str, depth: usize, found: &mut Vec<String>) {
    let Value::Table(table) = &node.value else {
        return;
    };
    if depth > 8 {
        return;
    }
    for (key, child) in &table.entries {
        let path = if prefix.is_empty() {
            key.name.clone()
        } else {
            format!("{prefix}.{}", key.name)
        };
        collect_paths(child, &path, depth + 1, found);
        found.push(path);
    }
}

/// The tree as a TOML value, for `show` and for the fingerprint.
pub(crate) fn to_toml(node: &Node) -> toml::Value {
    match &node.value {
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Integer(number) => toml::Value::Integer(*number),
        Value::Float(number) => toml::Value::Float(*number),
        Value::Boolean(flag) => toml::Value::Boolean(*flag),
        Value::Datetime(date) => toml::Value::Datetime(*date),
        Value::Array(items) => toml::Value::Array(items.iter().map(to_toml).collect()),
        Value::Table(table) => toml::Value::Table(
            table
                .entries
                .iter()
                .map(|(key, node)| (key.name.clone(), to_toml(node)))
                .collect(),
        ),
    }
}

impl Mistakes {
    /// Notes a mistake at a place in a file.
    pub(crate) fn add(&mut self, span: &Span, message: impl Into<String>, help: Option<String>) {
        self.push(Mistake::new(
            Arc::clone(&span.source),
            span.range.clone(),
            message.into(),
            help,
        ));
    }
}
