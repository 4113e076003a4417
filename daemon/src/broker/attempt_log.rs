//! Attempts as the shell sees them: the tasks that carry them, and one log line for each.
//!
//! Owns the words of that line and of `status`. Must never lose an attempt: a task that dies still reports.

use std::sync::Arc;

use tokend_config::AuditEvent;
use tokend_engine::{AttemptCause, AttemptOutcome, Attempted, ProviderAnswer, Timestamp};
use tokend_store::StoredAttempt;

use crate::broker::accounts::AccountEntry;
use crate::broker::wording::duration;
use tokend_audit::Audit;
use tokend_metrics::Counters;
use tokend_process::clock::Clock;

/// The places beside the log where attempts are noted.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    pub(crate) audit: Audit,
    pub(crate) counters: Arc<Counters>,
}

/// Notes a finished attempt; writes its log line and its audit record.
#[expect(
    clippy::too_many_lines,
    reason = "the line, the count and the record of one attempt, from the same values"
)]
pub(crate) fn note(
    entry: &mut AccountEntry,
    attempted: &Attempted,
    clock: &Clock,
    telemetry: &Telemetry,
) {
    let Telemetry { audit, counters } = telemetry;
    let attempt = attempted.attempt;
    let took = attempted.ended.since(attempt.began);
    let ended_as = AttemptOutcome::of(attempted.answer);
    let outcome = ended_as.as_str();
    let said = match attempt.cause {
        // These words are about the entered credential, which is not the account's.
        AttemptCause::Entered => entry
            .trial
            .as_ref()
            .and_then(|said| said.message.as_deref()),
        AttemptCause::Get | AttemptCause::Ahead | AttemptCause::Rejected | AttemptCause::Forced => {
            entry.notes.message.as_deref()
        }
    };
    let message = said.unwrap_or_default();
    let kind = attempt.kind.as_str();
    let reason = attempt.cause.as_str();
    let next = next(attempted.next, attempted.ended, clock);
    let account = entry.served.account.name.as_str();
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match attempted.answer {
        Some(ProviderAnswer::Granted(facts)) => {
            let lifetime = facts
                .lifetime
                .map_or_else(|| "unknown".to_owned(), duration);
            tracing::info!(
                account,
                attempt = attempt.id.0,
                kind,
                reason,
                outcome,
                took_ms,
                lifetime,
                next,
                "attempt"
            );
            if !message.is_empty() {
                tracing::warn!(
                    account,
                    attempt = attempt.id.0,
                    told = message,
                    "not all of the provider's answer could be used"
                );
            }
        }
        _ => tracing::warn!(
            account,
            attempt = attempt.id.0,
            kind,
            reason,
            outcome,
            told = message,
            took_ms,
            next,
            "attempt"
        ),
    }
    let dialect = entry.served.account.dialect.name();
    let tried = entry.tried.get_or_insert_default();
    counters.attempted(dialect, attempt.kind, ended_as, took, tried);
    if audit.wants(AuditEvent::Attempt) {
        audit.note(tokend_audit::Event {
            account: Some(entry.served.account.name.clone()),
            forced: Some(matches!(
                attempt.cause,
                AttemptCause::Forced | AttemptCause::Entered
            )),
            attempt: Some(Box::new(tokend_audit::Attempt {
                id: attempt.id.0,
                kind: attempt.kind,
                cause: attempt.cause,
                took_ms,
                dialect: entry.served.account.dialect.name().into(),
            })),
            detail: (!message.is_empty()).then(|| message.into()),
            ..tokend_audit::Event::new(
                AuditEvent::Attempt,
                tokend_audit::Outcome::Attempt(ended_as),
            )
        });
    }
    entry.notes.last_attempt = Some(StoredAttempt {
        id: attempt.id.0,
        kind: tokend_record::stored_kind(attempt.kind),
        at: clock.to_wall(attempt.began),
        duration_ms: took_ms,
        outcome: if message.is_empty() {
            outcome.to_owned()
        } else {
            format!("{outcome}: {message}")
        },
    });
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
