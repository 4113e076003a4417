//! Tells the provider's own answer from an answer of something in front of it.
//!
//! Owns the only place where a reply that no rule matches becomes a verdict about a credential. A gateway, firewall, proxy or captive
//! portal may answer with any status; its answer must never block an account. So a verdict is
//!
//! - the meaning of a matching rule of the dialect: a rule with a code or a text, or a rule with a status if the reply is not a page;
//! - an error code of OAuth 2.0 in a 4xx or 2xx reply whose body can be read, and whose status is not one of a proxy, a gateway or a limit;
//! - for a login, a 401 that is not a page: login endpoints use it for a wrong credential.
//!
//! Everything else is no verdict, whatever its status. That includes a success without a token at login, unless it has the shape of the
//! provider's own replies: a form may answer a wrong password that way.

use http::header;
use serde_json::Value;

use super::{
    classify::{Class, NoAnswer, Rule, Silence},
    parsed::{self, Parsed, Place},
};
use crate::fields::ExchangeKind;

/// Words that indicate a limit, whatever the status. In lower case.
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

/// Headers with the remaining number of requests.
const REMAINING: &[&str] = &[
    "x-ratelimit-remaining",
    "x-rate-limit-remaining",
    "ratelimit-remaining",
];

impl Rule {
    /// Whether this rule decides the meaning of a reply. A status alone does not make a page the provider's answer.
    pub(crate) fn claims(&self, reply: &Parsed<'_>, codes: &[Place]) -> bool {
        self.no_answer.is_none()
            && self.matcher.matches(reply, codes)
            && !self.is_contradicted(reply)
            && (self.matcher.has_words() || !self.class.is_verdict() || !is_page(reply))
    }

    /// Whether this rule decides the meaning of a missing answer.
    pub(crate) fn claims_silence(&self, silence: Silence) -> bool {
        match self.no_answer {
            Some(NoAnswer::Any) => true,
            Some(NoAnswer::Closed) => silence == Silence::Closed,
            None => false,
        }
    }

    /// Whether the status shows that the code of this rule is not the provider's verdict. A rule that names the status, or a text of the
    /// provider, takes precedence.
    fn is_contradicted(&self, reply: &Parsed<'_>) -> bool {
        let code_alone = self.matcher.status.is_empty() && self.matcher.text.is_empty();
        code_alone && self.class.is_verdict() && is_in_front(reply.status())
    }
}

/// Statuses with which no token endpoint rejects a credential (RFC 6749 section 5.2 uses 400 and 401): redirects, limits, and the statuses
/// of proxies and gateways. A code beside such a status may have been passed on, or made up.
const fn is_in_front(status: u16) -> bool {
    matches!(status, 300..=399 | 407 | 408 | 421 | 425 | 429 | 499 | 502..=504 | 511 | 520..=524)
}

/// The meaning of a reply that no rule matches and that is not a grant, with a sentence of ours where there is one.
pub(crate) fn judge(
    kind: ExchangeKind,
    reply: &Parsed<'_>,
    codes: &[Place],
) -> (Class, Option<&'static str>) {
    match reply.status() {
        408 | 425 | 429 | 503 => (Class::Busy, None),
        300..=399 => (Class::Unrecognised, None),
        // RFC 6585 section 6: by definition never sent by the provider.
        511 => (
            Class::Unrecognised,
            Some("the network on the way requires a login of its own"),
        ),
        400..=499 => refusal(kind, reply, codes),
        _ => (Class::Misbehaved, None),
    }
}

/// The standard meaning of the error codes in a readable body.
pub(crate) fn by_codes(kind: ExchangeKind, reply: &Parsed<'_>, codes: &[Place]) -> Option<Class> {
    if is_page(reply) {
        return None;
    }
    // RFC 6749 section 5.2 fixes the place of such a code, wherever the dialect looks for its own.
    let standard = Place::pointer("/error").ok();
    parsed::codes(reply, codes)
        .chain(parsed::codes(reply, standard.as_slice()))
        .find_map(|code| by_code(kind, &code))
}

/// Whether a success without a token may come from an intermediary, or may be a refusal written for people: a page, a text, an empty body,
/// or a value without members. An object has the shape of the provider's own replies, whatever its code. A body that is declared as JSON
/// but unreadable comes from the provider, cut off or broken.
pub(crate) fn is_foreign(reply: &Parsed<'_>) -> bool {
    match &reply.json {
        Some(Value::Object(_)) => false,
        Some(_) => true,
        None => {
            let media = reply.header(&header::CONTENT_TYPE).unwrap_or_default();
            !(beginning(&reply.text()).starts_with('{')
                || media.to_ascii_lowercase().contains("json"))
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
    let own = match (kind, reply.status()) {
        (ExchangeKind::Login, 401) if !is_page(reply) => return (Class::CredentialRejected, None),
        (ExchangeKind::Login, 404) => "if there is no login here, correct base_url or the path",
        (_, 405) => "this method is not accepted here",
        (_, 407) => "a proxy on the way requires a login of its own",
        (_, 415) => "this body encoding is not accepted here",
        _ => return (Class::Unrecognised, None),
    };
    (Class::Unrecognised, Some(own))
}

/// Error codes of OAuth 2.0: RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750, RFC 8628, RFC 8707, RFC 9449, OpenID Connect Core
/// section 3.1.2.6, and the names that large providers gave to a refused refresh token.
///
/// A code for a server failure (`server_error`) is no refusal, whatever the status.
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
        // Some servers answer an unknown refresh token with this code.
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

/// Whether a 4xx reports a limit: by a counting header, or in words. A 401 may have such a header and still be a refusal.
fn is_limit(reply: &Parsed<'_>) -> bool {
    let used_up = REMAINING.iter().any(|name| {
        let value = reply.response.headers().get(*name);
        value.is_some_and(|value| value.as_bytes().trim_ascii() == b"0")
    });
    let words = || {
        let text = reply.text().to_lowercase();
        LIMITS.iter().any(|limit| text.contains(limit))
    };
    (used_up && reply.status() != 401) || words()
}

/// A text without a byte order mark and blanks in front.
fn beginning(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_start()
}

/// Whether a reply is a page for people: markup, by its content type or by its start. No token endpoint reports an error that way.
pub(crate) fn is_page(reply: &Parsed<'_>) -> bool {
    let media = reply.header(&header::CONTENT_TYPE).unwrap_or_default();
    let html = ["text/html", "application/xhtml"]
        .iter()
        .any(|kind| media.trim().to_ascii_lowercase().starts_with(kind));
    let markup = beginning(&reply.text()).starts_with('<');
    // Some frameworks label every reply as HTML but still send JSON.
    markup || (html && reply.json.is_none())
}
