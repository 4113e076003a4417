//! What a watch tells.

use serde::Serialize;
use tokend_proto::{AccountName, Fault};

use crate::token::{Facts, Present, shown_type};

/// One event. Keys that an event does not have are left out, except `expires_at`, which is null where it is unknown.
#[derive(Serialize, Default)]
pub struct Event<'a> {
    event: &'static str,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<Present<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl<'a> Event<'a> {
    /// This token is to be used from now on.
    #[must_use]
    pub fn token(account: &'a AccountName, facts: Facts<'a>) -> Self {
        Self {
            access_token: Some(facts.access_token),
            token_type: Some(shown_type(facts.token_type)),
            expires_at: Some(facts.expires_at),
            present: Present::of(facts.token_type),
            ..Self::of("token", account)
        }
    }

    /// The token delivered last must not be used any more.
    #[must_use]
    pub fn retired(account: &'a AccountName) -> Self {
        Self::of("retired", account)
    }

    /// There is no token at present, and why.
    #[must_use]
    pub fn unavailable(account: &'a AccountName, fault: &'a Fault) -> Self {
        Self {
            code: Some(fault.code.name().into_owned()),
            message: Some(fault.message.clone()),
            advice: fault.advice.as_deref(),
            ..Self::of("unavailable", account)
        }
    }

    /// The daemon is away, and the watch goes on when it is back.
    #[must_use]
    pub fn reconnecting(account: &'a AccountName, why: String) -> Self {
        Self {
            message: Some(why),
            ..Self::of("reconnecting", account)
        }
    }

    /// The watch is over, and why.
    #[must_use]
    pub fn ended(account: &'a AccountName, fault: &'a Fault) -> Self {
        Self {
            event: "ended",
            retry_after: fault.retry_after_ms.map(|ms| ms.div_ceil(1000)),
            ..Self::unavailable(account, fault)
        }
    }

    /// Which event it is.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.event
    }

    fn of(event: &'static str, account: &'a AccountName) -> Self {
        Self {
            event,
            account: account.as_str(),
            ..Self::default()
        }
    }
}
