//! Credentials that a person enters.
//!
//! Owns how long that person waits for the verdict on the credential. Must never log the credential.

use std::time::Duration;

use tokend_engine::Demand;
use tokend_policy::Peer;
use tokend_proto::{LoginSecret, Response};

use super::admission::Admitted;
use super::done::Done;
use super::parts::Requests;
use crate::broker::inbox::Message;
use crate::broker::login_means;
use crate::broker::registry::ServedAccount;

/// How long a person who enters a credential waits for the verdict.
const LOGIN_WAIT: Duration = Duration::from_secs(60);

impl Requests {
    pub(super) fn login(
        &self,
        served: &ServedAccount,
        peer: &Peer,
        admitted: &Admitted<'_>,
        secret: LoginSecret,
    ) -> Done {
        let usable = login_means::accepts(&served.account, &secret);
        let secret = match usable.and_then(|()| login_means::alone(secret)) {
            Ok(secret) => secret,
            Err(fault) => return Done::Now(Response::Fault(*fault)),
        };
        tracing::info!(account = %served.account.name, peer = %peer, "a person enters a credential");
        let now = self.clock.steady();
        let answer_by = now.after(LOGIN_WAIT);
        let demand = Demand {
            min_validity: None,
            start_by: now,
            answer_by,
        };
        let account = served.key;
        served.cell.asked().touch(now);
        self.ask(admitted, |reply| Message::Login {
            account,
            secret,
            demand,
            reply,
        })
    }
}
