//! Requests without a connection.

use std::sync::Arc;

use tokend_policy::{Needs, Peer};
use tokend_proto::{Request, Response};

use super::admission::{Admission, Admitted, Refused, Subject};
use super::{Requests, Waited};
use crate::broker::registry::Snapshot;

impl Requests {
    /// Decides by what is known about the peer.
    pub(crate) fn decide_by_what_is_known<'s>(
        &self,
        snapshot: &'s Arc<Snapshot>,
        peer: &Peer,
        request: &Request,
    ) -> Result<Admitted<'s>, Refused> {
        self.decide(Subject::of(snapshot, request), snapshot, peer, request)
    }

    /// The facts that have to be read before a decision.
    pub(super) fn lacks(&self, peer: &Peer, request: &Request) -> Needs {
        match self.admit(&self.registry.snapshot(), peer, request) {
            Admission::NeedFacts(needs) => needs,
            Admission::Refused(_) | Admission::Admitted(_) => Needs::NONE,
        }
    }
}

impl Waited {
    /// The answer by the configuration that decided, whichever is in force by now.
    pub(crate) fn unchecked(self) -> Response {
        match self {
            Self::Answer(answered) => answered.close(),
            Self::Watch(watch) => panic!("no answer: {watch:?}"),
        }
    }
}
