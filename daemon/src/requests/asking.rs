//! Requests to the driver, for answers that the registry does not have.
//!
//! Owns how long a request may wait, and the translation of the driver's answer for the peer. Must never wait for room on behalf of a
//! session: that wait is part of the future it hands back.

use std::sync::Arc;
use std::time::Duration;

use tokend_engine::{Demand, Timestamp, Want};
use tokend_proto::Response;
use tokio::sync::{mpsc, oneshot};

use super::admission::Admitted;
use super::done::Done;
use super::parts::Requests;
use super::presentation::{presented, wire_token};
use super::refusal::{gone, overtaken};
use crate::broker::inbox::{self, DriverAnswer, Message, Waiter};
use crate::broker::registry::ServedAccount;

/// The longest a request may wait. A client that names a longer time waits this long.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

impl Requests {
    pub(super) fn want(
        &self,
        served: &ServedAccount,
        uid: u32,
        admitted: &Admitted<'_>,
        demand: Demand,
        want: Want,
    ) -> Done {
        let account = served.key;
        let waiter = Waiter::new(self.driver.clone(), account);
        let id = waiter.id();
        let asked = self.ask(admitted, |reply| Message::Wanted {
            account,
            waiter: id,
            uid,
            demand,
            want,
            reply,
        });
        let wanted = match asked {
            Done::Now(response) => {
                waiter.answered();
                Done::Now(response)
            }
            Done::Later(pending) => Done::Later(Box::pin(async move {
                let response = pending.await;
                waiter.answered();
                response
            })),
        };
        match served.account.dialect.present() {
            Some(present) => presented(wanted, present.to_owned()),
            None => wanted,
        }
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
                    Response::Token(wire_token(&token, clock.steady(), &clock))
                }
                Ok(DriverAnswer::Done(message)) => Response::Done { message },
                Ok(DriverAnswer::Fault(fault)) => Response::Fault(*fault),
                Err(_) => Response::Fault(gone()),
            }
        }))
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
