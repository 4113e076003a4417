//! What a record knows about rate limits that several accounts share: those of its login, under any name, and those of its provider's host.
//!
//! Must count an attempt in flight as if it arrived as late as possible.

use tokend_engine::{AttemptKind, HostUsed, LoginUsed, Tat, Timestamp};
use tokend_store::Record;

use tokend_process::clock::Clock;

/// How much of its rate limits the login of a record has used.
pub fn spent(record: &Record, clock: &Clock) -> LoginUsed {
    let at = |wall| clock.restore(&record.anchor, wall).at;
    let intent = record.intent.as_ref();
    let login = intent.filter(|intent| matches!(kind(intent.kind), AttemptKind::Login));
    LoginUsed {
        attempts: Tat(at(record.pace.attempts_tat)),
        logins: Tat(at(record.pace.logins_tat)),
        deferred_until: record
            .deferred_until
            .filter(|_| record.deferred_by_provider)
            .map(at),
        attempt_by: intent.map(|_| sent_by(record, clock)),
        login_by: login.map(|_| sent_by(record, clock)),
    }
}

/// The latest time at which the attempt in flight when this was written can have reached its provider: its own deadline, or now.
fn sent_by(record: &Record, clock: &Clock) -> Timestamp {
    let wall_ms = record.anchor.wall_ms.saturating_add(LONGEST_ATTEMPT_MS);
    let last = clock.restore(&record.anchor, wall_ms).at;
    last.min(clock.steady())
}

/// The longest `[http] timeout`.
const LONGEST_ATTEMPT_MS: i64 = 3_600_000;

/// How much of its rate limit the provider's host has used, as a record knows it. This counts whether or not the account is configured.
pub fn host_used<'a>(record: &'a Record, clock: &Clock) -> Option<(&'a str, HostUsed)> {
    let host = record.host.as_deref()?;
    let at = |wall_ms| clock.restore(&record.anchor, wall_ms).at;
    let used = HostUsed {
        tat: Tat(at(record.pace.host_tat)),
        sent_by: record
            .intent
            .iter()
            .map(|_| sent_by(record, clock))
            .collect(),
    };
    Some((host, used))
}

/// The engine's value for a kind.
pub(super) fn kind(kind: tokend_store::StoredAttemptKind) -> AttemptKind {
    match kind {
        tokend_store::StoredAttemptKind::Login => AttemptKind::Login,
        tokend_store::StoredAttemptKind::Refresh => AttemptKind::Refresh,
    }
}
