//! Who started a helper, and what it asks the daemon for.
//!
//! Owns the questions to the daemon: what tokens are for, and one token.

use std::path::Path;

use tokend_client::{AccountName, BlockingClient, GetOptions, Patience, SocketPath, Token};

use super::destination::{Destination, Found, find, for_nothing};
use crate::arguments::{Helper, Patient};
use crate::failure::Failure;

/// Who asks, and with which options.
pub(super) struct Caller<'c> {
    pub(super) socket: Option<&'c Path>,
    pub(super) options: &'c Helper,
}

impl Caller<'_> {
    pub(super) fn connect(&self) -> Result<BlockingClient, Failure> {
        Ok(BlockingClient::connect(&SocketPath::find(self.socket)?)?)
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

    pub(super) fn patience(&self) -> Patience {
        let Patient { wait, timeout } = self.options.patient;
        let waiting = Patience::default().wait(wait.unwrap_or_default());
        match timeout {
            Some(timeout) => waiting.timeout(timeout),
            None => waiting,
        }
    }
}
