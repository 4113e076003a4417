//! The command `keyring` of Python, which pip, uv and others start for the password of an index, and the backend in `client/keyring`.
//!
//! Source: keyring's `cli.py` 25.7, pip's `network/auth.py` 23.2 and uv 0.13, read 2026-11-30. Owns what they are told: the token and nothing
//! else, or the user name on a line before it. Exit code 1 without a word means "nothing here", as with keyring itself.
//!
//! A service is ours only as a URL. pip and uv ask for the bare host next, from which nobody can tell whether the token would go in clear.

use super::caller::Caller;
use super::destination::{Destination, Found, at_url, several};
use crate::failure::{Exit, Failure};
use crate::{output, token};

/// What servers take beside an access token, unless they want another name.
const USER: &str = "oauth2";

pub(super) fn answer(caller: &Caller<'_>) -> Result<(), Failure> {
    let Some(service) = caller.options.about.first() else {
        return Err(Failure::usage(
            "the service is missing",
            "write: tokenctl helper keyring get URL [USER]",
        ));
    };
    let to = at_url(service);
    match caller.options.operation.as_str() {
        "get" => get(caller, to.as_ref()),
        "set" => kept(caller, to.as_ref(), "nothing was stored"),
        "del" => kept(caller, to.as_ref(), "nothing was deleted"),
        _ => Err(Failure::usage(
            "keyring has no such operation here",
            "use get, set or del",
        )),
    }
}

fn get(caller: &Caller<'_>, to: Option<&Destination>) -> Result<(), Failure> {
    let Some(to) = to else {
        return Err(Failure::silent(Exit::NoCredential));
    };
    let mut client = caller.connect()?;
    let account = match caller.account(&mut client, std::slice::from_ref(to))? {
        Found::Account(account) => account,
        Found::Several(one, other) => return Err(several(&one, &other, to)),
        _ => return Err(Failure::silent(Exit::NoCredential)),
    };
    let token = caller.token(&mut client, account)?;
    // An API that wants a cookie takes no password.
    token::scheme(&token)?;
    let asked = caller.options.about.get(1).map(String::as_str);
    let asked = asked.filter(|user| !user.is_empty() && !user.contains(char::is_control));
    let user = caller.options.user.as_deref().or(asked).unwrap_or(USER);
    let secret = token.access_token.expose();
    match caller.options.with_user {
        true => output::print(&token::lines(&[user, "\n", secret, "\n"])),
        false => output::print(&token::lines(&[secret, "\n"])),
    }
}

/// tokend keeps what belongs to an account, and nothing of others.
fn kept(caller: &Caller<'_>, to: Option<&Destination>, what: &str) -> Result<(), Failure> {
    let found = match to {
        Some(to) => caller.account(&mut caller.connect()?, std::slice::from_ref(to))?,
        None => Found::Nothing,
    };
    let (exit, why) = match found {
        Found::Account(account) => (
            Exit::Config,
            format!("{what}: tokend obtains the tokens of {account} itself"),
        ),
        _ => (
            Exit::NoCredential,
            format!("{what}: no account is for this address"),
        ),
    };
    Err(Failure::new(
        exit,
        why,
        "enter a credential with: tokenctl login ACCOUNT; tokenctl forget ACCOUNT deletes it",
    ))
}
