//! The status of accounts, for people, scripts and programs.
//!
//! Owns the shapes: columns for scripts here, table, detail view and live table for people, objects for programs. All of them are
//! pure: the time and the width are arguments. None ever holds a secret, because a status carries none.

mod columns;
mod detail;
mod live;
mod table;

pub(crate) use columns::wrap;
pub(crate) use detail::detail;
pub(crate) use live::{Canvas, Known, live};
pub(crate) use table::table;

use serde::Serialize;
use tokend_client::AccountStatus;

use crate::words;

/// The accounts as something to serialize.
pub(crate) fn json(accounts: &[AccountStatus]) -> Vec<impl Serialize> {
    accounts.iter().map(tokend_json::account).collect()
}

/// One line for each account, tab-separated; the columns are documented in `status --help`.
pub(crate) fn lines(accounts: &[AccountStatus]) -> String {
    accounts
        .iter()
        .map(|status| columns_of(status).join("\t") + "\n")
        .collect()
}

fn columns_of(status: &AccountStatus) -> [String; 8] {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    [
        status.account.to_string(),
        status.state.to_string(),
        or_dash(status.remaining_ms.map(|ms| (ms / 1000).to_string())),
        or_dash(status.expires_at_ms.and_then(words::rfc3339)),
        status.attempts.left.to_string(),
        status.logins.left.to_string(),
        or_dash(status.next_attempt_at_ms.and_then(words::rfc3339)),
        or_dash(
            status
                .problem
                .as_ref()
                .map(|problem| problem.code.to_string()),
        ),
    ]
}

#[cfg(test)]
mod tests;
