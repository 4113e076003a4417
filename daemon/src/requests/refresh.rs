//! New tokens on demand, even if a token is held.
//!
//! Owns a person's demand for a new token.

use tokend_engine::Want;
use tokend_policy::Peer;

use super::admission::Admitted;
use super::done::Done;
use super::parts::Requests;
use crate::broker::registry::ServedAccount;

impl Requests {
    pub(super) fn refresh(
        &self,
        served: &ServedAccount,
        peer: &Peer,
        admitted: &Admitted<'_>,
        waits: (u64, u64),
    ) -> Done {
        served.cell.asked().touch(self.clock.steady());
        tracing::info!(account = %served.account.name, peer = %peer, "a person asks for a new token");
        self.want(served, peer, admitted, (None, waits), Want::Forced)
    }
}
