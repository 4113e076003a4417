//! A token that the command is to have.

use std::time::Duration;

use tokend_client::Token;

use super::kept_file;
use crate::clock;

/// A token, and when it ends on the clock that counts since the machine was started.
pub(crate) struct Obtained {
    pub(super) token: Token,
    pub(super) ends: Option<Duration>,
}

impl Obtained {
    /// A token that has just come.
    pub(crate) fn now(token: Token) -> Self {
        let ends = kept_file::ends(&token, clock::since_boot());
        Self { token, ends }
    }

    pub(super) fn secret(&self) -> &str {
        self.token.access_token.expose()
    }
}
