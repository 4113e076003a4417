//! Who started a helper, and what it asks the daemon for.
//!
//! Owns the questions to the daemon: what tokens are for, and one token.

use std::path::Path;
use std::time::Instant;

use tokend_client::{AccountName, BlockingClient, GetOptions, Patience, Token};

use super::destination::{Destination, Found, find, for_nothing};
use crate::arguments::Helper;
use crate::connection::{connect_within, left, patience};
use crate::failure::Failure;

/// Who asks, and with which options.
pub(super) struct Caller<'c> {
    pub(super) socket: Option<&'c Path>,
    pub(super) options: &'c Helper,
    /// When the question came: the time limit is for all that is asked of the daemon.
    pub(super) begun: Instant,
}

impl Caller<'_> {
    pub(super) fn connect(&self) -> Result<BlockingClient, Failure> {
        let (client, _) = connect_within(self.socket, self.limit())?;
        Ok(client)
    }

    /// The account whose token is for one of these destinations.
    pub(super) fn account(
        &self,
        client: &mut BlockingClient,
        destinations: &[Destination],
    ) -> Result<Found, Failure> {
        let named = self.options.account.as_ref();
        let apis = client.apis(named)?;
        if let (Some(name), Some([])) = (named, apis.first().map(|line| line.urls.as_slice())) {
            return Err(for_nothing(name));
        }
        Ok(find(&apis, destinations))
    }

    pub(super) fn token(
        &self,
        client: &mut BlockingClient,
        account: AccountName,
    ) -> Result<Token, Failure> {
        let Patience { wait, timeout, .. } = self.patience();
        let demand = GetOptions::new(account).wait(wait).timeout(timeout);
        Ok(client.get(&demand)?)
    }

    /// What is left of the time limit.
    pub(super) fn patience(&self) -> Patience {
        left(self.limit(), self.begun)
    }

    fn limit(&self) -> Patience {
        patience(&self.options.patient)
    }
}
