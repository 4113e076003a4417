//! The data that an attempt in flight needs for its next step.

use std::sync::Arc;

use tokend_dialect::Asks;
use tokend_engine::{AttemptId, AttemptKind, GrantId, WaiterId};
use tokend_store::EnteredCredential;

use tokend_upstream::{AccessToken, Granted, Prepared};

/// The secrets of an attempt in flight.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    pub(super) kind: Option<AttemptKind>,
    pub(super) prepared: Option<Box<Prepared>>,
    pub(super) granted: Option<(AttemptId, Granted)>,
    /// The token that is about to be published, and its grant.
    pub(super) token: Option<(GrantId, Arc<AccessToken>)>,
    /// The entered credential that the attempt tries, until it is stored with the intent.
    pub(super) entered: Option<Box<EnteredCredential>>,
    /// The waiter that entered it.
    pub(super) trial: Option<WaiterId>,
    /// The token request.
    pub(super) asks: Option<Asks>,
}

impl InFlight {
    /// Whether an attempt or a write may still need this data.
    pub(super) fn is_needed(&self) -> bool {
        self.kind.is_some()
    }
}
