//! A credential helper of docker, podman and skopeo, under the name `docker-credential-tokenctl`.
//!
//! Source: github.com/docker/docker-credential-helpers. Owns what they are told: on standard output, also what went wrong, with exit code 1.
//! They pass no options and never say that a token was refused. What the helper does not list, docker does not hand to its engine.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::caller::Caller;
use super::destination::{Found, named, several};
use super::question;
use crate::failure::{Exit, Failure};
use crate::{clock, output, token, words};

/// The very words by which the callers know that there is nothing for a registry, and go on without.
const NOTHING: &str = "credentials not found in native keychain";
/// What registries take beside an access token, unless they want another name.
const USER: &str = "oauth2";

pub(super) fn answer(caller: &Caller<'_>) -> Result<(), Failure> {
    let answered = match caller.options.operation.as_str() {
        "get" => get(caller),
        "store" => store(caller),
        // Without the token nothing can be reported, and the daemon keeps what it has.
        "erase" => Ok(()),
        // docker would fetch the token of every registry that is listed, and pass all of them to its engine.
        "list" => output::print(b"{}\n"),
        "version" => {
            let version = concat!(
                "docker-credential-tokenctl v",
                env!("CARGO_PKG_VERSION"),
                "\n"
            );
            output::print(version.as_bytes())
        }
        _ => Err(Failure::usage(
            "docker has no such operation",
            "use get, store, erase, list or version",
        )),
    };
    answered.or_else(|failure| {
        // Some commands of docker do not show what they are told here, but all show standard error.
        if !failure.is_silent() {
            output::print(format!("{}\n", failure.line(clock::now())).as_bytes())?;
        }
        Err(failure.ending_with(Exit::NoCredential))
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credential<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

fn get(caller: &Caller<'_>) -> Result<(), Failure> {
    let bytes = question::read()?;
    let server = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    let to = named(server);
    let mut client = caller.connect()?;
    let account = match (caller.account(&mut client, &to)?, to.first()) {
        (Found::Account(account), _) => account,
        (Found::Several(one, other), Some(to)) => return Err(several(&one, &other, to)),
        _ => {
            output::print(format!("{NOTHING}\n").as_bytes())?;
            return Err(Failure::silent(Exit::NoCredential));
        }
    };
    let token = caller.token(&mut client, account)?;
    // Registries get it as a password, and so does whoever gives out their own tokens; an API that wants a cookie is none of them.
    token::scheme(&token)?;
    output::print_json(&Credential {
        server_url: server,
        username: caller.options.user.as_deref().unwrap_or(USER),
        secret: token.access_token.expose(),
    })
}

/// What is read of a credential that a person entered with `docker login`.
#[derive(Deserialize)]
struct Entered<'a> {
    #[serde(rename = "ServerURL", borrow)]
    server_url: Cow<'a, str>,
}

/// A login at a registry that has an account used the token of that account: there is nothing to store. Any other would be lost.
fn store(caller: &Caller<'_>) -> Result<(), Failure> {
    let bytes: Zeroizing<Vec<u8>> = question::read()?;
    let entered: Entered<'_> = serde_json::from_slice(&bytes).map_err(|_error| {
        // The parser's own words may repeat the secret.
        Failure::usage(
            "what docker wants to store is not a credential",
            "let docker ask it",
        )
    })?;
    let to = named(&entered.server_url);
    let mut client = caller.connect()?;
    match caller.account(&mut client, &to)? {
        Found::Account(_) => Ok(()),
        _ => Err(Failure::new(
            Exit::Config,
            format!(
                "no account is for {}, so nothing was stored",
                words::plain(&entered.server_url)
            ),
            "name another helper for it in credHelpers of docker's config.json, or add its address to the urls of an account",
        )),
    }
}
