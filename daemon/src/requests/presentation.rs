//! Answers with something else in them than the driver put there.
//!
//! Owns how a token is presented, and what is said in place of one. Must never add a token to an answer.

use tokend_proto::{AccountName, Response};

use super::done::Done;

/// The answer, whose token is presented as the dialect says.
pub(super) fn presented(done: Done, present: String) -> Done {
    let put = |mut response| {
        if let Response::Token(token) = &mut response {
            token.token_type = present;
        }
        response
    };
    match done {
        Done::Now(response) => Done::Now(put(response)),
        Done::Later(pending) => Done::Later(Box::pin(async move { put(pending.await) })),
    }
}

/// What is said instead of a token to whoever may cause one and not have it.
pub(super) fn new_token(account: &AccountName) -> Response {
    Response::Done {
        message: format!("account {account} has a new token"),
    }
}

/// The answer without its token, for whoever may cause one and not have it.
pub(super) fn without_token(done: Done, account: &AccountName) -> Done {
    let instead = new_token(account);
    match done {
        Done::Now(Response::Token(_)) => Done::Now(instead),
        Done::Now(other) => Done::Now(other),
        Done::Later(pending) => Done::Later(Box::pin(async move {
            match pending.await {
                Response::Token(_) => instead,
                other => other,
            }
        })),
    }
}
