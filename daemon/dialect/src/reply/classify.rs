//! The possible meanings of a reply that is not a grant, and how a rule of the dialect recognises a reply.
//!
//! Owns the classes, and matching by status, error code and text; `verdict` judges replies that no rule matches. It must never call a
//! reply harmless when the provider may have used up a refresh token.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::Value;

use super::parsed::{Parsed, Place, codes};

/// One entry of an ordered list: the conditions, and the meaning of a reply that meets them.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Set for a rule about requests without an answer; such a rule matches no reply.
    pub(crate) no_answer: Option<NoAnswer>,
    pub(crate) matcher: Matcher,
    pub(crate) class: Class,
    /// For `busy` without a time in the reply.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) processed: Option<Processed>,
    /// A sentence for people, put before the provider's own.
    pub(crate) say: Option<String>,
    /// For `credential-rejected`: the field of the rejected secret.
    pub(crate) secret: Option<String>,
}

/// The kind of missing answer that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The provider closed the connection.
    Closed,
    /// The provider closed the connection, or the request timed out.
    Any,
}

/// How a request that may have been sent ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The provider closed the connection.
    Closed,
    /// The request timed out.
    TimedOut,
}

/// Conditions on a reply; all that are given must match.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matcher {
    pub(crate) status: Vec<RangeInclusive<u16>>,
    pub(crate) codes: Vec<String>,
    /// The places of the code; empty means the places of the reply's `error_code`.
    pub(crate) at: Vec<Place>,
    /// Lower case; one of them must occur in the body.
    pub(crate) text: Vec<String>,
}

/// The meaning of a reply that is not a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Busy,
    CredentialRejected,
    RefreshRejected,
    Misconfigured,
    Misbehaved,
    Unrecognised,
}

impl Class {
    /// Whether this stops attempts until the cause changes or a person intervenes.
    pub(crate) fn is_verdict(self) -> bool {
        match self {
            Self::CredentialRejected | Self::RefreshRejected | Self::Misconfigured => true,
            Self::Busy | Self::Misbehaved | Self::Unrecognised => false,
        }
    }
}

/// Whether the provider may have acted on a request whose answer is unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processed {
    /// It did not: the same refresh token can be sent again.
    No,
    /// It may have: a rotating provider may have used up the refresh token.
    Maybe,
}

/// What a request may have used up at its provider, even though its answer has a class other than a failure of unknown outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpentTokens {
    /// Nothing.
    #[default]
    Nothing,
    /// The request succeeded, and may have ended the previous access token. The refresh token that was sent is still valid.
    AccessToken,
    /// The refresh token that was sent, and with it the previous access token.
    RefreshToken,
}

impl Rule {
    /// Whether the provider may have acted on a request with this reply. A rule can decide this itself. A gateway's status says nothing
    /// about the server behind it, whatever the page contains. A success status with an error of the provider means that the provider did
    /// not act.
    pub(crate) fn processed(&self, status: u16) -> Processed {
        let success = (200..=299).contains(&status);
        let decides = matches!(
            self.class,
            Class::Busy | Class::CredentialRejected | Class::Misconfigured
        );
        self.processed
            .unwrap_or(match success && self.matcher.has_words() && decides {
                true => Processed::No,
                false => processed_by_status(status),
            })
    }
}

impl Matcher {
    /// Whether it looks for words of the provider's own.
    pub(crate) fn has_words(&self) -> bool {
        !self.codes.is_empty() || !self.text.is_empty()
    }

    pub(crate) fn matches(&self, reply: &Parsed<'_>, default_at: &[Place]) -> bool {
        let status = reply.status();
        (self.status.is_empty() || self.status.iter().any(|it| it.contains(&status)))
            && (self.codes.is_empty() || self.has_code(reply, default_at))
            && (self.text.is_empty() || self.has_text(reply))
    }

    fn has_code(&self, reply: &Parsed<'_>, default_at: &[Place]) -> bool {
        let places = match self.at.is_empty() {
            true => default_at,
            false => &self.at,
        };
        codes(reply, places).any(|code| self.codes.contains(&code))
    }

    /// Searches the body as sent, and its strings after unescaping.
    fn has_text(&self, reply: &Parsed<'_>) -> bool {
        let body = reply.text().to_lowercase();
        let contains = |text: &str| self.text.iter().any(|wanted| text.contains(&**wanted));
        let in_string = |text: &str| contains(&text.to_lowercase());
        contains(&body) || (reply.json.iter()).any(|json| any_string(json, &in_string))
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

/// Whether a reply of this status leaves open what the provider did.
///
/// A 500 counts as not processed: in the observed cases the refresh token was still valid. A gateway's 502, 504, 520 and 524 say nothing
/// about what the server behind it did.
pub(crate) fn processed_by_status(status: u16) -> Processed {
    match status {
        200..=299 | 502 | 504 | 520 | 524 => Processed::Maybe,
        _ => Processed::No,
    }
}
