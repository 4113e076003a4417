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
use tokend_client::{AccountStatus, CredentialStatus, SinkLine};

use crate::words;

/// The accounts with their sinks as something to serialize.
pub(crate) fn json<'a>(
    accounts: &'a [AccountStatus],
    sinks: &'a [SinkLine],
    credential: Option<&'a CredentialStatus>,
) -> Vec<impl Serialize + use<'a>> {
    let all = accounts.iter();
    all.map(|status| tokend_json::account(status, sinks).with(credential))
        .collect()
}

/// One line for each account, tab-separated; the columns are documented in `status --help`.
pub(crate) fn lines(accounts: &[AccountStatus]) -> String {
    accounts
        .iter()
        .map(|status| columns_of(status).join("\t") + "\n")
        .collect()
}

/// One line for each file that is kept fresh, or is not, for people.
pub(crate) fn sinks(sinks: &[SinkLine]) -> String {
    let line = |it: &SinkLine| {
        let SinkLine {
            account,
            sink,
            uid,
            path,
            problem,
        } = it;
        let (can, why) = match problem {
            None => ("keeps", String::new()),
            Some(problem) => ("cannot keep", format!(": {problem}")),
        };
        let line = format!(
            "sink {sink} of user {uid} {can} {path} with the token of {account} fresh{why}"
        );
        words::plain(&line) + "\n"
    };
    sinks.iter().map(line).collect()
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
