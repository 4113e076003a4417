//! What an account's requests ask for, apart from its identity, to tell whether a stored token still matches the configuration.
//!
//! Owns the reading of requests back into their parts. Secrets, tokens, user name and client id are replaced by one filler, which is
//! ignored. So neither another password nor another way to authenticate the client makes a token count as different.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use http::{Request, header};

use crate::{
    dialect::{Dialect, fnv1a},
    endpoint::Endpoint,
    fields::{ExchangeKind, Fields},
};

/// Replaces every value that identifies the account. Only letters and digits, so that every encoder leaves it unchanged.
const FILLER: &str = "tokendfillerofnothing";
/// Headers that identify the account, or describe the encoding of the body.
const NOT_ASKED: [header::HeaderName; 4] = [
    header::AUTHORIZATION,
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
];

/// Fingerprints of what an account's requests ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asks {
    /// What a refresh asks for.
    pub refresh: u64,
    /// What a login asks for and a refresh does not.
    pub login: u64,
}

impl Asks {
    /// Parses the output of `Display`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (refresh, login) = text.split_once('-')?;
        Some(Self {
            refresh: u64::from_str_radix(refresh, 16).ok()?,
            login: u64::from_str_radix(login, 16).ok()?,
        })
    }
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}", self.refresh, self.login)
    }
}

impl Dialect {
    /// What the requests of an account ask for, given its values that may be shown.
    #[must_use]
    pub fn asks<'a>(&self, endpoint: &Endpoint, plain: impl Fn(&str) -> Option<&'a str>) -> Asks {
        let mut fields = Fields::new();
        for field in self.fields_at(endpoint) {
            let who = field.secret || field.internal;
            if who || matches!(field.name.as_str(), "username" | "client_id") {
                fields.set_secret(field.name, FILLER.to_owned().into());
            } else if let Some(value) = plain(&field.name) {
                fields.set(field.name, value);
            }
        }
        let parts = |kind| match self.request(kind, endpoint, &fields) {
            Ok(request) => parts(&request),
            // There is no such request, or it lacks a value that a person cannot enter, so it is never sent.
            Err(_) => BTreeSet::new(),
        };
        let refresh = parts(ExchangeKind::Refresh);
        let login: BTreeSet<_> = parts(ExchangeKind::Login)
            .difference(&refresh)
            .cloned()
            .collect();
        Asks {
            refresh: hash(&refresh),
            login: hash(&login),
        }
    }
}

fn hash(parts: &BTreeSet<String>) -> u64 {
    let text = parts.iter().flat_map(|part| part.bytes().chain([0]));
    fnv1a(&text.collect::<Vec<u8>>())
}

/// Every part of a request, with its place.
fn parts(request: &Request<Bytes>) -> BTreeSet<String> {
    let mut parts = BTreeSet::new();
    let mut add = |place: &str, name: &str, value: &str| {
        let value = value.replace(FILLER, "");
        if !value.is_empty() {
            parts.insert(format!("{place} {name}={value}"));
        }
    };
    add("method", "", request.method().as_str());
    add("path", "", request.uri().path());
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        add("query", &name, &value);
    }
    for (name, value) in request.headers() {
        if !NOT_ASKED.contains(name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            add("header", name.as_str(), &value);
        }
    }
    let media = request.headers().get(header::CONTENT_TYPE);
    let form = media.is_some_and(|media| media == "application/x-www-form-urlencoded");
    match serde_json::from_slice::<serde_json::Value>(request.body()) {
        Ok(json) if !form => flatten(&json, "", &mut add),
        _ => {
            for (name, value) in form_urlencoded::parse(request.body()) {
                add("body", &name, &value);
            }
        }
    }
    parts
}

fn flatten(json: &serde_json::Value, at: &str, add: &mut impl FnMut(&str, &str, &str)) {
    match json {
        serde_json::Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| flatten(value, &format!("{at}/{name}"), add)),
        serde_json::Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| flatten(value, &format!("{at}/{index}"), add)),
        serde_json::Value::String(text) => add("body", at, text),
        other => add("body", at, &other.to_string()),
    }
}
