//! Requests to the driver, for answers that the registry does not have.
//!
//! Owns how long a request may wait, and the translation of the driver's answer for the peer. Must never wait for room on behalf of a
//! session: that wait is part of the future it hands back.

use std::sync::Arc;
use std::time::Duration;

use tokend_engine::{Demand, Timestamp, Want};
use tokend_policy::Peer;
use tokend_proto::{AccountName, Response, Token};
use tokio::sync::{mpsc, oneshot};

use super::admission::Admitted;
use super::done::Done;
use super::parts::Requests;
use super::refusal::{gone, overtaken};
use crate::broker::inbox::{self, DriverAnswer, Message, Waiter};
use crate::broker::registry::ServedAccount;

/// The longest a request may wait. A client that names a longer time waits this long.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

impl Requests {
    /// Waits for a token, with the peer's limits. A peer that may cause a token and not have it does not get it.
    pub(super) fn want(
        &self,
        served: &ServedAccount,
        peer: &Peer,
        admitted: &Admitted<'_>,
        (min_validity, waits): (Option<Duration>, (u64, u64)),
        want: Want,
    ) -> Done {
        let account = served.key;
        let waiter = Waiter::new(self.driver.clone(), account);
        let asked = self.ask(admitted, |reply| Message::Wanted {
            account,
            waiter: waiter.id(),
            uid: peer.uid,
            demand: demand(self.clock.steady(), min_validity, waits),
            want,
            reply,
        });
        let name = served.account.name.clone();
        let token_type = served.account.api().present().map(str::to_owned);
        let may_have_token = admitted.rules.token.is_some();
        asked.map(move |response| {
            waiter.answered();
            match response {
                Response::Token(_) if !may_have_token => new_token(&name),
                Response::Token(token) => Response::Token(Token {
                    token_type: token_type.unwrap_or(token.token_type),
                    ..token
                }),
                other => other,
            }
        })
    }

    /// Passes a request to the driver. The message is sent when this returns, unless the driver's queue is full: only then does the session
    /// wait for room.
    pub(super) fn ask(
        &self,
        admitted: &Admitted<'_>,
        message: impl FnOnce(inbox::AnswerSender) -> Message,
    ) -> Done {
        let (reply, answer) = oneshot::channel();
        let unsent = match self.driver.try_send(message(reply)) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(message)) => Some((self.driver.clone(), message)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                return Done::Now(Response::Fault(gone()));
            }
        };
        let (registry, under) = (Arc::clone(&self.registry), admitted.snapshot.number());
        let clock = self.clock.clone();
        Done::Later(Box::pin(async move {
            if let Some((driver, message)) = unsent {
                let Ok(room) = driver.reserve().await else {
                    return Response::Fault(gone());
                };
                // While this waited for room, the configuration may have changed; a change of an account must not start under the old one.
                let changes = matches!(message, Message::Login { .. } | Message::Forget { .. });
                if changes && registry.snapshot().number() != under {
                    return Response::Fault(overtaken());
                }
                room.send(message);
            }
            match answer.await {
                Ok(DriverAnswer::Token(token)) => {
                    Response::Token(token.on_wire(clock.steady(), &clock, None))
                }
                Ok(DriverAnswer::Done(message)) => Response::Done { message },
                Ok(DriverAnswer::Fault(fault)) => Response::Fault(*fault),
                Err(_) => Response::Fault(gone()),
            }
        }))
    }
}

/// The answer in place of a token, for a peer that may cause a token and not have it.
pub(super) fn new_token(account: &AccountName) -> Response {
    Response::Done {
        message: format!("account {account} has a new token"),
    }
}

/// `waits` are how long the client may wait for the rate limit, and how long altogether, in milliseconds.
pub(super) fn demand(now: Timestamp, min_validity: Option<Duration>, waits: (u64, u64)) -> Demand {
    let (wait_ms, timeout_ms) = waits;
    let bounded = |ms| Duration::from_millis(ms).min(LONGEST_WAIT);
    let answer_by = now.after(bounded(timeout_ms));
    Demand {
        min_validity,
        start_by: now.after(bounded(wait_ms)).min(answer_by),
        answer_by,
    }
}
