//! Reports of tokens that an API refused.
//!
//! Owns whether the token a client reports is the one that is held. The duration must never reveal how much of a guess was right.

use subtle::ConstantTimeEq as _;
use tokend_engine::Want;
use tokend_policy::Peer;
use tokend_proto::{Response, SecretText};

use super::admission::Admitted;
use super::done::Done;
use super::parts::Requests;
use crate::broker::registry::ServedAccount;

impl Requests {
    /// An API refused a token. Only a report of the held token counts: a client that reports an older one gets the newer one at once, so
    /// that ten processes that report the same token cause one attempt.
    pub(super) fn reject(
        &self,
        served: &ServedAccount,
        peer: &Peer,
        admitted: &Admitted<'_>,
        token: &SecretText,
        waits: (u64, u64),
    ) -> Done {
        let account = &served.account.name;
        let now = self.clock.steady();
        served.cell.asked().touch(now);
        let current = served.cell.token();
        let want = match current.as_ref() {
            Some(current) if is_same(&current.token.text, token) => {
                Want::Rejected(current.held.grant)
            }
            Some(newer) if newer.held.is_good(now, None) => {
                if admitted.rules.token.is_none() {
                    let message = format!("account {account} has a newer token");
                    return Done::Now(Response::Done { message });
                }
                return Done::Now(Response::Token(newer.on_wire(
                    now,
                    &self.clock,
                    served.account.api().present(),
                )));
            }
            _ => Want::Get,
        };
        if matches!(want, Want::Rejected(_)) {
            tracing::info!(account = %account, peer = %peer, "a client reports that its token was refused");
        }
        self.want(served, peer, admitted, (None, waits), want)
    }
}

/// Compares in a time that does not reveal how much of a guess was right.
fn is_same(held: &SecretText, reported: &SecretText) -> bool {
    held.expose()
        .as_bytes()
        .ct_eq(reported.expose().as_bytes())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_whole() {
        let text = |text: &str| SecretText::new(text).unwrap();
        assert!(is_same(&text("abc"), &text("abc")));
        assert!(!is_same(&text("abc"), &text("abd")));
        assert!(!is_same(&text("abc"), &text("ab")));
    }
}
