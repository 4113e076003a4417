//! A token for programs that make the header `Authorization` themselves.
//!
//! Owns the refusal of one that does not belong there.

use tokend_client::Token;

use super::parts::header;
use crate::failure::{Exit, Failure};

/// The scheme that stands before the token in `Authorization`; empty if the API wants the token alone.
pub(crate) fn scheme(token: &Token) -> Result<String, Failure> {
    let (name, prefix) = header(token)?;
    match name.eq_ignore_ascii_case("Authorization") {
        true => Ok(prefix.trim_end().to_owned()),
        false => Err(Failure::new(
            Exit::Config,
            format!(
                "the API of this account wants its token in the header {name}, and this program sends it in Authorization only"
            ),
            "get the token with: tokenctl get ACCOUNT",
        )),
    }
}

/// The token, for programs that send `Authorization: Bearer` and nothing else.
pub(crate) fn bearer(token: &Token) -> Result<&str, Failure> {
    let (name, prefix) = header(token)?;
    let is_bearer =
        name.eq_ignore_ascii_case("Authorization") && prefix.eq_ignore_ascii_case("Bearer ");
    match is_bearer {
        true => Ok(token.access_token.expose()),
        false => Err(Failure::new(
            Exit::Config,
            "the API of this account does not take its token as a bearer token, and this program sends no other",
            "get the token with: tokenctl get ACCOUNT",
        )),
    }
}
