//! A provider's message about a failure, in a form that may be logged and shown.
//!
//! Owns picking a sentence out of the many shapes of error bodies, and shortening it to one line without secrets. No other text of a
//! reply's body may leave this crate, except the tokens of a grant.

use std::fmt;

use http::header;
use serde_json::Value;

use super::{
    classify::SpentTokens,
    parsed::{self, Parsed, Place, code},
    redact::{MASK, Secrets},
};

/// The longest text, in characters.
pub(crate) const TEXT_LIMIT: usize = 200;
/// The longest error code, in characters.
const CODE_LIMIT: usize = 64;
/// How much of a provider's text is searched, in bytes.
const WINDOW: usize = 4096;

/// A provider's message: safe to log, one line, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderMessage {
    /// The HTTP status; 0 where no answer came.
    pub status: u16,
    /// The provider's error code, if it gave one.
    pub code: Option<String>,
    /// The provider's sentence, or ours about its reply; at most 200 characters, may be empty.
    pub text: String,
    /// The field of the rejected secret, if a rule names it.
    pub about: Option<String>,
    /// What the request may have used up, if the class of the reply does not imply it.
    pub spent: SpentTokens,
}

/// The text before the name of the secret that a failure is about.
const ABOUT: &str = "; this is about the ";

impl ProviderMessage {
    /// A sentence of ours.
    pub(crate) fn new(status: u16, text: String) -> Self {
        Self {
            status,
            code: None,
            text,
            about: None,
            spent: SpentTokens::Nothing,
        }
    }

    /// The secret named in such a message, if a rule named one.
    #[must_use]
    pub fn secret_in(message: &str) -> Option<&str> {
        let (_, name) = message.rsplit_once(ABOUT)?;
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        (!name.is_empty() && name.bytes().all(letter)).then_some(name)
    }
}

impl fmt::Display for ProviderMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, words) = (self.code.as_deref(), self.text.as_str());
        if self.status == 0 {
            f.write_str(words)?;
        } else {
            write!(f, "status {}", self.status)?;
            // A code that repeats the status says nothing.
            if let Some(code) = code.filter(|code| *code != self.status.to_string()) {
                write!(f, " ({code})")?;
            }
            if !words.is_empty() && Some(words) != code && words != self.status.to_string() {
                write!(f, ": {words}")?;
            }
        }
        match &self.about {
            Some(secret) => write!(f, "{ABOUT}{secret}"),
            None => Ok(()),
        }
    }
}

/// Describes a failure. `own` is a sentence of ours that comes first.
pub(crate) fn describe(
    reply: &Parsed<'_>,
    codes: &[Place],
    texts: &[Place],
    secrets: &Secrets,
    own: Option<&str>,
) -> ProviderMessage {
    // A text with blanks is a sentence and not a code.
    let code = parsed::codes(reply, codes).find(|code| !code.contains(char::is_whitespace));
    let words = words(reply, texts);
    let words = match (own, words) {
        (Some(own), Some(words)) if !words.is_empty() => format!("{own} (it said: {words})"),
        (Some(own), _) => own.to_owned(),
        (None, words) => words.unwrap_or_default(),
    };
    ProviderMessage {
        code: code.map(|code| clean(&code, CODE_LIMIT, secrets)),
        ..ProviderMessage::new(reply.status(), clean(&words, TEXT_LIMIT, secrets))
    }
}

/// The provider's own words, not yet cleaned.
fn words(reply: &Parsed<'_>, texts: &[Place]) -> Option<String> {
    let placed = texts
        .iter()
        .filter_map(|place| place.find(reply))
        .find_map(|value| match value {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            Value::Array(items) => items.first().and_then(validation),
            _ => None,
        });
    placed.or_else(|| match &reply.json {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) => None,
        // Any other text of a 2xx reply may belong to a grant, so it is not shown.
        Some(_) if reply.response.status().is_success() => None,
        Some(json) => Some(masked(json).to_string()),
        None => page(&reply.text()),
    })
}

/// Parts of the names of members that hold secrets.
const SECRETIVE: [&str; 6] = [
    "token",
    "secret",
    "passw",
    "session",
    "cookie",
    "authorization",
];

/// A whole error body, without the values of members whose names mark them as secret.
fn masked(value: &Value) -> Value {
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        SECRETIVE.iter().any(|part| name.contains(part))
    };
    match value {
        Value::Array(items) => Value::Array(items.iter().map(masked).collect()),
        Value::Object(map) => {
            let member = |(name, value): (&String, &Value)| match value {
                Value::String(_) if is_secret(name) => (name.clone(), MASK.into()),
                _ => (name.clone(), masked(value)),
            };
            Value::Object(map.iter().map(member).collect())
        }
        plain => plain.clone(),
    }
}

/// FastAPI's validation error: place and message, without the echoed input.
fn validation(item: &Value) -> Option<String> {
    if let Value::String(text) = item {
        return Some(text.clone());
    }
    let message = item.get("msg").or_else(|| item.get("message"))?.as_str()?;
    let place = item.get("loc").and_then(Value::as_array).map(|parts| {
        let parts: Vec<String> = parts.iter().filter_map(code).take(8).collect();
        parts.join(".")
    });
    Some(place.map_or_else(|| message.to_owned(), |place| format!("{place}: {message}")))
}

/// A body that is not JSON: for an HTML page only its title.
fn page(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if !trimmed.starts_with('<') {
        return (!trimmed.is_empty()).then(|| trimmed.to_owned());
    }
    let lower = trimmed.to_ascii_lowercase();
    let title = lower.find("<title>").zip(lower.find("</title>"));
    let title = title.and_then(|(start, end)| trimmed.get(start + "<title>".len()..end));
    Some(match title {
        Some(title) => format!("an HTML page, \"{}\"", title.trim()),
        None if lower.starts_with("<?xml") && !lower.contains("<html") => {
            "an XML document".to_owned()
        }
        None => "an HTML page".to_owned(),
    })
}

/// The target of a redirect, for people: without query and fragment, which may hold secrets.
pub(crate) fn location(reply: &Parsed<'_>) -> Option<String> {
    let location = reply.header(&header::LOCATION)?;
    let bare = location.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("://") else {
        return Some(bare.to_owned());
    };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    Some(format!("{scheme}://{host}"))
}

/// One line, without secrets and control characters, of at most `limit` characters.
pub(crate) fn clean(text: &str, limit: usize, secrets: &Secrets) -> String {
    let (window, rest) = text.split_at(text.floor_char_boundary(WINDOW));
    let redacted = secrets.redact(window, !rest.is_empty());
    let words: Vec<&str> = redacted.split_whitespace().collect();
    let line: String = words.join(" ").chars().flat_map(shown).collect();
    if line.chars().count() <= limit {
        return line;
    }
    line.chars().take(limit - 3).chain("...".chars()).collect()
}

/// Control and invisible formatting characters are written as escapes, so that a reply cannot rewrite a log line.
fn shown(c: char) -> Vec<char> {
    let hidden = c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if hidden {
        c.escape_unicode().collect()
    } else {
        vec![c]
    }
}
