//! The token that a subscription shows, and why there is none.
//!
//! Owns what a reader sees: one look at shared memory and at the clock, without a lock, a system call or a copy of the token. It is
//! written by the subscription's watch, and a token is taken down as soon as it must not be used.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokend_proto::AccountName;

use crate::{ClientError, Token, WatchEvent, clock};

const FIRST: &str = "the first one has not come yet";
const RETIRED: &str = "the last one must not be used any more, and its successor has not come yet";
const ENDED: &str = "the last one has ended, and its successor has not come yet";

/// What is shown.
#[derive(Debug)]
pub(crate) struct Board {
    account: AccountName,
    shown: ArcSwap<Shown>,
}

#[derive(Debug)]
enum Shown {
    /// A token, and when it ends by [`clock::since_boot`].
    Token(Arc<Token>, Option<Duration>),
    Nothing(ClientError),
}

impl Board {
    pub(crate) fn new(account: AccountName) -> Self {
        let shown = ArcSwap::from_pointee(Shown::Nothing(none(&account, FIRST)));
        Self { account, shown }
    }

    /// The token, if it can be used now.
    pub(crate) fn token(&self) -> Result<Arc<Token>, ClientError> {
        match &**self.shown.load() {
            Shown::Token(token, end) if end.is_none_or(|end| clock::since_boot() < end) => {
                Ok(Arc::clone(token))
            }
            Shown::Token(..) => Err(none(&self.account, ENDED)),
            Shown::Nothing(error) => Err(error.clone()),
        }
    }

    /// Follows what the watch tells.
    pub(crate) fn tell(&self, event: WatchEvent) {
        let shown = match event {
            WatchEvent::Token(token) => {
                let end = token
                    .remaining
                    .map(|left| clock::since_boot().saturating_add(left));
                Shown::Token(Arc::new(token), end)
            }
            WatchEvent::Retired => Shown::Nothing(none(&self.account, RETIRED)),
            WatchEvent::Unavailable(fault) => Shown::Nothing(fault.into()),
        };
        self.shown.store(Arc::new(shown));
    }

    /// The watch is over. Nobody would tell that the token must not be used any more.
    pub(crate) fn is_cut_off(&self, error: ClientError) {
        self.shown.store(Arc::new(Shown::Nothing(error)));
    }

    /// Takes down a token that the daemon has just retired, unless its successor is here already.
    pub(crate) fn retire(&self, refused: &Token) {
        let shown = self.shown.load();
        if matches!(&**shown, Shown::Token(token, _) if token.access_token == refused.access_token)
        {
            let nothing = Shown::Nothing(none(&self.account, RETIRED));
            // Whatever came in between is newer.
            drop(self.shown.compare_and_swap(&shown, Arc::new(nothing)));
        }
    }
}

fn none(account: &AccountName, reason: &'static str) -> ClientError {
    ClientError::NoToken {
        account: account.clone(),
        reason,
    }
}
