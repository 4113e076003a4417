//! Tokens, as `get` requests them.
//!
//! Owns the immediate answer from the held token. Must never answer with a token that expires before the time the peer asked for.

use std::time::Duration;

use tokend_engine::Want;
use tokend_policy::Peer;
use tokend_proto::{Request, Response};

use super::admission::Admitted;
use super::done::Done;
use super::parts::Requests;
use crate::broker::inbox::Message;
use crate::broker::registry::ServedAccount;

impl Requests {
    /// Whether a request is for a token, and the one that is held answers it.
    pub(crate) fn is_at_hand(&self, admitted: &Admitted<'_>, request: &Request) -> bool {
        let (Request::Get {
            min_validity_ms, ..
        }
        | Request::Watch {
            min_validity_ms, ..
        }) = request
        else {
            return false;
        };
        let min_validity = min_validity_ms.map(Duration::from_millis);
        admitted.account.is_some_and(|served| {
            let token = served.cell.token();
            let held = token.as_ref().map(|token| &token.held);
            held.is_some_and(|held| held.is_good(self.clock.steady(), min_validity))
        })
    }

    pub(super) fn get(
        &self,
        served: &ServedAccount,
        peer: &Peer,
        admitted: &Admitted<'_>,
        min_validity: Option<Duration>,
        waits: (u64, u64),
    ) -> Done {
        let now = self.clock.steady();
        served.cell.asked().touch(now);
        if let Some(token) = served.cell.token().as_ref()
            && token.held.is_good(now, min_validity)
        {
            if token.is_first_late_use(now) {
                // Only a hint: when the driver has no room for it, the next `get` after expiry has the same effect.
                let _dropped = self.driver.try_send(Message::Asked(served.key));
            }
            return Done::Now(Response::Token(token.on_wire(
                now,
                &self.clock,
                served.account.api().present(),
            )));
        }
        self.want(served, peer, admitted, (min_validity, waits), Want::Get)
    }
}
