//! New tokens on demand, even if a token is held.
//!
//! Owns a person's demand for a new token. Must never hand it to a peer that may cause a token and not have it.

use tokend_engine::Want;
use tokend_policy::Peer;

use super::admission::Admitted;
use super::asking::demand;
use super::done::Done;
use super::parts::Requests;
use super::presentation::without_token;
use crate::broker::registry::ServedAccount;

impl Requests {
    pub(super) fn refresh(
        &self,
        served: &ServedAccount,
        peer: &Peer,
        admitted: &Admitted<'_>,
        waits: (u64, u64),
    ) -> Done {
        let account = &served.account.name;
        let has_tokens = admitted.rules.token.is_some();
        let now = self.clock.steady();
        served.cell.asked().touch(now);
        tracing::info!(account = %account, peer = %peer, "a person asks for a new token");
        let demand = demand(now, None, waits);
        let wanted = self.want(served, peer.uid, admitted, demand, Want::Forced);
        match has_tokens {
            true => wanted,
            false => without_token(wanted, account),
        }
    }
}
