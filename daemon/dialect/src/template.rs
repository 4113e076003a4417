//! Text with placeholders: `{field}`, `{field?}` for one that may be absent, `{{` and `}}` for braces.
//!
//! Owns parsing templates and filling them in for one place of a request. It must never let a value break out of its place: characters
//! that could break a header, a cookie or a path are refused or encoded here.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use tokend_document::{Diagnostics, Value, choose_from};

use crate::{
    endpoint::Endpoint,
    fields::{ExchangeKind, Fields, RequestError, VALUE_LIMIT},
    names::{Names, Placeholder, ValueKind},
};

/// Everything outside RFC 3986's unreserved characters is encoded in a path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Text with placeholders for fields and options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

impl Template {
    /// Parses a string value; a mistake names the placeholder and the nearest valid one.
    pub(crate) fn read(
        node: Value<'_>,
        names: &Names,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let text = node.string(diagnostics)?;
        Self::parse(text, node, names, diagnostics)
    }

    /// Parses `text`, which stands at `node` (or is a key, or a leaf of JSON text, written there).
    pub(crate) fn parse(
        text: &str,
        node: Value<'_>,
        names: &Names,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = brace.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some((name, after)) = brace
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
            {
                let (name, optional) = name
                    .strip_suffix('?')
                    .map_or((name, false), |name| (name, true));
                let Some(value) = names.kind_of(name) else {
                    let message = format!("unknown placeholder `{{{name}}}`");
                    return node.wrong(diagnostics, message, choose_from(name, &names.all()));
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Placeholder(Placeholder {
                    name: name.to_owned(),
                    value,
                    optional,
                }));
                rest = after;
            } else {
                let help = "a placeholder is `{name}` or `{name?}`; write `{{` and `}}` for braces";
                return node.wrong(diagnostics, "a brace stands alone", help.to_owned());
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Some(Self { parts })
    }

    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Placeholder(placeholder) => Some(placeholder),
        })
    }

    /// The pieces of text between the placeholders.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Placeholder(_) => None,
        })
    }

    /// The start of the template, if it is text or an option that holds a path.
    pub(crate) fn beginning(&self) -> Beginning<'_> {
        match self.parts.first() {
            Some(Part::Text(text)) => Beginning::Text(text),
            Some(Part::Placeholder(it)) if it.value == ValueKind::Path => Beginning::Path,
            Some(Part::Placeholder(_)) | None => Beginning::Other,
        }
    }

    /// Fills the template in. `None` if an optional placeholder has no value: its part of the request is then left out.
    pub(crate) fn fill(
        &self,
        values: Values<'_>,
        place: Place,
    ) -> Result<Option<Filled>, RequestError> {
        let mut filled = Filled::default();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.text.push_str(text),
                Part::Placeholder(placeholder) => match values.value(placeholder) {
                    Some(value) => {
                        filled.secret |= values.is_secret(placeholder);
                        push(&mut filled.text, placeholder, value, place)?;
                    }
                    None if placeholder.optional => return Ok(None),
                    None => {
                        return Err(RequestError::Missing {
                            field: placeholder.account_key(),
                            kind: values.kind,
                        });
                    }
                },
            }
        }
        Ok(Some(filled))
    }
}

/// The start of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning<'a> {
    Text(&'a str),
    Path,
    Other,
}

/// A filled template. The text may hold a secret and is wiped when dropped.
#[derive(Default)]
pub(crate) struct Filled {
    pub(crate) text: Zeroizing<String>,
    pub(crate) secret: bool,
}

/// The place of a value, which decides its allowed characters and its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A form or query value, or a JSON string: its encoder takes any character.
    Encoded,
    Header,
    Cookie,
    Path,
    /// RFC 7617: no control characters in either, and no colon in the user name.
    BasicUser,
    BasicPassword,
}

fn push(
    text: &mut String,
    placeholder: &Placeholder,
    value: &str,
    place: Place,
) -> Result<(), RequestError> {
    let is_path = placeholder.value == ValueKind::Path;
    let control = value.chars().any(char::is_control);
    let forbidden = match place {
        _ if value.len() > VALUE_LIMIT => {
            let field = placeholder.account_key();
            return Err(RequestError::TooLong { field });
        }
        Place::Header if control => Some(("a line break or control character", "a header")),
        Place::Header if !value.is_ascii() => Some(("a character outside ASCII", "a header")),
        Place::Cookie if !value.bytes().all(is_cookie_octet) => Some((
            "a blank, quote, comma, semicolon, backslash or non-ASCII character",
            "a cookie",
        )),
        Place::BasicUser | Place::BasicPassword if control => {
            Some(("a line break or control character", "a Basic header"))
        }
        Place::BasicUser if value.contains(':') => {
            Some(("a colon", "the user name of a Basic header"))
        }
        Place::Path if !is_path && matches!(value, "." | "..") => Some(("only dots", "a path")),
        _ => None,
    };
    if let Some((what, place)) = forbidden {
        return Err(RequestError::Forbidden {
            field: placeholder.account_key(),
            what,
            place,
        });
    }
    match place {
        Place::Path if !is_path => text.extend(utf8_percent_encode(value, SEGMENT)),
        _ => text.push_str(value),
    }
    Ok(())
}

/// RFC 6265 section 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

impl Placeholder {
    /// The key under which the account sets this value.
    fn account_key(&self) -> String {
        match self.value {
            ValueKind::Field => self.name.clone(),
            ValueKind::Option | ValueKind::Path => format!("options.{}", self.name),
        }
    }
}

/// The source of the values of one request.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) kind: ExchangeKind,
    pub(crate) names: &'a Names,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) fields: &'a Fields,
}

impl<'a> Values<'a> {
    fn value(&self, placeholder: &Placeholder) -> Option<&'a str> {
        match placeholder.value {
            ValueKind::Field => self.fields.expose(&placeholder.name),
            ValueKind::Option | ValueKind::Path => {
                self.endpoint.option(self.names, &placeholder.name)
            }
        }
    }

    fn is_secret(&self, Placeholder { name, value, .. }: &Placeholder) -> bool {
        let is_declared = || self.names.field(name).is_some_and(|field| field.secret);
        *value == ValueKind::Field && (self.fields.is_secret(name) || is_declared())
    }
}
