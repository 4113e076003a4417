//! Credentials that a person enters.
//!
//! Owns how long that person waits for the verdict on the credential. Must never log the credential.

use std::time::Duration;

use tokend_engine::Demand;
use tokend_policy::Peer;
use tokend_proto::{Fault, LoginSecret, NamedSecret, Response};
use tokend_store::{EnteredCredential, EnteredSecrets, Entry};

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
        let taken = login_means::taken(&served.account, secret);
        self.entered(served, peer, admitted, taken)
    }

    /// Secrets by the names of their fields.
    pub(super) fn enter(
        &self,
        served: &ServedAccount,
        peer: &Peer,
        admitted: &Admitted<'_>,
        secrets: Vec<NamedSecret>,
    ) -> Done {
        let taken = login_means::taken_fields(&served.account, secrets);
        self.entered(served, peer, admitted, taken)
    }

    fn entered(
        &self,
        served: &ServedAccount,
        peer: &Peer,
        admitted: &Admitted<'_>,
        taken: Result<EnteredSecrets, Box<Fault>>,
    ) -> Done {
        let secrets = match taken {
            Ok(secrets) => secrets,
            Err(fault) => return Done::Now(Response::Fault(*fault)),
        };
        tracing::info!(account = %served.account.name, peer = %peer, "a person enters a credential");
        let entry = Entry {
            at: Some(self.clock.wall_ms()),
            by: Some(peer.uid),
        };
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
            entered: Box::new(EnteredCredential { secrets, entry }),
            demand,
            reply,
        })
    }
}
