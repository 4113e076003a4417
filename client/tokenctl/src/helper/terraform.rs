//! A credentials helper of Terraform and OpenTofu, under the name `terraform-credentials-tokenctl`.
//!
//! Source: developer.hashicorp.com/terraform/internals/credentials-helpers, read 2026-11-30; opentofu.org has the same. Owns what they are told.
//! They name a host, whose services they all give the token, and read an empty object as "go on without"; standard error of a failed helper
//! goes to their log.

use serde::Serialize;

use super::caller::Caller;
use super::destination::{Destination, Found, several};
use super::question;
use crate::failure::{Exit, Failure};
use crate::{output, token};

pub(super) fn answer(caller: &Caller<'_>) -> Result<(), Failure> {
    let Some(host) = caller.options.about.first() else {
        return Err(Failure::usage(
            "the host is missing",
            "let terraform start it: credentials_helper \"tokenctl\" {} in ~/.terraformrc",
        ));
    };
    match caller.options.operation.as_str() {
        "get" => get(caller, host),
        // `terraform login` has obtained a token of its own. It would be lost.
        "store" => {
            // Who writes must not meet a closed pipe.
            drop(question::read()?);
            Err(Failure::new(
                Exit::Config,
                "nothing was stored: tokend obtains its tokens itself",
                "give the account a login with: tokenctl login ACCOUNT",
            ))
        }
        // Nothing of terraform is kept here, which is what it wants to reach.
        "forget" => Ok(()),
        _ => Err(Failure::usage(
            "terraform has no such operation",
            "use get, store or forget",
        )),
    }
}

#[derive(Serialize)]
struct Credentials<'a> {
    token: &'a str,
}

fn get(caller: &Caller<'_>, host: &str) -> Result<(), Failure> {
    // These services speak TLS only.
    let Some(to) = Destination::new("https", host, None) else {
        return output::print(b"{}\n");
    };
    let mut client = caller.connect()?;
    let account = match caller.account(&mut client, std::slice::from_ref(&to))? {
        Found::Account(account) => account,
        Found::Several(one, other) => return Err(several(&one, &other, &to)),
        Found::NeedsPath(account) => {
            return Err(Failure::new(
                Exit::Config,
                format!(
                    "the token of {account} is for a part of {to} only, and terraform would send it to all of it"
                ),
                format!(
                    "add \"{to}\" to urls of [account.{}.api] if the token may go there",
                    account.toml_key()
                ),
            ));
        }
        Found::Nothing => return output::print(b"{}\n"),
    };
    let token = caller.token(&mut client, account)?;
    match token::scheme(&token)?.as_str() {
        "Bearer" => output::print_json(&Credentials {
            token: token.access_token.expose(),
        }),
        _ => Err(Failure::new(
            Exit::Config,
            "the API of this account does not want a bearer token, and terraform sends it as one",
            "correct present in [api] of the account or its dialect",
        )),
    }
}
