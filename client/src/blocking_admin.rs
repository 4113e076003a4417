//! Administration of the daemon, blocking.
//!
//! Owns the requests that a program which only uses tokens never makes. They share the connection of the client.

use tokend_proto::{
    AccountName, AccountStatus, CredentialStatus, DiagnosisPage, LoginSecret, MetricsCursor,
    MetricsPage, NamedSecret, SinkLine,
};

use crate::exchange::{self, Call, Pages};
use crate::{BlockingClient, ClientError, Patience, Token};

/// What an administrator asks of the daemon; see [`BlockingClient::admin`].
#[derive(Debug)]
pub struct BlockingAdmin<'c> {
    client: &'c mut BlockingClient,
}

impl BlockingClient {
    /// What administrators ask, over the same connection.
    pub fn admin(&mut self) -> BlockingAdmin<'_> {
        BlockingAdmin { client: self }
    }
}

impl BlockingAdmin<'_> {
    /// A new access token even though the old one may be good, within the rate limit. `None` for an administrator who may not have the
    /// account's tokens: there is a new one all the same.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn refresh(
        &mut self,
        account: &AccountName,
        patience: Patience,
    ) -> Result<Option<Token>, ClientError> {
        self.client
            .call(Call::refresh(account, patience, self.client.deadlines()))
            .and_then(exchange::refreshed)
    }

    /// The status of one account, or of all this peer may see.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn status(
        &mut self,
        account: Option<&AccountName>,
    ) -> Result<Vec<AccountStatus>, ClientError> {
        let mut pages = Pages::new();
        loop {
            let call = Call::status(account, pages.after(), self.client.deadlines());
            match pages.add(self.client.call(call).and_then(exchange::status)?)? {
                Ok(all) => return Ok(all),
                Err(more) => pages = more,
            }
        }
    }

    /// What sinks report of the files that they keep fresh: of one account, or of all whose status this peer may see. A daemon of before
    /// does not know this, and answers with a fault.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn sinks(&mut self, account: Option<&AccountName>) -> Result<Vec<SinkLine>, ClientError> {
        let mut pages = Pages::new();
        loop {
            let call = Call::sinks(account, pages.after(), self.client.deadlines());
            match pages.add(self.client.call(call).and_then(exchange::sinks)?)? {
                Ok(all) => return Ok(all),
                Err(more) => pages = more,
            }
        }
    }

    /// One part of the daemon's metrics as Prometheus text; `after` is where the part before said to go on.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn metrics(&mut self, after: Option<MetricsCursor>) -> Result<MetricsPage, ClientError> {
        self.client
            .call(Call::metrics(after, self.client.deadlines()))
            .and_then(exchange::metrics)
    }

    /// Makes the daemon read its configuration again, and gives the daemon's sentence about it.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn reload(&mut self) -> Result<String, ClientError> {
        self.client
            .call(Call::reload(self.client.deadlines()))
            .and_then(exchange::done)
    }

    /// Gives the daemon a credential to keep, and returns the daemon's sentence about it.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn login(
        &mut self,
        account: &AccountName,
        secret: LoginSecret,
    ) -> Result<String, ClientError> {
        self.client
            .call(Call::login(account, secret, self.client.deadlines()))
            .and_then(exchange::done)
    }

    /// What an account logs in with: which secrets, where they come from, and who entered them.
    ///
    /// # Errors
    /// Any [`ClientError`]; a daemon of an older release does not know the request.
    pub fn credential(&mut self, account: &AccountName) -> Result<CredentialStatus, ClientError> {
        self.client
            .call(Call::credential(account, self.client.deadlines()))
            .and_then(exchange::credential)
    }

    /// Gives the daemon secrets to keep, each for a field of the account's dialect, and returns the daemon's sentence about them. They
    /// are tried together.
    ///
    /// # Errors
    /// Any [`ClientError`]; a daemon of an older release does not know the request.
    pub fn enter(
        &mut self,
        account: &AccountName,
        secrets: Vec<NamedSecret>,
    ) -> Result<String, ClientError> {
        self.client
            .call(Call::enter(account, secrets, self.client.deadlines()))
            .and_then(exchange::done)
    }

    /// Deletes what the daemon stores for an account, and returns the daemon's sentence about it.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn forget(&mut self, account: &AccountName) -> Result<String, ClientError> {
        self.client
            .call(Call::forget(account, self.client.deadlines()))
            .and_then(exchange::done)
    }

    /// Makes the daemon look whether all is well with one account, or with all this peer may see, a page at a time; the first page is
    /// about the daemon as a whole, too. No attempt is spent.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn diagnose(
        &mut self,
        account: Option<&AccountName>,
        after: Option<AccountName>,
    ) -> Result<DiagnosisPage, ClientError> {
        self.client
            .call(Call::diagnose(account, after, self.client.deadlines()))
            .and_then(exchange::diagnosis)
    }
}
