//! The table of all accounts, for people.
//!
//! Owns its columns. An account's problem and its advice are printed under its line.

use std::time::Duration;

use jiff::Timestamp;
use tokend_client::AccountStatus;

use super::columns::{columns, wrap};
use crate::words;

pub(super) const HEADINGS: [&str; 6] = [
    "ACCOUNT",
    "STATE",
    "EXPIRES IN",
    "ATTEMPTS LEFT",
    "NEXT ATTEMPT",
    "PROBLEM",
];

/// An aligned table with headings, and wrapped advice under each account with a problem.
pub(crate) fn table(accounts: &[AccountStatus], now: Timestamp, width: usize) -> String {
    let rows: Vec<[String; 6]> = accounts.iter().map(|status| row(status, now)).collect();
    let mut widths = HEADINGS.map(columns);
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = columns(cell).max(*widest);
        }
    }
    let mut text = line(&HEADINGS.map(str::to_owned), widths);
    for (row, status) in rows.iter().zip(accounts) {
        text.push_str(&line(row, widths));
        let Some(problem) = &status.problem else {
            continue;
        };
        for sentence in [Some(&problem.message), problem.advice.as_ref()]
            .into_iter()
            .flatten()
        {
            for wrapped in wrap(&words::plain(sentence), width.saturating_sub(4)) {
                text.push_str("    ");
                text.push_str(&wrapped);
                text.push('\n');
            }
        }
    }
    text
}

pub(super) fn row(status: &AccountStatus, now: Timestamp) -> [String; 6] {
    let expires = match (status.has_token, status.remaining_ms) {
        (false, _) => "-".to_owned(),
        (true, None) => "unknown".to_owned(),
        (true, Some(ms)) if ms < 1000 => "expired".to_owned(),
        (true, Some(ms)) => words::duration(Duration::from_millis(ms)),
    };
    let in_words = |ms| match words::until(now, ms) {
        wait if wait < Duration::from_secs(1) => "now".to_owned(),
        wait => format!("in {}", words::duration(wait)),
    };
    let next = match (status.next_attempt_at_ms, status.attempts.left) {
        (Some(ms), _) => in_words(ms),
        (None, 0) => format!("not before {}", in_words(status.attempts.next_at_ms)),
        (None, _) => "when asked".to_owned(),
    };
    [
        status.account.to_string(),
        status.state.to_string(),
        expires,
        format!("{} of {}", status.attempts.left, status.attempts.burst),
        next,
        status
            .problem
            .as_ref()
            .map_or_else(|| "-".to_owned(), |problem| problem.code.to_string()),
    ]
}

fn line(cells: &[String; 6], widths: [usize; 6]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:width$}"))
        .collect();
    format!("{}\n", padded.join("  ").trim_end())
}
