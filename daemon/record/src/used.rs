//! What a record knows of paces that are not its account's alone: those of its login, whatever its name, and of its provider's host.
//!
//! Must count an attempt that was under way as one that arrived as late as it may have.

use tokend_engine::{AttemptKind, HostUsed, LoginUsed, Tat, Timestamp};
use tokend_store::Record;

use tokend_process::clock::Clock;

/// What the login of a record has used up of its paces.
pub fn spent(record: &Record, clock: &Clock) -> LoginUsed {
    let at = |wall| clock.restore(&record.anchor, wall).at;
    let intent = record.intent.as_ref();
    let login = intent.filter(|intent| matches!(kind(intent.kind), AttemptKind::Login));
    LoginUsed {
        attempts: Tat(at(record.pace.attempts_tat)),
        logins: Tat(at(record.pace.logins_tat)),
        told: record
            .deferred_until
            .filter(|_| record.deferral_told)
            .map(at),
        attempt_by: intent.map(|_| sent_by(record, clock)),
        login_by: login.map(|_| sent_by(record, clock)),
    }
}

/// By when the attempt had come to its provider that was under way when this was written: its own end, or now.
fn sent_by(record: &Record, clock: &Clock) -> Timestamp {
    let wall_ms = record.anchor.wall_ms.saturating_add(LONGEST_ATTEMPT_MS);
    let last = clock.restore(&record.anchor, wall_ms).at;
    last.min(clock.steady())
}

/// The longest `[http] timeout`.
const LONGEST_ATTEMPT_MS: i64 = 3_600_000;

/// How far its provider's host is used up, as a record knows it. That counts whether or not its account is configured.
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

/// The engine's word for a kind.
pub(super) fn kind(kind: tokend_store::StoredAttemptKind) -> AttemptKind {
    match kind {
        tokend_store::StoredAttemptKind::Login => AttemptKind::Login,
        tokend_store::StoredAttemptKind::Refresh => AttemptKind::Refresh,
    }
}
