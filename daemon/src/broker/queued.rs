//! The clients that wait for the driver, and how many of them each user has.

use tokend_engine::{AccountKey, WaiterFault as Why};
use tokend_store::EnteredCredential;

use crate::broker::inbox::AnswerSender;
use crate::broker::wording::What;

#[derive(Debug)]
pub(super) struct Queued {
    pub(super) account: AccountKey,
    pub(super) purpose: Purpose,
    pub(super) reply: AnswerSender,
}

/// The result that a client waits for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A token, for this user.
    Token(u32),
    /// The verdict on an entered credential.
    Login(What, Progress),
    Forget,
    /// The removal of a record that cannot be opened.
    Discard,
}

/// How far an entered credential has come.
#[derive(Debug)]
pub(super) enum Progress {
    Entered(Box<EnteredCredential>),
    Trying,
    Sent,
}

impl Progress {
    pub(super) fn in_words(&self, what: &What, why: Why) -> String {
        match (self, why) {
            (Self::Sent, Why::StoreUnavailable { .. }) => format!(
                "the provider accepted {what}, which is used but only in memory until the store can be written"
            ),
            (Self::Sent, Why::TimedOut) => format!("{what} is still being tried"),
            (Self::Sent, Why::Gone | Why::Draining) => {
                format!("{what} was sent, and its outcome will be stored")
            }
            (Self::Sent, _) => format!("{what} is stored and the provider accepted it"),
            (Self::Entered(_) | Self::Trying, _) => {
                format!("{what} is not stored and was not tried")
            }
        }
    }
}
