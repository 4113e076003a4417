//! Reads typed values out of a dialect's tree and collects what is wrong on the way.
//!
//! Owns the sentences about unknown keys, wrong types, unknown words and durations. It never stops at a mistake: it
//! notes it and yields nothing, so that one run tells everything.

use std::time::Duration;

use crate::{
    document::{Node, Span, Table, Value},
    mistake::{Mistakes, choose_from},
};

/// A table that is being read; every key must be asked for before `finish`.
pub(crate) struct Section<'a> {
    pub(crate) span: &'a Span,
    table: &'a Table,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Opens a table, or notes that the node is none.
    pub(crate) fn open(node: &'a Node, mistakes: &mut Mistakes) -> Option<Self> {
        let table = table(node, mistakes)?;
        Some(Self {
            span: &node.span,
            table,
            known: Vec::new(),
        })
    }

    /// The value of a key, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.table.find(key)
    }

    /// The value of a key that must be there.
    pub(crate) fn require(
        &mut self,
        key: &'static str,
        mistakes: &mut Mistakes,
    ) -> Option<&'a Node> {
        let found = self.take(key);
        if found.is_none() {
            mistakes.add(self.span, format!("`{key}` is missing here"), None);
        }
        found
    }

    /// The value of a key, converted by `read`.
    pub(crate) fn read<T>(
        &mut self,
        key: &'static str,
        mistakes: &mut Mistakes,
        read: impl FnOnce(&'a Node, &mut Mistakes) -> Option<T>,
    ) -> Option<T> {
        self.take(key).and_then(|node| read(node, mistakes))
    }

    /// Notes every key that nobody asked for.
    pub(crate) fn finish(self, mistakes: &mut Mistakes) {
        for (key, _) in &self.table.entries {
            if !self.known.contains(&key.name.as_str()) {
                mistakes.add(
                    &key.span,
                    format!("unknown key `{}`", key.name),
                    Some(choose_from(&key.name, &self.known)),
                );
            }
        }
    }
}

fn wrong_type<T>(node: &Node, expected: &str, mistakes: &mut Mistakes) -> Option<T> {
    mistakes.add(
        &node.span,
        format!("expected {expected}, found {}", node.value.kind()),
        None,
    );
    None
}

pub(crate) fn table<'a>(node: &'a Node, mistakes: &mut Mistakes) -> Option<&'a Table> {
    match &node.value {
        Value::Table(table) => Some(table),
        _ => wrong_type(node, "a table", mistakes),
    }
}

pub(crate) fn array<'a>(node: &'a Node, mistakes: &mut Mistakes) -> Option<&'a [Node]> {
    match &node.value {
        Value::Array(items) => Some(items),
        _ => wrong_type(node, "an array", mistakes),
    }
}

/// One value or an array of them.
pub(crate) fn one_or_many(node: &Node) -> &[Node] {
    match &node.value {
        Value::Array(items) => items,
        _ => std::slice::from_ref(node),
    }
}

pub(crate) fn string<'a>(node: &'a Node, mistakes: &mut Mistakes) -> Option<&'a str> {
    match &node.value {
        Value::String(text) => Some(text),
        _ => wrong_type(node, "a string", mistakes),
    }
}

/// A string or an array of strings.
pub(crate) fn strings(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    let items = one_or_many(node);
    if items.is_empty() {
        mistakes.add(&node.span, "this list is empty", None);
        return None;
    }
    items
        .iter()
        .map(|item| string(item, mistakes).map(str::to_owned))
        .collect()
}

pub(crate) fn boolean(node: &Node, mistakes: &mut Mistakes) -> Option<bool> {
    match node.value {
        Value::Boolean(flag) => Some(flag),
        _ => wrong_type(node, "true or false", mistakes),
    }
}

/// An integer from 1 to `most`.
pub(crate) fn positive(node: &Node, most: u32, mistakes: &mut Mistakes) -> Option<u32> {
    let Value::Integer(number) = node.value else {
        return wrong_type(node, "an integer", mistakes);
    };
    let fits = u32::try_from(number)
        .ok()
        .filter(|number| (1..=most).contains(number));
    if fits.is_none() {
        mistakes.add(
            &node.span,
            format!("expected an integer from 1 to {most}, found {number}"),
            None,
        );
    }
    fits
}

/// One of the given words.
pub(crate) fn word<T: Copy>(
    node: &Node,
    words: &[(&str, T)],
    mistakes: &mut Mistakes,
) -> Option<T> {
    let text = string(node, mistakes)?;
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, meaning)| *meaning);
    if found.is_none() {
        let valid: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        mistakes.add(
            &node.span,
            format!("unknown word `{text}`"),
            Some(choose_from(text, &valid)),
        );
    }
    found
}

/// The longest duration a dialect may state: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// A duration with units, such as `45m` or `1h 30m`.
pub(crate) fn duration(node: &Node, mistakes: &mut Mistakes) -> Option<Duration> {
    let text = string(node, mistakes)?;
    let (message, help) = match tokend_notation::duration(text) {
        Ok(duration) if duration <= LONGEST => return Some(duration),
        Ok(_) => (
            format!("`{text}` is out of range"),
            "at most ten years".to_owned(),
        ),
        Err(why) => (format!("`{text}` is not a duration"), why.to_string()),
    };
    mistakes.add(&node.span, message, Some(help));
    None
}

/// A duration longer than nothing.
pub(crate) fn nonzero_duration(node: &Node, mistakes: &mut Mistakes) -> Option<Duration> {
    let duration = duration(node, mistakes)?;
    if duration.is_zero() {
        mistakes.add(
            &node.span,
            "this duration must be longer than nothing",
            None,
        );
        return None;
    }
    Some(duration)
}
