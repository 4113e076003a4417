//! Attempts as the shell sees them: the tasks that carry them, and one log line for each.
//!
//! Owns the words of that line and of `status`. Must never lose an attempt: a task that dies still reports.

use std::sync::Arc;

use tokend_config::{Account, AuditEvent};
use tokend_engine::{AttemptCause, AttemptOutcome, Attempted, ProviderAnswer, Timestamp};
use tokend_store::StoredAttempt;

use crate::broker::accounts::AccountEntry;
use crate::broker::wording::duration;
use tokend_audit::{Audit, Event, Outcome};
use tokend_metrics::Counters;
use tokend_process::clock::Clock;

/// The places beside the log where attempts are noted.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    pub(crate) audit: Audit,
    pub(crate) counters: Arc<Counters>,
}

/// Notes a finished attempt; writes its log line and its audit record.
pub(crate) fn note(
    entry: &mut AccountEntry,
    attempted: &Attempted,
    clock: &Clock,
    telemetry: &Telemetry,
) {
    let Telemetry { audit, counters } = telemetry;
    let attempt = attempted.attempt;
    let took = attempted.ended.since(attempt.began);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let outcome = AttemptOutcome::of(attempted.answer);
    let message = match attempt.cause {
        // This message is about the entered credential, which is not the account's.
        AttemptCause::Entered => entry.trial.as_ref().and_then(|it| it.message.as_deref()),
        AttemptCause::Get | AttemptCause::Ahead | AttemptCause::Rejected | AttemptCause::Forced => {
            entry.notes.message.as_deref()
        }
    };
    let message = message.unwrap_or_default();
    let account = &entry.served.account;
    let next = next(attempted.next, attempted.ended, clock);
    log(account, attempted, outcome, took_ms, message, &next);
    let dialect = account.dialect.name();
    let tried = entry.tried.get_or_insert_default();
    counters.attempted(dialect, attempt.kind, outcome, took, tried);
    if audit.wants(AuditEvent::Attempt) {
        audit.note(audited(account, attempted, outcome, took_ms, message));
    }
    entry.notes.last_attempt = Some(StoredAttempt {
        id: attempt.id.0,
        kind: tokend_record::stored_kind(attempt.kind),
        at: clock.to_wall(attempt.began),
        duration_ms: took_ms,
        outcome: match message {
            "" => outcome.as_str().to_owned(),
            message => format!("{}: {message}", outcome.as_str()),
        },
    });
}

fn log(
    account: &Account,
    attempted: &Attempted,
    outcome: AttemptOutcome,
    took_ms: u64,
    message: &str,
    next: &str,
) {
    let (account, attempt) = (account.name.as_str(), attempted.attempt);
    let (kind, reason, outcome) = (
        attempt.kind.as_str(),
        attempt.cause.as_str(),
        outcome.as_str(),
    );
    let attempt = attempt.id.0;
    let Some(ProviderAnswer::Granted(facts)) = attempted.answer else {
        tracing::warn!(
            account,
            attempt,
            kind,
            reason,
            outcome,
            told = message,
            took_ms,
            next,
            "attempt"
        );
        return;
    };
    let lifetime = facts
        .lifetime
        .map_or_else(|| "unknown".to_owned(), duration);
    tracing::info!(
        account, attempt, kind, reason, outcome, took_ms, lifetime, next, "attempt"
    );
    if !message.is_empty() {
        tracing::warn!(
            account,
            attempt,
            told = message,
            "not all of the provider's answer could be used"
        );
    }
}

fn audited(
    account: &Account,
    attempted: &Attempted,
    outcome: AttemptOutcome,
    took_ms: u64,
    message: &str,
) -> Event {
    let attempt = attempted.attempt;
    let by_person = matches!(attempt.cause, AttemptCause::Forced | AttemptCause::Entered);
    Event {
        account: Some(account.name.clone()),
        forced: Some(by_person),
        attempt: Some(Box::new(tokend_audit::Attempt {
            id: attempt.id.0,
            kind: attempt.kind,
            cause: attempt.cause,
            took_ms,
            dialect: account.dialect.name().into(),
        })),
        detail: (!message.is_empty()).then(|| message.into()),
        ..Event::new(AuditEvent::Attempt, Outcome::Attempt(outcome))
    }
}

/// When the next attempt may be made, for the log.
fn next(at: Timestamp, now: Timestamp, clock: &Clock) -> String {
    if at == Timestamp::FAR {
        return "when-something-changes".to_owned();
    }
    if at <= now {
        return "now".to_owned();
    }
    match jiff::Timestamp::from_millisecond(clock.to_wall(at)) {
        Ok(at) => at.round(jiff::Unit::Second).unwrap_or(at).to_string(),
        Err(_) => "far".to_owned(),
    }
}
