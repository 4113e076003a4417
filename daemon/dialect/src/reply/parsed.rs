//! A provider's response, parsed once, and the places in it where values are looked for.
//!
//! Owns JSON pointers (RFC 6901, also through strings that hold JSON), headers and cookies. It never fails: a body that cannot be parsed
//! has no values, and the depth of every walk is bounded.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderName, Response, header};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::lenient;

/// The longest body that is parsed as JSON or searched for text, in bytes.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;
/// How many strings that hold JSON one pointer may go through.
const UNWRAP_LIMIT: u8 = 3;
/// The longest pointer, in segments.
pub(crate) const POINTER_LIMIT: usize = 16;

/// A response with its body parsed, if it is JSON or a form.
pub(crate) struct Parsed<'a> {
    pub(crate) response: &'a Response<Bytes>,
    pub(crate) json: Option<Value>,
    /// Whether `json` was read as a form without that content type, so that the body may still be plain text.
    guessed: bool,
}

impl<'a> Parsed<'a> {
    pub(crate) fn new(response: &'a Response<Bytes>) -> Self {
        let body = response.body();
        let body = Some(body).filter(|body| body.len() <= BODY_LIMIT);
        let json = body.and_then(|body| parse(response, body));
        let guess = body.filter(|_| json.is_none()).and_then(form);
        Self {
            response,
            guessed: guess.is_some(),
            json: json.or(guess),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header's first value, as text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<Cow<'a, str>> {
        let value = self.response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    }

    /// The provider's own time, in seconds since the epoch, from the `Date` header.
    pub(crate) fn date(&self) -> Option<f64> {
        let text = self.header(&header::DATE)?;
        http_date(&text)
    }

    /// The body as text, bounded.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        let body = self.response.body();
        String::from_utf8_lossy(body.get(..BODY_LIMIT).unwrap_or(body))
    }

    /// The remaining content encoding of the body, if it could not be decoded.
    pub(crate) fn packed(&self) -> Option<String> {
        let coding = self.header(&header::CONTENT_ENCODING)?;
        let word = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | ',' | ' ');
        let coding: String = coding.chars().filter(word).take(20).collect();
        (!coding.trim().is_empty() && !coding.trim().eq_ignore_ascii_case("identity"))
            .then(|| coding.trim().to_owned())
    }

    /// The first place with a value other than `null`, blanks or a word for nothing.
    pub(crate) fn first(&self, places: &[Place]) -> Option<Value> {
        let filled = |value: &Value| value.as_str().is_none_or(|text| !is_nothing(text));
        let mut places = places.iter();
        places.find_map(|place| place.find(self).filter(filled))
    }
}

/// The copied strings may be tokens, so they are wiped. The caller owns the body they were copied from.
impl Drop for Parsed<'_> {
    fn drop(&mut self) {
        self.json.iter_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// JSON or a form, whatever the content type. A byte that is invalid UTF-8 does not make the rest unreadable: it becomes U+FFFD, which no
/// token contains.
fn parse(response: &Response<Bytes>, body: &Bytes) -> Option<Value> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(value) = serde_json::from_slice(body) {
        return Some(value);
    }
    let text = Zeroizing::new(String::from_utf8_lossy(body).into_owned());
    if let Some(value) = lenient::read(&text) {
        return Some(value);
    }
    let media = response.headers().get(header::CONTENT_TYPE)?.to_str();
    let media = media.ok()?.to_ascii_lowercase();
    let is_form = media.starts_with("application/x-www-form-urlencoded");
    is_form.then(|| pairs(body))
}

/// A body that looks like a form but has another content type: names and values of printable characters, at least two pairs.
fn form(body: &Bytes) -> Option<Value> {
    let body = body.trim_ascii();
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"<>{}[]\"".contains(byte);
    let is_pair = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        !name.is_empty() && name.len() < pair.len()
    };
    let mut found = body.split(|byte| *byte == b'&');
    let is_form = body.contains(&b'&') && body.iter().all(is_plain) && found.all(is_pair);
    is_form.then(|| pairs(body))
}

fn pairs(body: &[u8]) -> Value {
    let pairs = form_urlencoded::parse(body)
        .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())));
    Value::Object(pairs.collect())
}

/// Seconds since the epoch of an HTTP date (RFC 9110 section 5.6.7).
pub(crate) fn http_date(text: &str) -> Option<f64> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    time.duration_since(std::time::UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs_f64())
}

/// The place of a value in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: At,
    /// Text in front of the value that does not belong to it, such as `Bearer `.
    pub(crate) prefix: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// A JSON pointer's segments; none for the whole body.
    Pointer(Vec<String>),
    Header(HeaderName),
    Cookie(String),
}

impl Place {
    pub(crate) fn pointer(text: &str) -> Result<Self, &'static str> {
        Ok(Self {
            at: At::Pointer(segments(text)?),
            prefix: None,
        })
    }

    /// The value at this place. `null` counts as no value.
    pub(crate) fn find(&self, reply: &Parsed<'_>) -> Option<Value> {
        let found = match &self.at {
            At::Pointer(segments) => match &reply.json {
                Some(json) if !(reply.guessed && segments.is_empty()) => walk(json, segments, 0)?,
                _ if segments.is_empty() => Value::String(reply.text().trim().to_owned()),
                _ => return None,
            },
            At::Header(name) => Value::String(reply.header(name)?.into_owned()),
            At::Cookie(name) => Value::String(cookie(reply.response, name)?),
        };
        match (found, &self.prefix) {
            (Value::Null, _) => None,
            (Value::String(text), Some(prefix)) => {
                let bare = text
                    .split_at_checked(prefix.len())
                    .filter(|(start, _)| start.eq_ignore_ascii_case(prefix))
                    .map(|(_, bare)| bare.to_owned());
                Some(Value::String(bare.unwrap_or(text)))
            }
            (value, _) => Some(value),
        }
    }
}

fn walk(value: &Value, segments: &[String], unwrapped: u8) -> Option<Value> {
    let Some((first, rest)) = segments.split_first() else {
        return Some(value.clone());
    };
    match value {
        Value::Object(map) => walk(map.get(first)?, rest, unwrapped),
        Value::Array(items) => walk(items.get(index(first)?)?, rest, unwrapped),
        // The documentation of one provider types its wrapper "json-string" and shows an object: both are read.
        Value::String(text) if unwrapped < UNWRAP_LIMIT => {
            walk(&lenient::read(text)?, segments, unwrapped + 1)
        }
        _ => None,
    }
}

/// RFC 6901 section 4: digits without a leading zero.
fn index(segment: &str) -> Option<usize> {
    let plain = segment == "0" || !segment.starts_with(['0', '+']);
    plain.then(|| segment.parse().ok()).flatten()
}

fn cookie(response: &Response<Bytes>, name: &str) -> Option<String> {
    response
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(|line| {
            let (key, value) = line.split(';').next()?.split_once('=')?;
            let value = value.trim().trim_matches('"');
            (key.trim() == name && !value.is_empty()).then(|| value.to_owned())
        })
}

/// Splits a JSON pointer into unescaped segments.
fn segments(text: &str) -> Result<Vec<String>, &'static str> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(path) = text.strip_prefix('/') else {
        return Err("a JSON pointer is empty or begins with `/`");
    };
    let segments: Vec<&str> = path.split('/').collect();
    if segments.len() > POINTER_LIMIT {
        return Err("a JSON pointer has at most 16 segments here");
    }
    segments.into_iter().map(unescape).collect()
}

fn unescape(segment: &str) -> Result<String, &'static str> {
    let mut rest = segment;
    while let Some((_, after)) = rest.split_once('~') {
        if !after.starts_with(['0', '1']) {
            return Err("`~` in a JSON pointer is written `~0`, and `/` in a key `~1`");
        }
        rest = after;
    }
    Ok(segment.replace("~1", "/").replace("~0", "~"))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Pointer(segments) if segments.is_empty() => f.write_str("the whole body"),
            At::Pointer(segments) => segments
                .iter()
                .try_for_each(|one| write!(f, "/{}", one.replace('~', "~0").replace('/', "~1"))),
            At::Header(name) => write!(f, "header {name}"),
            At::Cookie(name) => write!(f, "cookie {name}"),
        }
    }
}

/// Whether a text is blank, or a word that programs write for a missing value.
pub(super) fn is_nothing(text: &str) -> bool {
    const WORDS: &[&str] = &["null", "(null)", "undefined", "none", "nil"];
    let text = text.trim();
    text.is_empty() || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The codes at these places.
pub(crate) fn codes(reply: &Parsed<'_>, places: &[Place]) -> impl Iterator<Item = String> {
    let values = places.iter().filter_map(|place| place.find(reply));
    values.filter_map(|value| code(&value))
}

/// A code may be a string or a number.
pub(crate) fn code(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
