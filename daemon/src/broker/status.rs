//! The status of an account, as a client sees it.
//!
//! Owns the translation of the engine's view, the notes and the served token into the status on the wire. Reads only.

use std::time::Duration;

use tokend_engine::{Activity, Pace, Rate, Timestamp, View, WaiterFault};
use tokend_proto::{AccountState, AccountStatus, AttemptKind, FaultCode, LastAttempt, PaceStatus};
use tokend_store as store;

use crate::broker::registry::ServedAccount;
use crate::broker::wording::FaultText;
use tokend_process::clock::Clock;

/// The status of an account the engine knows.
pub(crate) fn of(
    fault_text: &FaultText<'_>,
    served: &ServedAccount,
    view: &View,
    now: Timestamp,
) -> AccountStatus {
    let published = served.cell.token();
    let token = (published.as_ref()).filter(|token| token.held.is_good(now, None));
    let expires = token.and_then(|token| token.held.expires);
    let failed = || {
        let (problem, retry) = (view.problem?, view.earliest.unwrap_or(now).max(now));
        Some(WaiterFault::Failed { problem, retry })
    };
    let problem = view.stop.or_else(failed).map(|why| fault_text.tell(why));
    let code = problem.as_ref().map(|fault| fault.code);
    let state = state(view, token.is_some(), code, now);
    // No other line of a status shows the rate limit of a host.
    let problem = problem.or_else(|| {
        let held = view.host > now && view.earliest == Some(view.host) && token.is_none();
        let kind = view.kind.unwrap_or(tokend_engine::AttemptKind::Login);
        let paced = WaiterFault::Paced {
            retry: view.host,
            by: Pace::Host(kind),
            problem: None,
        };
        held.then(|| fault_text.tell(paced))
    });
    AccountStatus {
        state,
        has_token: token.is_some(),
        expires_at_ms: expires.map(|at| wall(fault_text.clock, at)),
        remaining_ms: expires.map(|at| millis(at.since(now))),
        lifetime_ms: token.and_then(|token| token.held.lifetime()).map(millis),
        has_refresh_token: view.has_refresh_token,
        unpersisted: token.is_some_and(|token| token.unpersisted)
            || view.activity == Activity::Unsaved,
        attempts: pace(view.attempts, fault_text.clock),
        logins: pace(view.logins, fault_text.clock),
        next_attempt_at_ms: view.earliest.map(|at| wall(fault_text.clock, at)),
        problem,
        waiters: u32::try_from(view.waiters).unwrap_or(u32::MAX),
        ..blank(fault_text)
    }
}

/// The status of an account whose record cannot be opened.
pub(crate) fn quarantined(fault_text: &FaultText<'_>, reason: &str) -> AccountStatus {
    AccountStatus {
        state: AccountState::Quarantined,
        problem: Some(fault_text.quarantined(reason)),
        ..blank(fault_text)
    }
}

fn blank(fault_text: &FaultText<'_>) -> AccountStatus {
    let account = fault_text.account;
    let never = PaceStatus {
        left: 0,
        burst: 0,
        period_ms: 0,
        next_at_ms: 0,
    };
    AccountStatus {
        account: account.name.clone(),
        dialect: account.dialect.name().to_owned(),
        base_url: account.endpoint.base_url().to_owned(),
        state: AccountState::Idle,
        has_token: false,
        expires_at_ms: None,
        remaining_ms: None,
        lifetime_ms: None,
        has_refresh_token: false,
        unpersisted: false,
        attempts: never,
        logins: never,
        next_attempt_at_ms: None,
        last_attempt: fault_text.notes.last_attempt.as_ref().map(last_attempt),
        problem: None,
        waiters: 0,
    }
}

fn state(view: &View, has_token: bool, problem: Option<FaultCode>, now: Timestamp) -> AccountState {
    let waits = view.earliest.is_some_and(|earliest| earliest > now);
    match (view.activity, view.stop, problem) {
        (Activity::Unsaved, _, _) => AccountState::Unpersisted,
        (_, Some(WaiterFault::Misconfigured | WaiterFault::Unfit), _) => {
            AccountState::Misconfigured
        }
        // A held token is served until it expires, whatever state comes next.
        (_, Some(_), _) if !has_token => AccountState::LoginRequired,
        (Activity::Queued, _, None) if !has_token && view.host > now => AccountState::Paced,
        (Activity::Attempting(_) | Activity::Queued | Activity::Saving, _, _) if !has_token => {
            AccountState::Obtaining
        }
        _ if has_token => AccountState::Valid,
        (_, _, Some(FaultCode::InDoubt)) => AccountState::InDoubt,
        (_, _, Some(_)) if waits => AccountState::BackingOff,
        _ if waits => AccountState::Paced,
        _ => AccountState::Idle,
    }
}

fn last_attempt(last: &store::StoredAttempt) -> LastAttempt {
    LastAttempt {
        kind: match last.kind {
            store::StoredAttemptKind::Login => AttemptKind::Login,
            store::StoredAttemptKind::Refresh => AttemptKind::Refresh,
        },
        at_ms: u64::try_from(last.at).unwrap_or(0),
        duration_ms: last.duration_ms,
        outcome: last.outcome.clone(),
    }
}

fn pace((rate, left, next): (Rate, u32, Timestamp), clock: &Clock) -> PaceStatus {
    PaceStatus {
        left,
        burst: rate.burst(),
        period_ms: millis(rate.period()),
        next_at_ms: wall(clock, next),
    }
}

/// How many bytes a status takes in a frame, at most.
pub(crate) fn size_of(status: &AccountStatus) -> usize {
    let problem = status.problem.as_ref().map_or(0, |fault| {
        fault.message.len() + fault.advice.as_ref().map_or(0, String::len)
    });
    let last = status
        .last_attempt
        .as_ref()
        .map_or(0, |last| last.outcome.len());
    // More than all numbers and lengths together need.
    512 + status.account.as_str().len()
        + status.dialect.len()
        + status.base_url.len()
        + problem
        + last
}

fn wall(clock: &Clock, at: Timestamp) -> u64 {
    u64::try_from(clock.to_wall(at)).unwrap_or(0)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokend_engine::{AttemptKind, Missing, Problem};

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn each_state_has_its_reasons() {
        let now = Timestamp::from_millis(1_000_000);
        let later = now.after(Duration::from_secs(60));
        let rate = Rate::new(1, Duration::from_secs(60)).unwrap();
        let resting = View {
            activity: Activity::Resting,
            held: None,
            has_refresh_token: false,
            in_doubt: false,
            block: None,
            problem: None,
            failures: 0,
            no_verdict: tokend_engine::NoVerdict::default(),
            stop: None,
            attempts: (rate, 1, now),
            logins: (rate, 1, now),
            kind: Some(AttemptKind::Login),
            host: now,
            earliest: Some(now),
            planned: None,
            waiters: 0,
        };
        let doing = |activity| View {
            activity,
            ..resting
        };
        let stopped = |stop| View {
            stop: Some(stop),
            earliest: None,
            ..resting
        };
        let waiting = View {
            earliest: Some(later),
            ..resting
        };
        let required = WaiterFault::LoginRequired(Missing::NoCredential);
        let attempting = Activity::Attempting(AttemptKind::Login);
        let busy = Some(FaultCode::ProviderBusy);
        for (view, has_token, problem, expected) in [
            (resting, false, None, AccountState::Idle),
            (resting, true, None, AccountState::Valid),
            (doing(attempting), false, None, AccountState::Obtaining),
            (
                doing(Activity::Queued),
                false,
                None,
                AccountState::Obtaining,
            ),
            (
                doing(Activity::Saving),
                false,
                None,
                AccountState::Obtaining,
            ),
            (doing(attempting), true, None, AccountState::Valid),
            (
                doing(Activity::Unsaved),
                true,
                None,
                AccountState::Unpersisted,
            ),
            (
                doing(Activity::Unsaved),
                false,
                None,
                AccountState::Unpersisted,
            ),
            (
                stopped(required),
                false,
                Some(FaultCode::LoginRequired),
                AccountState::LoginRequired,
            ),
            (
                stopped(required),
                true,
                Some(FaultCode::LoginRequired),
                AccountState::Valid,
            ),
            (
                stopped(WaiterFault::Misconfigured),
                true,
                Some(FaultCode::Misconfigured),
                AccountState::Misconfigured,
            ),
            (
                stopped(WaiterFault::Unfit),
                false,
                Some(FaultCode::Misconfigured),
                AccountState::Misconfigured,
            ),
            (waiting, false, None, AccountState::Paced),
            (
                View {
                    activity: Activity::Queued,
                    host: later,
                    ..waiting
                },
                false,
                None,
                AccountState::Paced,
            ),
            (waiting, false, busy, AccountState::BackingOff),
            (waiting, true, busy, AccountState::Valid),
            (resting, false, busy, AccountState::Idle),
            (
                View {
                    problem: Some(Problem::InDoubt),
                    ..waiting
                },
                false,
                Some(FaultCode::InDoubt),
                AccountState::InDoubt,
            ),
        ] {
            assert_eq!(
                state(&view, has_token, problem, now),
                expected,
                "{view:?} {has_token} {problem:?}"
            );
        }
    }
}
