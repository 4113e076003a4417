//! Tokens as peers get them, and the answers in place of a token.
//!
//! Owns how a token is presented. Must never add a token to an answer.

use std::time::Duration;

use tokend_engine::Timestamp;
use tokend_process::clock::Clock;
use tokend_proto::{AccountName, Response, Token};

use super::parts::Requests;
use crate::broker::publications::IssuedToken;
use crate::broker::registry::ServedAccount;

impl Requests {
    pub(super) fn present(
        &self,
        served: &ServedAccount,
        token: &IssuedToken,
        now: Timestamp,
    ) -> Token {
        presentable(served, token, now, &self.clock)
    }
}

/// The token in the form that the dialect describes.
pub(super) fn presentable(
    served: &ServedAccount,
    token: &IssuedToken,
    now: Timestamp,
    clock: &Clock,
) -> Token {
    let mut shown = wire_token(token, now, clock);
    if let Some(present) = served.account.api().present() {
        shown.token_type = present.to_owned();
    }
    shown
}

pub(super) fn wire_token(token: &IssuedToken, now: Timestamp, clock: &Clock) -> Token {
    let expires = token.held.expires;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Token {
        access_token: token.token.text.clone(),
        token_type: token.token.token_type.to_string(),
        expires_at_ms: expires.map(|at| u64::try_from(clock.to_wall(at)).unwrap_or(0)),
        remaining_ms: expires.map(|at| millis(at.since(now))),
        scope: token.token.scope.as_deref().map(str::to_owned),
        grant: token.held.grant.0,
    }
}

/// The answer in place of a token, for a peer that may cause a token and not have it.
pub(super) fn new_token(account: &AccountName) -> Response {
    Response::Done {
        message: format!("account {account} has a new token"),
    }
}
