//! The state of an account.

use std::borrow::Cow;

use serde::Serialize;
use tokend_proto::{AccountStatus, CredentialStatus, Fault, LastAttempt, PaceStatus, SinkLine};

use crate::time::rfc3339;

/// The state of an account as something to serialize, with those of the `sinks` that are its own.
#[must_use]
pub fn account<'a>(status: &'a AccountStatus, sinks: &'a [SinkLine]) -> Account<'a> {
    let own = sinks.iter().filter(|it| it.account == status.account);
    Account {
        account: status.account.as_str(),
        dialect: &status.dialect,
        base_url: &status.base_url,
        state: status.state.name(),
        has_token: status.has_token,
        expires_at: status.expires_at_ms.and_then(rfc3339),
        expires_in: status.remaining_ms.map(|ms| ms / 1000),
        lifetime_ms: status.lifetime_ms,
        has_refresh_token: status.has_refresh_token,
        unpersisted: status.unpersisted,
        attempts: status.attempts.into(),
        logins: status.logins.into(),
        next_attempt_at: status.next_attempt_at_ms.and_then(rfc3339),
        last_attempt: status.last_attempt.as_ref().map(Attempt::from),
        problem: status.problem.as_ref().map(Problem::from),
        waiters: status.waiters,
        sinks: own.map(Sink::from).collect(),
        credential: None,
    }
}

impl<'a> Account<'a> {
    /// The same, with what it logs in with, where that is known.
    #[must_use]
    pub fn with(self, credential: Option<&'a CredentialStatus>) -> Self {
        Self {
            credential: credential.map(Credential::from),
            ..self
        }
    }
}

/// The state of an account.
#[derive(Serialize)]
pub struct Account<'a> {
    account: &'a str,
    dialect: &'a str,
    base_url: &'a str,
    state: Cow<'static, str>,
    has_token: bool,
    expires_at: Option<String>,
    expires_in: Option<u64>,
    lifetime_ms: Option<u64>,
    has_refresh_token: bool,
    unpersisted: bool,
    attempts: Pace,
    logins: Pace,
    next_attempt_at: Option<String>,
    last_attempt: Option<Attempt<'a>>,
    problem: Option<Problem<'a>>,
    waiters: u32,
    sinks: Vec<Sink<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<Credential<'a>>,
}

/// What an account logs in with.
#[derive(Serialize)]
struct Credential<'a> {
    fields: Vec<Field<'a>>,
    can_refresh: bool,
    refresh_token_entered_at: Option<String>,
    refresh_token_entered_by: Option<u32>,
}

#[derive(Serialize)]
struct Field<'a> {
    field: &'a str,
    description: &'a str,
    required: bool,
    multiline: bool,
    origin: Cow<'static, str>,
    entered_at: Option<String>,
    entered_by: Option<u32>,
}

impl<'a> From<&'a CredentialStatus> for Credential<'a> {
    fn from(status: &'a CredentialStatus) -> Self {
        let fields = status.fields.iter().map(|field| Field {
            field: &field.field,
            description: &field.description,
            required: field.required,
            multiline: field.multiline,
            origin: field.origin.name(),
            entered_at: field.entered_at_ms.and_then(rfc3339),
            entered_by: field.entered_by,
        });
        Self {
            fields: fields.collect(),
            can_refresh: status.can_refresh,
            refresh_token_entered_at: status.refresh_entered_at_ms.and_then(rfc3339),
            refresh_token_entered_by: status.refresh_entered_by,
        }
    }
}

/// A file that is kept fresh.
#[derive(Serialize)]
struct Sink<'a> {
    sink: &'a str,
    uid: u32,
    path: &'a str,
    problem: Option<&'a str>,
}

impl<'a> From<&'a SinkLine> for Sink<'a> {
    fn from(line: &'a SinkLine) -> Self {
        Self {
            sink: &line.sink,
            uid: line.uid,
            path: &line.path,
            problem: line.problem.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Pace {
    left: u32,
    burst: u32,
    period_ms: u64,
    next_at: Option<String>,
}

#[derive(Serialize)]
struct Attempt<'a> {
    kind: Cow<'static, str>,
    at: Option<String>,
    duration_ms: u64,
    outcome: &'a str,
}

#[derive(Serialize)]
struct Problem<'a> {
    code: Cow<'static, str>,
    message: &'a str,
    advice: Option<&'a str>,
    retry_after_ms: Option<u64>,
}

impl From<PaceStatus> for Pace {
    fn from(pace: PaceStatus) -> Self {
        let PaceStatus {
            left,
            burst,
            period_ms,
            next_at_ms,
        } = pace;
        Self {
            left,
            burst,
            period_ms,
            next_at: rfc3339(next_at_ms),
        }
    }
}

impl<'a> From<&'a LastAttempt> for Attempt<'a> {
    fn from(attempt: &'a LastAttempt) -> Self {
        let LastAttempt {
            kind,
            at_ms,
            duration_ms,
            outcome,
        } = attempt;
        Self {
            kind: kind.name(),
            at: rfc3339(*at_ms),
            duration_ms: *duration_ms,
            outcome,
        }
    }
}

impl<'a> From<&'a Fault> for Problem<'a> {
    fn from(fault: &'a Fault) -> Self {
        let Fault {
            code,
            message,
            advice,
            retry_after_ms,
        } = fault;
        Self {
            code: code.name(),
            message,
            advice: advice.as_deref(),
            retry_after_ms: *retry_after_ms,
        }
    }
}
