//! What `{:?}` writes, read back as a tree, and how two trees differ.
//!
//! Owns that notation: words, `Name(…)`, `Name { … }`, lists, maps. It knows none of the engine's types, so a new field of one
//! needs nothing here. It reads no text in quotes: the engine holds none.

use std::fmt;

/// A value as `{:?}` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    /// A word or a number.
    Word(String),
    /// `Name(a, b)`, or without a name.
    Tuple(String, Vec<Self>),
    /// `Name { field: a }`, or a map without a name.
    Fields(String, Vec<(String, Self)>),
    /// A list or a set.
    List(Vec<Self>),
}

impl Tree {
    /// Reads a whole text.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let tree = reader.value()?;
        match reader.rest().trim().is_empty() {
            true => Ok(tree),
            false => Err(reader.wrong("the end")),
        }
    }

    /// The field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Fields(_, fields) = self else {
            return None;
        };
        fields
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value)
    }
}

/// Shown as `{:?}` showed it; sets like lists.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Tuple(name, values) => {
                write!(f, "{name}(")?;
                joined(f, values)?;
                f.write_str(")")
            }
            Self::List(values) => {
                f.write_str("[")?;
                joined(f, values)?;
                f.write_str("]")
            }
            Self::Fields(name, fields) => {
                let (open, close) = match name.is_empty() {
                    true => ("{", "}"),
                    false => (" { ", " }"),
                };
                write!(f, "{name}{open}")?;
                for (index, (field, value)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{field}: {value}")?;
                }
                f.write_str(close)
            }
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, values: &[Tree]) -> fmt::Result {
    for (index, value) in values.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{value}")?;
    }
    Ok(())
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn wrong(&self, wanted: &str) -> String {
        let found: String = self.rest().chars().take(30).collect();
        format!("column {}: expected {wanted}, found `{found}`", self.at + 1)
    }

    /// Whether this comes next, after blanks; then it is passed.
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_start().len();
        let is_next = rest[blanks..].starts_with(token);
        if is_next {
            self.at += blanks + token.len();
        }
        is_next
    }

    fn value(&mut self) -> Result<Tree, String> {
        if self.take("[") {
            return Ok(Tree::List(self.values("]")?));
        }
        let word: String = self
            .rest()
            .trim_start()
            .chars()
            .take_while(|it| !" ,:()[]{}".contains(*it))
            .collect();
        if !word.is_empty() {
            self.take(&word);
        }
        if self.take("(") {
            return Ok(Tree::Tuple(word, self.values(")")?));
        }
        if self.take("{") {
            return self.fields(word);
        }
        match word.is_empty() {
            true => Err(self.wrong("a value")),
            false => Ok(Tree::Word(word)),
        }
    }

    fn values(&mut self, end: &str) -> Result<Vec<Tree>, String> {
        let mut values = Vec::new();
        while !self.take(end) {
            if !values.is_empty() && !self.take(",") {
                return Err(self.wrong("a comma"));
            }
            values.push(self.value()?);
        }
        Ok(values)
    }

    /// What stands in braces: fields and maps have colons, sets have none.
    fn fields(&mut self, name: String) -> Result<Tree, String> {
        let (mut fields, mut members) = (Vec::new(), Vec::new());
        while !self.take("}") {
            if !(fields.is_empty() && members.is_empty() || self.take(",")) {
                return Err(self.wrong("a comma"));
            }
            let value = self.value()?;
            match self.take(":") {
                true => fields.push((value.to_string(), self.value()?)),
                false => members.push(value),
            }
        }
        match members.is_empty() {
            true => Ok(Tree::Fields(name, fields)),
            false => Ok(Tree::List(members)),
        }
    }
}

/// One place where two trees differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Names of fields from the top.
    pub(crate) place: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// Every place where two trees differ, as deep as both are of one shape.
pub(crate) fn changes(before: &Tree, after: &Tree) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(place: &str, before: Option<&Tree>, after: Option<&Tree>, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Tree::Fields(name, old)), Some(Tree::Fields(other, new))) if name == other => {
            let below = |field: &str| match place.is_empty() {
                true => field.to_owned(),
                false => format!("{place}.{field}"),
            };
            for (field, value) in old {
                let now = new.iter().find(|(own, _)| own == field).map(|(_, it)| it);
                compare(&below(field), Some(value), now, found);
            }
            for (field, value) in new {
                if old.iter().all(|(own, _)| own != field) {
                    compare(&below(field), None, Some(value), found);
                }
            }
        }
        (Some(Tree::Tuple(name, old)), Some(Tree::Tuple(other, new)))
            if name == other && old.len() == 1 && new.len() == 1 =>
        {
            compare(place, old.first(), new.first(), found);
        }
        _ => found.push(Change {
            place: place.to_owned(),
            before: before.map(ToString::to_string),
            after: after.map(ToString::to_string),
        }),
    }
}
