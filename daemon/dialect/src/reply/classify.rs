//! What a reply that is no grant means: the dialect's rules first, then the defaults for its status.
//!
//! Owns matching by status, error code and text, and the default meaning of every status. It must never call a reply
//! harmless when the provider may have used up a refresh token.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::Value;

use super::{
    parsed::{Parsed, Place},
    told::code,
};
use crate::fields::Kind;

/// One entry of an ordered list: what must match, and what it then means.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) matcher: Matcher,
    pub(crate) class: Class,
    /// For `busy` without a time in the reply.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) processed: Option<Processed>,
    /// A sentence for people, put before the provider's.
    pub(crate) say: Option<String>,
}

/// What must be true of a reply; everything that is given must match.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matcher {
    pub(crate) status: Vec<RangeInclusive<u16>>,
    pub(crate) codes: Vec<String>,
    /// Where the code stands; empty for the places of the reply's `error_code`.
    pub(crate) at: Vec<Place>,
    /// Lower case; one of them must occur in the body.
    pub(crate) text: Vec<String>,
}

/// What a reply that is no grant means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Busy,
    CredentialRejected,
    RefreshRejected,
    Misconfigured,
    Misbehaved,
}

/// Whether the provider may have acted on a request whose answer is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processed {
    /// It did not: the same refresh token can be sent again.
    No,
    /// It may have: a rotating provider may have used up the refresh token.
    Maybe,
}

impl Matcher {
    pub(crate) fn matches(&self, reply: &Parsed<'_>, default_at: &[Place]) -> bool {
        let status = self.status.is_empty()
            || self
                .status
                .iter()
                .any(|range| range.contains(&reply.status()));
        status
            && (self.codes.is_empty() || self.has_code(reply, default_at))
            && (self.text.is_empty() || self.has_text(reply))
    }

    fn has_code(&self, reply: &Parsed<'_>, default_at: &[Place]) -> bool {
        let places = if self.at.is_empty() {
            default_at
        } else {
            &self.at
        };
        let mut found = places
            .iter()
            .filter_map(|place| place.find(reply))
            .filter_map(|value| code(&value));
        found.any(|code| self.codes.contains(&code))
    }

    /// In the body as it was sent, and in its strings as they read once unescaped.
    fn has_text(&self, reply: &Parsed<'_>) -> bool {
        let body = reply.text().to_lowercase();
        let contains = |haystack: &str| {
            self.text
                .iter()
                .any(|wanted| haystack.contains(wanted.as_str()))
        };
        contains(&body)
            || reply
                .json
                .as_ref()
                .is_some_and(|json| any_string(json, &|text| contains(&text.to_lowercase())))
    }
}

/// Whether any string of a JSON value (whose depth the parser has bounded) passes.
fn any_string(value: &Value, passes: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => passes(text),
        Value::Array(items) => items.iter().any(|item| any_string(item, passes)),
        Value::Object(map) => map.values().any(|item| any_string(item, passes)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The meaning of a status that no rule has claimed.
///
/// On a login 400, 401, 403 and 423 refuse the credential: servers differ, and a second try would count against the account.
/// On a refresh every 4xx refuses the refresh token, except those that speak of the request's shape: real servers answer a
/// spent token with 400, 401, 403 and 422. A 500 is taken as not processed: where it was seen, the refresh token was still
/// good. Any of these with a `Retry-After` that can be read is busy instead. A gateway's 502, 504, 520 and 524 say nothing about what the server behind it did.
pub(crate) fn by_status(kind: Kind, status: u16) -> (Class, Option<&'static str>) {
    match (kind, status) {
        (_, 408 | 425 | 429 | 503) => (Class::Busy, None),
        (_, 300..=399) => (Class::Misconfigured, None),
        (_, 405) => (
            Class::Misconfigured,
            Some("the provider does not accept this method here"),
        ),
        (_, 415) => (
            Class::Misconfigured,
            Some("the provider does not accept this body encoding"),
        ),
        (Kind::Login, 400 | 401 | 403 | 423) => (Class::CredentialRejected, None),
        (Kind::Login, 404) => (
            Class::Misconfigured,
            Some("there is no login here; check base_url and the path"),
        ),
        (Kind::Login, 422) => (
            Class::Misconfigured,
            Some("the provider finds a field missing or malformed"),
        ),
        (Kind::Login, 400..=499) => (Class::Misconfigured, None),
        (Kind::Refresh, 400..=499) => (Class::RefreshRejected, None),
        _ => (Class::Misbehaved, None),
    }
}

/// Whether a reply of this status leaves it open what the provider did.
pub(crate) fn processed_by_status(status: u16) -> Processed {
    match status {
        200..=299 | 502 | 504 | 520 | 524 => Processed::Maybe,
        _ => Processed::No,
    }
}
