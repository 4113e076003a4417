//! What an account logs in with.
//!
//! Must never show a secret, nor where the configuration has one.

use tokend_proto::Response;

use super::done::Done;
use super::parts::Requests;
use super::refusal::gone;
use crate::broker::inbox::{Message, ask};
use crate::broker::registry::ServedAccount;

impl Requests {
    pub(super) fn credential(&self, served: &ServedAccount) -> Done {
        let (driver, account) = (self.driver.clone(), served.key);
        Done::Later(Box::pin(async move {
            let known = ask(&driver, |reply| Message::Credential { account, reply });
            match known.await.flatten() {
                Some(status) => Response::Credential(Box::new(status)),
                None => Response::Fault(gone()),
            }
        }))
    }
}
