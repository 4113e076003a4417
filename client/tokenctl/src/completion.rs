//! The answers for the scripts in `completions`, which ask at each press of the tab key.
//!
//! Owns the names of accounts among the answers. If the daemon is absent or slow, there are no names, and never
//! a message or a noticeable wait.

use std::path::Path;
use std::time::Duration;

use tokend_client::{BlockingClient, SocketPath};
use tokend_completion::{Answers, complete};

use crate::deadline::within;
use crate::failure::Failure;
use crate::{arguments, output};

/// How long the daemon may take to name its accounts.
const PATIENCE: Duration = Duration::from_millis(500);

/// Prints the words that can follow `words`, whose last one may be incomplete.
pub(crate) fn answer(words: &[String]) -> Result<(), Failure> {
    let answers = complete(arguments::grammar(), words, |argument, typed| {
        let accounts = || Answers::words(accounts(typed.value("socket")));
        (argument == "account").then(accounts)
    });
    output::print(answers.lines().as_bytes())
}

/// The accounts the caller may use, with their dialects; none if the daemon does not answer in time.
fn accounts(socket: Option<&str>) -> Vec<(String, String)> {
    let socket = socket.map(str::to_owned);
    within(PATIENCE, move || ask(socket.as_deref()))
        .flatten()
        .unwrap_or_default()
}

fn ask(socket: Option<&str>) -> Option<Vec<(String, String)>> {
    let socket = SocketPath::find(socket.map(Path::new)).ok()?;
    let accounts = BlockingClient::connect(&socket).ok()?.list().ok()?;
    let named = accounts
        .into_iter()
        .map(|line| (line.account.to_string(), line.dialect));
    Some(named.collect())
}
