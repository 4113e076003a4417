//! A dialect laid over the one it extends.
//!
//! Owns reading a dialect's text, merging a dialect onto the one it extends, and writing the merged tree back. It does not know the
//! meaning of keys (`compile` does). Must never drop a position: every later mistake is reported with file, line and column.

use std::borrow::Cow;

use tokend_document::{Content, Diagnostics, Node, Source, Table, Value};

use crate::language::DialectLanguage;

/// The longest dialect file that is read.
const FILE_LIMIT: usize = 256 * 1024;

/// Reads TOML text; reports several syntax mistakes at once.
pub(crate) fn read(file: &str, text: &str, diagnostics: &mut Diagnostics) -> Option<Node<'static>> {
    if text.len() > FILE_LIMIT {
        let empty = Node::empty(&Source::new(file, String::new(), &DialectLanguage));
        let help = format!("a dialect is at most {FILE_LIMIT} bytes long");
        return Value::from(&empty).wrong(diagnostics, "the file is too long", help);
    }
    let source = Source::new(file, text.to_owned(), &DialectLanguage);
    Node::read(&source, diagnostics)
}

/// Lists that a dialect puts before those of the dialect it extends: the first rule that matches decides.
const PREPENDED: &[&str] = &["rules", "rejection"];
/// Lists that come after those of the extended dialect: a later case overrides an earlier one.
const APPENDED: &[&str] = &["cases"];
/// Tables of which only one member may be present, or whose members belong together.
const REPLACED: &[&str] = &["auth", "lifetime", "refresh_lifetime"];

/// Tables whose keys come from the provider.
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

/// A table, or JSON written as text, as a JSON value; `None` if it is neither.
fn as_json(node: &Node<'_>) -> Option<serde_json::Value> {
    match &node.content {
        Content::String(text) => serde_json::from_str(text).ok(),
        Content::Table(_) => serde_json::to_value(to_toml(node)).ok(),
        _ => None,
    }
}

/// Lays JSON over JSON where one of the two is written as text, which a table cannot hold (`null`): the result is text.
fn merged_text(base: &Node<'_>, own: &Node<'_>) -> Option<String> {
    let is_text = |node: &Node<'_>| matches!(node.content, Content::String(_));
    if !(is_text(base) || is_text(own)) {
        return None;
    }
    let mut merged = as_json(base)?;
    crate::overlay::overlay(&mut merged, as_json(own)?);
    Some(merged.to_string())
}

/// Lays `own` over `base`: tables are merged, everything else is replaced, lists of rules and cases are joined.
pub(crate) fn merge<'t>(base: &mut Node<'t>, own: Node<'t>) {
    merge_named("", false, base, own);
}

/// `free` means that the keys come from the provider and not from the language.
fn merge_named<'t>(name: &str, free: bool, base: &mut Node<'t>, own: Node<'t>) {
    if name == "json"
        && !free
        && let Some(text) = merged_text(base, &own)
    {
        *base = Node {
            span: own.span,
            content: Content::String(Cow::Owned(text)),
        };
        return;
    }
    let Node { span, content } = own;
    let is = |names: &[&str]| !free && names.contains(&name);
    match (&mut base.content, content) {
        (Content::Table(base_table), Content::Table(own_table))
            if !(is(REPLACED) || is(&["body"]) && other_encoding(base_table, &own_table)) =>
        {
            let free = free || is(FREE);
            for (key, node) in own_table.entries {
                match base_table.find_mut(&key.name) {
                    Some(earlier) => merge_named(&key.name, free, earlier, node),
                    None => base_table.entries.push((key, node)),
                }
            }
            base.span = span;
        }
        (Content::Array(base_items), Content::Array(own_items)) if is(PREPENDED) => {
            base_items.splice(0..0, own_items);
        }
        (Content::Array(base_items), Content::Array(own_items)) if is(APPENDED) => {
            base_items.extend(own_items);
        }
        (_, content) => *base = Node { span, content },
    }
}

/// Whether a body table switches to another encoding; the members of the extended dialect's body are then dropped.
fn other_encoding(base: &Table<'_>, own: &Table<'_>) -> bool {
    own.entries
        .iter()
        .any(|(key, _)| matches!(&*key.name, "form" | "json") && base.find(&key.name).is_none())
}

/// Removes the dotted `path` from the tree; false when there is nothing at that place.
pub(crate) fn remove(tree: &mut Node<'_>, path: &str) -> bool {
    let Content::Table(table) = &mut tree.content else {
        return false;
    };
    match path.split_once('.') {
        None => table.remove(path),
        Some((first, rest)) => table.find_mut(first).is_some_and(|node| remove(node, rest)),
    }
}

/// Every dotted path of tables and values with at most `segments` segments, for suggestions.
pub(crate) fn paths(node: &Node<'_>, segments: usize) -> Vec<String> {
    let Content::Table(table) = &node.content else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, child) in table.entries.iter().filter(|_| segments > 0) {
        found.push(key.name.to_string());
        let below = paths(child, segments - 1).into_iter();
        found.extend(below.map(|path| format!("{}.{path}", key.name)));
    }
    found
}

/// The tree as a TOML value, for `show` and for the fingerprint.
pub(crate) fn to_toml(node: &Node<'_>) -> toml::Value {
    match &node.content {
        Content::String(text) | Content::Unfit(text) => toml::Value::String(text.to_string()),
        Content::Integer(number, _) => toml::Value::Integer(*number),
        Content::Float(number) => toml::Value::Float(*number),
        Content::Boolean(flag) => toml::Value::Boolean(*flag),
        Content::Datetime(date) => toml::Value::Datetime(*date),
        Content::Array(items) => toml::Value::Array(items.iter().map(to_toml).collect()),
        Content::Table(table) => {
            let entries = table.entries.iter();
            let entries = entries.map(|(key, node)| (key.name.to_string(), to_toml(node)));
            toml::Value::Table(entries.collect())
        }
    }
}
