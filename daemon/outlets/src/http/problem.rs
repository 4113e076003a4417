//! Failures as `application/problem+json` (RFC 9457).
//!
//! Owns the status and the title of each code. A problem never carries a secret: its sentences come from faults, which carry none, and from
//! words that are not secret.

use std::borrow::Cow;

use serde::Serialize;
use tokend_proto::{Fault, FaultCode};

/// A failure as a program gets it over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: u16,
    code: Cow<'static, str>,
    detail: String,
    advice: Option<String>,
    retry_after: Option<u64>,
    allow: Option<&'static str>,
}

impl Problem {
    /// A problem without advice.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            advice: None,
            retry_after: None,
            allow: None,
        }
    }

    /// What a fault is over HTTP.
    pub fn of(fault: Fault) -> Self {
        Self {
            status: status(fault.code),
            code: fault.code.name(),
            detail: fault.message,
            advice: fault
                .advice
                .or_else(|| advice(fault.code).map(str::to_owned)),
            retry_after: fault.retry_after_ms.map(|ms| ms.div_ceil(1000)),
            allow: None,
        }
    }

    /// The same, saying what to do.
    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..self
        }
    }

    /// The same, with the method that the path takes.
    #[must_use]
    pub(super) fn allow(self, method: &'static str) -> Self {
        Self {
            allow: Some(method),
            ..self
        }
    }

    /// The status of HTTP.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The value of `Allow`.
    pub fn allowed(&self) -> Option<&'static str> {
        self.allow
    }

    /// The body.
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'p> {
            r#type: String,
            title: &'static str,
            status: u16,
            detail: &'p str,
            code: &'p str,
            #[serde(skip_serializing_if = "Option::is_none")]
            advice: Option<&'p str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after: Option<u64>,
        }
        let body = Body {
            r#type: format!("urn:tokend:problem:{}", self.code),
            title: title(&self.code),
            status: self.status,
            detail: &self.detail,
            code: &self.code,
            advice: self.advice.as_deref(),
            retry_after: self.retry_after,
        };
        // Texts and numbers always serialize.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The whole answer, for a peer that gets no connection.
    pub fn message(&self) -> Vec<u8> {
        let body = self.body();
        let retry = self.retry_after.map(|it| format!("retry-after: {it}\r\n"));
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {PROBLEM}\r\ncontent-length: {}\r\ncache-control: no-store\r\n{}connection: close\r\n\r\n",
            self.status,
            reason(self.status),
            body.len(),
            retry.unwrap_or_default(),
        );
        [head.into_bytes(), body].concat()
    }
}

/// The type of its body.
pub const PROBLEM: &str = "application/problem+json";

fn reason(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).ok();
    status
        .and_then(|it| it.canonical_reason())
        .unwrap_or("Error")
}

/// The status of each fault.
fn status(code: FaultCode) -> u16 {
    match code {
        FaultCode::BadRequest => 400,
        FaultCode::NotAllowed => 403,
        FaultCode::UnknownAccount => 404,
        // The account as it is allows nothing, until a person does something.
        FaultCode::LoginRequired | FaultCode::Misconfigured | FaultCode::InDoubt => 409,
        FaultCode::ValidityUnattainable => 422,
        FaultCode::Paced => 429,
        FaultCode::Internal | FaultCode::ReloadFailed | FaultCode::UnsupportedVersion => 500,
        FaultCode::ProviderMisbehaved => 502,
        FaultCode::ProviderUnreachable | FaultCode::Timeout => 504,
        // And whatever a later release adds: waiting may help.
        _ => 503,
    }
}

/// What helps where the daemon gave no advice of its own.
fn advice(code: FaultCode) -> Option<&'static str> {
    Some(match code {
        FaultCode::LoginRequired | FaultCode::InDoubt => {
            "give the account a working credential with: tokenctl login ACCOUNT"
        }
        FaultCode::NotAllowed => "ask the administrator for an allow rule of that account",
        FaultCode::UnknownAccount => "`/v1/accounts` has the accounts whose token you may have",
        FaultCode::Misconfigured => "check the configuration with: tokend check",
        FaultCode::ValidityUnattainable => "ask for less with `min_validity`",
        FaultCode::ProviderUnreachable
        | FaultCode::ProviderBusy
        | FaultCode::ProviderMisbehaved => {
            "see what the provider last answered in the account's `status`"
        }
        FaultCode::Paced => "allow it to wait with `wait`",
        FaultCode::Timeout => "allow more time with `timeout`; an attempt that has begun continues",
        FaultCode::Internal | FaultCode::AuditUnavailable | FaultCode::StoreUnavailable => {
            "check the daemon's log (journalctl -u tokend)"
        }
        _ => return None,
    })
}

fn title(code: &str) -> &'static str {
    match code {
        "bad-request" => "The request is not understood",
        "invalid-scope" => "The token is not for another scope",
        "invalid-target" => "The token is not for another audience",
        "header-required" => "A header is missing",
        "origin-refused" => "Pages in browsers get nothing",
        "unknown-path" => "Unknown path",
        "method-not-allowed" => "Another method is needed",
        "too-slow" => "The body came too slowly",
        "too-large" => "The body is too large",
        "unsupported-media-type" => "The body is of another type",
        "not-allowed" => "Not allowed",
        "unknown-account" => "Unknown account",
        "login-required" => "A login is required",
        "misconfigured" => "The account is misconfigured",
        "in-doubt" => "An attempt is in doubt",
        "validity-unattainable" => "No token lives that long",
        "paced" => "The rate limit allows no attempt now",
        "provider-unreachable" => "The provider did not answer",
        "provider-busy" => "The provider is busy",
        "provider-misbehaved" => "The provider misbehaved",
        "timeout" => "The time is over",
        "draining" => "The daemon is stopping",
        "store-unavailable" => "The store is unavailable",
        "audit-unavailable" => "The audit is unavailable",
        "internal" => "A defect of the daemon",
        "too-busy" => "Too busy",
        _ => "The request failed",
    }
}

#[cfg(test)]
mod tests;
