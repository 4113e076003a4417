//! What is the provider's own word, and what something in front of it may have said.
//!
//! Owns the only place where a reply that no rule has claimed becomes a verdict over a credential. A gateway, firewall, proxy or
//! captive portal answers with every status there is; what it says must never end an account. So a verdict is
//!
//! - what a rule of the dialect says: one that names a code or a text, or one that names a status for a reply that is no page;
//! - an error code of OAuth 2.0 in a 4xx or 2xx reply whose body can be read, and whose status is not one of a proxy, a gateway or a limit;
//! - for a login, a 401 that is no page: it is how a login endpoint says that the credential is wrong.
//!
//! Everything else is not a verdict, whatever its status. A success without a token is one of those at login, unless it has the shape of the
//! provider's own: a form may answer a wrong password so.

use http::header;
use serde_json::Value;

use super::{
    classify::{Class, NoAnswer, Rule, Silence},
    parsed::{Parsed, Place, code},
};
use crate::fields::ExchangeKind;

/// Words that tell a limit, whatever the status. In lower case.
const LIMITS: &[&str] = &[
    "rate limit",
    "rate-limit",
    "rate_limit",
    "ratelimit",
    "rate exceeded",
    "too many requests",
    "too_many_requests",
    "toomanyrequests",
    "throttl",
];

/// Headers that count what is left of a limit.
const LEFT: &[&str] = &[
    "x-ratelimit-remaining",
    "x-rate-limit-remaining",
    "ratelimit-remaining",
];

impl Rule {
    /// Whether this rule says what a reply means. A status alone does not make a page the provider's word.
    pub(crate) fn claims(&self, reply: &Parsed<'_>, codes: &[Place]) -> bool {
        let own_words = !self.matcher.codes.is_empty() || !self.matcher.text.is_empty();
        self.no_answer.is_none()
            && self.matcher.matches(reply, codes)
            && !self.is_contradicted(reply)
            && (own_words || !self.class.is_verdict() || !is_page(reply))
    }

    /// Whether the status says that the code of this rule is not the provider's verdict. A rule that names the status, or a text of the
    /// provider's, knows better.
    fn is_contradicted(&self, reply: &Parsed<'_>) -> bool {
        let code_alone = self.matcher.status.is_empty() && self.matcher.text.is_empty();
        code_alone && self.class.is_verdict() && is_in_front(reply.status())
    }
}

/// Statuses with which no token endpoint refuses a credential (RFC 6749 section 5.2 has 400 and 401): redirects, limits, and what
/// proxies and gateways answer. A code beside one of them may have been passed on, or made up.
const fn is_in_front(status: u16) -> bool {
    matches!(status, 300..=399 | 407 | 408 | 421 | 425 | 429 | 499 | 502..=504 | 511 | 520..=524)
}

impl Rule {
    /// Whether this rule says what it means that no answer came.
    pub(crate) fn claims_silence(&self, silence: Silence) -> bool {
        match self.no_answer {
            Some(NoAnswer::Any) => true,
            Some(NoAnswer::Closed) => silence == Silence::Closed,
            None => false,
        }
    }
}

/// What a reply means that no rule has claimed and that is no grant, with a sentence of ours where there is one.
pub(crate) fn judge(
    kind: ExchangeKind,
    reply: &Parsed<'_>,
    codes: &[Place],
) -> (Class, Option<&'static str>) {
    match reply.status() {
        408 | 425 | 429 | 503 => (Class::Busy, None),
        300..=399 => (Class::Unrecognised, None),
        // RFC 6585 section 6: by its meaning never the provider.
        511 => (
            Class::Unrecognised,
            Some("the network on the way requires a login of its own"),
        ),
        400..=499 => refusal(kind, reply, codes),
        _ => (Class::Misbehaved, None),
    }
}

/// What the error codes in a body that can be read mean by the standards.
pub(crate) fn by_codes(kind: ExchangeKind, reply: &Parsed<'_>, codes: &[Place]) -> Option<Class> {
    if is_page(reply) {
        return None;
    }
    // RFC 6749 section 5.2 says where such a code stands, wherever the dialect finds its own.
    let standard = Place::pointer("/error").ok();
    codes
        .iter()
        .chain(&standard)
        .filter_map(|place| place.find(reply))
        .filter_map(|value| code(&value))
        .find_map(|code| by_code(kind, &code))
}

/// Whether a success without a token may be somebody else's, or a refusal told to people: a page, a text, nothing, or a value that holds
/// no members. An object is the shape of the provider's own, whatever code it has, and what is JSON by its own word and cannot be read
/// is the provider's, cut or broken.
pub(crate) fn is_foreign(reply: &Parsed<'_>) -> bool {
    match &reply.json {
        Some(Value::Object(_)) => false,
        Some(_) => true,
        None => {
            let media = reply.header(&header::CONTENT_TYPE).unwrap_or_default();
            let text = reply.text();
            let begins = text.trim_start_matches('\u{feff}').trim_start();
            !(begins.starts_with('{') || media.to_ascii_lowercase().contains("json"))
        }
    }
}

fn refusal(
    kind: ExchangeKind,
    reply: &Parsed<'_>,
    codes: &[Place],
) -> (Class, Option<&'static str>) {
    let may_end = !is_in_front(reply.status());
    if let Some(class) = by_codes(kind, reply, codes).filter(|it| may_end || !it.is_verdict()) {
        return (class, None);
    }
    if is_limit(reply) {
        return (Class::Busy, None);
    }
    match (kind, reply.status()) {
        (ExchangeKind::Login, 401) if !is_page(reply) => (Class::CredentialRejected, None),
        (ExchangeKind::Login, 404) => (
            Class::Unrecognised,
            Some("if there is no login here, correct base_url or the path"),
        ),
        (_, 405) => (
            Class::Unrecognised,
            Some("this method is not accepted here"),
        ),
        (_, 407) => (
            Class::Unrecognised,
            Some("a proxy on the way requires a login of its own"),
        ),
        (_, 415) => (
            Class::Unrecognised,
            Some("this body encoding is not accepted here"),
        ),
        _ => (Class::Unrecognised, None),
    }
}

/// Error codes of OAuth 2.0: RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750, RFC 8628, RFC 8707, RFC 9449, OpenID Connect Core
/// section 3.1.2.6, and the names that large providers gave to a refused refresh token.
///
/// What says that the server failed (`server_error`) is no refusal, whatever the status it came with.
fn by_code(kind: ExchangeKind, code: &str) -> Option<Class> {
    let refused = match kind {
        ExchangeKind::Login => Class::CredentialRejected,
        ExchangeKind::Refresh => Class::RefreshRejected,
    };
    match code {
        "invalid_client" | "incorrect_client_credentials" => Some(Class::CredentialRejected),
        "invalid_grant"
        | "access_denied"
        | "login_required"
        | "interaction_required"
        | "consent_required"
        | "account_selection_required" => Some(refused),
        "invalid_token" | "expired_token" | "bad_refresh_token" | "invalid_refresh_token"
            if kind == ExchangeKind::Refresh =>
        {
            Some(refused)
        }
        // Some servers call the request wrong whose refresh token they do not know.
        "invalid_request" if kind == ExchangeKind::Refresh => Some(refused),
        "invalid_request"
        | "unauthorized_client"
        | "unsupported_grant_type"
        | "unsupported_response_type"
        | "invalid_scope"
        | "insufficient_scope"
        | "invalid_target"
        | "invalid_dpop_proof"
        | "use_dpop_nonce" => Some(Class::Misconfigured),
        "temporarily_unavailable" | "slow_down" | "authorization_pending" => Some(Class::Busy),
        "server_error" => Some(Class::Unrecognised),
        _ => None,
    }
}

/// Whether a 4xx tells a limit: by a header that counts, or in words. A 401 may count down and refuse all the same.
fn is_limit(reply: &Parsed<'_>) -> bool {
    let used_up = LEFT.iter().any(|name| {
        let value = reply.response.headers().get(*name);
        value.is_some_and(|value| value.as_bytes().trim_ascii() == b"0")
    });
    let words = || {
        let text = reply.text().to_lowercase();
        LIMITS.iter().any(|limit| text.contains(limit))
    };
    (used_up && reply.status() != 401) || words()
}

/// Whether a reply is a page for people: markup, by what it says of itself or by how it begins. No token endpoint tells an error so.
pub(crate) fn is_page(reply: &Parsed<'_>) -> bool {
    let media = reply.header(&header::CONTENT_TYPE).unwrap_or_default();
    let html = ["text/html", "application/xhtml"]
        .iter()
        .any(|kind| media.trim().to_ascii_lowercase().starts_with(kind));
    let markup = reply
        .text()
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('<');
    // Frameworks that say HTML of everything answer JSON all the same.
    markup || (html && reply.json.is_none())
}
