//! An access token in JSON, for programs.

use tokend_client::Token;
use tokend_json::Facts;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::who_answered::Daemon;
use crate::{output, words};

/// The token as one line of JSON. Without a daemon it is for a file that is read later, and says nothing that holds only now.
pub(super) fn text(token: &Token, daemon: Option<&Daemon>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut facts = facts(token);
    facts.expires_in = daemon.and(facts.expires_in);
    output::json_line(&tokend_json::token(facts, daemon))
}

/// What JSON says about a token.
pub(crate) fn facts(token: &Token) -> Facts<'_> {
    Facts {
        access_token: token.access_token.expose(),
        token_type: &token.token_type,
        expires_at: token.expires_at.and_then(words::rfc3339_of),
        expires_in: Some(token.remaining.map(|left| left.as_secs())),
        scope: token.scope.as_deref(),
    }
}
