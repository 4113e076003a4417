//! Everything about one account, for people.
//!
//! Owns its lines: a name on the left, what is known on the right, wrapped.

use std::time::Duration;

use jiff::Timestamp;
use tokend_client::{AccountStatus, CredentialField, CredentialStatus, PaceStatus, SecretOrigin};

use super::columns::{columns, wrap};
use crate::words;

/// A list of names and values that shows every field of a status, and of what the account logs in with where that is known.
pub(crate) fn detail(
    status: &AccountStatus,
    credential: Option<&CredentialStatus>,
    now: Timestamp,
    width: usize,
) -> String {
    let mut lines = vec![
        ("account", status.account.to_string()),
        (
            "provider",
            format!("{}, in the dialect {}", status.base_url, status.dialect),
        ),
        ("state", status.state.to_string()),
        ("access token", access_token(status, now)),
        ("refresh token", refresh_token(status, credential, now)),
        ("stored", stored(status)),
        ("attempts", pace(status.attempts, now)),
        ("logins", pace(status.logins, now)),
        ("next attempt", next_attempt(status, now)),
        ("last attempt", last_attempt(status, now)),
        ("waiting", requests(status.waiters)),
    ];
    for field in credential.into_iter().flat_map(|it| &it.fields) {
        // A secret that no login needs is of interest only if there is one.
        if field.required || field.origin != SecretOrigin::Missing {
            lines.push(("secret", secret(status, field, now)));
        }
    }
    if let Some(problem) = &status.problem {
        lines.push(("problem", format!("{} ({})", problem.message, problem.code)));
        if let Some(advice) = &problem.advice {
            lines.push(("advice", advice.clone()));
        }
        if let Some(ms) = problem.retry_after_ms {
            lines.push(("try again", words::moment(now, Duration::from_millis(ms))));
        }
    }
    let name_width = lines
        .iter()
        .map(|(name, _)| columns(name))
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (name, value) in lines {
        let mut name = name;
        for wrapped in wrap(&words::plain(&value), width.saturating_sub(name_width + 2)) {
            text.push_str(&format!("{name:name_width$}  {wrapped}\n"));
            name = "";
        }
    }
    text
}

fn access_token(status: &AccountStatus, now: Timestamp) -> String {
    let lifetime = match status.lifetime_ms {
        Some(ms) => format!(
            ", of a lifetime of {}",
            words::duration(Duration::from_millis(ms))
        ),
        None => String::new(),
    };
    match (status.has_token, status.remaining_ms, status.expires_at_ms) {
        (false, ..) => "none".to_owned(),
        (true, Some(ms), _) if ms < 1000 => format!("expired{lifetime}"),
        (true, Some(ms), _) => {
            format!(
                "expires {}{lifetime}",
                words::moment(now, Duration::from_secs(ms / 1000))
            )
        }
        (true, None, Some(at)) => format!("expires {}{lifetime}", words::moment_at(now, at)),
        (true, None, None) => "held; the provider does not say how long it lives".to_owned(),
    }
}

fn refresh_token(
    status: &AccountStatus,
    credential: Option<&CredentialStatus>,
    now: Timestamp,
) -> String {
    let entered = credential.and_then(|it| {
        let (at, by) = (it.refresh_entered_at_ms, it.refresh_entered_by);
        (at.is_some() || by.is_some()).then(|| entry(at, by, now))
    });
    match (status.has_refresh_token, entered) {
        (false, _) => "none".to_owned(),
        (true, None) => "held".to_owned(),
        (true, Some(entered)) => format!("held, from one that was {entered}"),
    }
}

fn secret(status: &AccountStatus, field: &CredentialField, now: Timestamp) -> String {
    let name = &field.field;
    match field.origin {
        SecretOrigin::Missing => {
            format!(
                "{name}: missing; enter it with: tokenctl login {}",
                status.account
            )
        }
        SecretOrigin::Entered => {
            let entered = entry(field.entered_at_ms, field.entered_by, now);
            format!("{name}: {entered}")
        }
        SecretOrigin::Configured => format!("{name}: from the place that the configuration names"),
        other => format!("{name}: {other}"),
    }
}

/// `entered 3 d ago by user 1000`.
fn entry(at: Option<u64>, by: Option<u32>, now: Timestamp) -> String {
    let when = at.map(|at| format!(" {} ago", words::duration(words::since(now, at))));
    let who = by.map(|by| format!(" by user {by}"));
    format!(
        "entered{}{}",
        when.unwrap_or_default(),
        who.unwrap_or_default()
    )
}

fn stored(status: &AccountStatus) -> String {
    match status.unpersisted {
        false => "yes".to_owned(),
        true => {
            "no: the newest credential is in memory only, because the store refused it".to_owned()
        }
    }
}

fn pace(pace: PaceStatus, now: Timestamp) -> String {
    let PaceStatus {
        left,
        burst,
        period_ms,
        next_at_ms,
    } = pace;
    let period = words::duration(Duration::from_millis(period_ms));
    let next = words::moment_at(now, next_at_ms);
    format!("{left} of {burst} left, one more every {period}; allowed {next}")
}

fn next_attempt(status: &AccountStatus, now: Timestamp) -> String {
    match status.next_attempt_at_ms {
        Some(ms) => words::moment_at(now, ms),
        None => "when somebody asks".to_owned(),
    }
}

fn last_attempt(status: &AccountStatus, now: Timestamp) -> String {
    let Some(last) = &status.last_attempt else {
        return "none yet".to_owned();
    };
    let took = words::duration(Duration::from_millis(last.duration_ms));
    match words::since(now, last.at_ms) {
        ago if ago < Duration::from_secs(1) => {
            format!("{} just now, took {took}: {}", last.kind, last.outcome)
        }
        ago => format!(
            "{} {} ago, took {took}: {}",
            last.kind,
            words::duration(ago),
            last.outcome
        ),
    }
}

fn requests(waiters: u32) -> String {
    match waiters {
        0 => "nobody".to_owned(),
        1 => "1 request".to_owned(),
        more => format!("{more} requests"),
    }
}
