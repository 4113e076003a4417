//! What an attempt under way needs for its next step.

use std::sync::Arc;

use tokend_dialect::Asks;
use tokend_engine::{AttemptId, AttemptKind, GrantId, WaiterId};
use tokend_proto::LoginSecret;

use tokend_upstream::Prepared;
use tokend_upstream::{AccessToken, Granted};

/// The secrets of an attempt under way.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    pub(super) kind: Option<AttemptKind>,
    pub(super) prepared: Option<Box<Prepared>>,
    pub(super) brought: Option<(AttemptId, Granted)>,
    /// What is about to be published, and of which grant.
    pub(super) token: Option<(GrantId, Arc<AccessToken>)>,
    /// What a person entered and the attempt tries, until it is stored with the intent.
    pub(super) entered: Option<LoginSecret>,
    /// Who entered what the attempt tries.
    pub(super) trial: Option<WaiterId>,
    /// What the request asks for.
    pub(super) asks: Option<Asks>,
}

impl InFlight {
    /// Whether an attempt or a write may still ask for something in it.
    pub(super) fn is_needed(&self) -> bool {
        self.kind.is_some()
    }
}
