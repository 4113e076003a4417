//! Reads `[api]`: which addresses the tokens of a grant are for, and how the API wants them.
//!
//! Owns the notation that travels as a token's type: `header:NAME`, `header:NAME:TEXT BEFORE`, `cookie:NAME`, `query:NAME`, or the name
//! of a scheme of `Authorization`.

use http::{HeaderName, header};

use super::words::{NOT_PRINTABLE, SET_BY_HTTP, is_printable, is_token};
use crate::api::{Api, ApiPlace};
use tokend_document::{Diagnostics, Value};

/// The number of addresses of one API.
const MOST_URLS: usize = 16;

/// Reads `[api]` of a dialect or of an account.
pub fn read(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Api> {
    let mut section = node.section(diagnostics)?;
    let present = section.read("present", diagnostics, present);
    let urls = section.read("urls", diagnostics, urls);
    section.finish(diagnostics);
    Some(Api {
        present: present.map(Box::from),
        urls,
    })
}

/// Whole addresses, and paths behind `base_url`.
fn urls(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<Box<[ApiPlace]>> {
    let values = node.one_or_many();
    if values.len() > MOST_URLS {
        let message = format!("an API has at most {MOST_URLS} addresses");
        return node.wrong(diagnostics, message, None);
    }
    let read = |value: Value<'_>| {
        let text = value.string(diagnostics)?;
        match ApiPlace::parse(text) {
            Ok(place) => Some(place),
            Err(why) => {
                let message = format!("`{text}` is not the address of an API: {why}");
                let help = "write `https://HOST/PATH`, or `/PATH` for what is behind `base_url`";
                value.wrong(diagnostics, message, help.to_owned())
            }
        }
    };
    let places: Vec<Option<ApiPlace>> = values.map(read).collect();
    places.into_iter().collect()
}

/// `{ scheme = ".." }`, `{ header = "..", prefix = ".." }`, `{ cookie = ".." }` or `{ query = ".." }`.
fn present(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let mut section = node.section(diagnostics)?;
    let [scheme, name, cookie, query] =
        ["scheme", "header", "cookie", "query"].map(|key| section.take(key));
    let prefix = section.take("prefix");
    section.finish(diagnostics);
    let (place, value) = match (scheme, name, cookie, query) {
        (Some(node), None, None, None) => ("", token(node, "scheme", diagnostics)?),
        (None, Some(node), None, None) => ("header:", own_header(node, diagnostics)?),
        (None, None, Some(node), None) => ("cookie:", token(node, "cookie name", diagnostics)?),
        (None, None, None, Some(node)) => ("query:", parameter(node, diagnostics)?),
        _ => {
            let message =
                "a token is presented in exactly one of `scheme`, `header`, `cookie` and `query`";
            let help = "`scheme` is one of `Authorization`, `header` a header's name, `cookie` a cookie's, `query` a parameter's";
            return node.wrong(diagnostics, message, help.to_owned());
        }
    };
    let Some(before) = prefix else {
        return Some(format!("{place}{value}"));
    };
    let text = before.string(diagnostics)?;
    if place != "header:" {
        before.note(diagnostics, "only a header has a `prefix`", None);
    } else if !is_printable(text) {
        before.note(diagnostics, NOT_PRINTABLE, None);
    }
    Some(format!("{place}{value}:{text}"))
}

fn token(node: Value<'_>, what: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    match node.string(diagnostics)? {
        text if is_token(text) => Some(text.to_owned()),
        text => node.wrong(diagnostics, format!("`{text}` is not a {what}"), None),
    }
}

/// The name in its original case: some APIs compare header names with case.
fn own_header(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = token(node, "header name", diagnostics)?;
    let name = HeaderName::try_from(text.as_str()).ok()?;
    if name == header::COOKIE {
        node.note(diagnostics, "write `cookie` for a cookie", None);
    } else if SET_BY_HTTP.contains(&name) {
        node.note(diagnostics, format!("`{text}` is set by HTTP itself"), None);
    }
    Some(text)
}

fn parameter(node: Value<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = node.string(diagnostics)?;
    let allowed = |b: u8| b.is_ascii_graphic() && !b"&=#%+".contains(&b);
    if text.is_empty() || !text.bytes().all(allowed) {
        let message = format!("`{text}` is not a name for a parameter");
        return node.wrong(diagnostics, message, None);
    }
    Some(text.to_owned())
}
