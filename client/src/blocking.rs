//! The blocking client: one connection, one request at a time, no runtime.
//!
//! Owns the connection and its deadlines. A connection on which anything went wrong is closed and never used
//! again, so that a late answer cannot be taken for that of another request.

mod connection;
mod watch;

use rustix::net::sockopt::socket_peercred;
use tokend_proto::{
    AccountLine, AccountName, AccountStatus, ApiLine, ClientFrame, DiagnosisPage, LoginSecret,
    MetricsCursor, MetricsPage, RequestId, Response, SecretText, Token, Whoami,
};

use crate::exchange::{self, Call, HELLO, Pages};
use crate::{ClientError, Deadlines, GetOptions, Patience, SocketPath, WatchOptions, clock};

use connection::{Connection, Deadline, Failure};
pub use watch::BlockingWatch;

/// A client that blocks the calling thread.
///
/// It connects at once, and again by itself after the connection was lost. It greets together with its first
/// request, unless that request must not be sent twice.
#[derive(Debug)]
pub struct BlockingClient {
    path: SocketPath,
    deadlines: Deadlines,
    connection: Option<Connection>,
    last_id: u64,
}

impl BlockingClient {
    /// Connects to the daemon.
    ///
    /// # Errors
    /// [`ClientError::NotReachable`] when nobody listens there.
    pub fn connect(path: &SocketPath) -> Result<Self, ClientError> {
        Self::connect_with(path, Deadlines::default())
    }

    /// Connects to the daemon, with deadlines of the caller's choice for this and all that follows.
    ///
    /// # Errors
    /// [`ClientError::NotReachable`] when nobody listens there.
    pub fn connect_with(path: &SocketPath, deadlines: Deadlines) -> Result<Self, ClientError> {
        let connection = Some(Connection::open(path, deadlines.connect)?);
        Ok(Self {
            path: path.clone(),
            deadlines,
            connection,
            last_id: HELLO.0,
        })
    }

    /// Where the daemon's socket is.
    pub fn socket(&self) -> &SocketPath {
        &self.path
    }

    /// The user at the other end of the connection: the one that made the socket listen, which is root under
    /// systemd. `None` while there is no connection.
    pub fn peer_uid(&self) -> Option<u32> {
        let stream = &self.connection.as_ref()?.stream;
        socket_peercred(stream).ok().map(|peer| peer.uid.as_raw())
    }

    /// Waits until the daemon has greeted, so that a person is asked for a secret only while a daemon is there
    /// to take it.
    ///
    /// # Errors
    /// [`ClientError::Silent`] when it says nothing, and whatever else a connection can end in.
    pub fn greet(&mut self) -> Result<(), ClientError> {
        let deadline = Deadline::of(clock::now(), self.deadlines.answer);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.path, self.deadlines.connect.min(deadline.left()?))?,
        };
        if !connection.greeted {
            let greeted = connection.greet(None, deadline, &self.path);
            greeted.map_err(|failure| failure.error)?;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// An access token that is good for what `options` demand.
    ///
    /// # Errors
    /// Any [`ClientError`]; a [`ClientError::Fault`] carries the daemon's reason.
    pub fn get(&mut self, options: &GetOptions) -> Result<Token, ClientError> {
        self.call(Call::get(options, &self.deadlines))
            .and_then(exchange::token)
    }

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
        self.call(Call::refresh(account, patience, &self.deadlines))
            .and_then(exchange::refreshed)
    }

    /// Reports that an API refused `token`, and gives a newer one. `None` for a peer that may report tokens of
    /// the account but not have them.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn reject(
        &mut self,
        account: &AccountName,
        token: SecretText,
        patience: Patience,
    ) -> Result<Option<Token>, ClientError> {
        self.call(Call::reject(account, token, patience, &self.deadlines))
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
            let call = Call::status(account, pages.after(), &self.deadlines);
            match pages.add(self.call(call).and_then(exchange::status)?)? {
                Ok(all) => return Ok(all),
                Err(more) => pages = more,
            }
        }
    }

    /// The accounts this peer may see.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn list(&mut self) -> Result<Vec<AccountLine>, ClientError> {
        let mut pages = Pages::new();
        loop {
            let call = Call::list(pages.after(), &self.deadlines);
            match pages.add(self.call(call).and_then(exchange::accounts)?)? {
                Ok(all) => return Ok(all),
                Err(more) => pages = more,
            }
        }
    }

    /// Which addresses the tokens are for that this peer may have: of one account, or of all.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn apis(&mut self, account: Option<&AccountName>) -> Result<Vec<ApiLine>, ClientError> {
        let mut pages = Pages::new();
        loop {
            let call = Call::apis(account, pages.after(), &self.deadlines);
            match pages.add(self.call(call).and_then(exchange::apis)?)? {
                Ok(all) => return Ok(all),
                Err(more) => pages = more,
            }
        }
    }

    /// Whether an API's answer with this status and body means that it refused the token, by the rules of the
    /// account's dialect. Report such a token with [`reject`](Self::reject). Only the first 16 KiB of the body count.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn is_refusal(
        &mut self,
        account: &AccountName,
        status: u16,
        body: &[u8],
    ) -> Result<bool, ClientError> {
        let call = Call::refusal(account, status, body, &self.deadlines)?;
        self.call(call).and_then(exchange::refusal)
    }

    /// One part of the daemon's metrics as Prometheus text; `after` is where the part before said to go on.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn metrics(&mut self, after: Option<MetricsCursor>) -> Result<MetricsPage, ClientError> {
        self.call(Call::metrics(after, &self.deadlines))
            .and_then(exchange::metrics)
    }

    /// What the daemon sees of this process, and what it may do.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn whoami(&mut self) -> Result<Whoami, ClientError> {
        self.call(Call::whoami(&self.deadlines))
            .and_then(exchange::whoami)
    }

    /// Makes the daemon read its configuration again, and gives the daemon's sentence about it.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn reload(&mut self) -> Result<String, ClientError> {
        self.call(Call::reload(&self.deadlines))
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
        self.call(Call::login(account, secret, &self.deadlines))
            .and_then(exchange::done)
    }

    /// Deletes what the daemon stores for an account, and returns the daemon's sentence about it.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn forget(&mut self, account: &AccountName) -> Result<String, ClientError> {
        self.call(Call::forget(account, &self.deadlines))
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
        self.call(Call::diagnose(account, after, &self.deadlines))
            .and_then(exchange::diagnosis)
    }

    /// Watches an account: its token now, and each newer one as it comes, without a request for each. It has a connection of its own.
    ///
    /// The connection is not made again when it is lost, as when the daemon is restarted: watch again then, and expect
    /// the same token once more.
    ///
    /// # Errors
    /// [`ClientError::NotReachable`] and [`ClientError::Silent`]. Whether the caller may have the account's tokens is
    /// the first thing that the watch tells.
    pub fn watch(&self, options: &WatchOptions) -> Result<BlockingWatch, ClientError> {
        BlockingWatch::open(&self.path, &self.deadlines, options)
    }

    fn call(&mut self, call: Call) -> Result<Response, ClientError> {
        self.last_id += 1;
        let frame = ClientFrame {
            id: RequestId(self.last_id),
            request: call.request,
        };
        let begun = clock::now();
        let deadline = Deadline::of(begun, call.limit);
        let greeting = Deadline::of(begun, call.greeting.min(call.limit));
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => Connection::open(&self.path, self.deadlines.connect.min(greeting.left()?))?,
            };
            let has_worked = connection.greeted;
            // A request that must not be sent twice is not left in the socket of a daemon that may come up
            // after we gave up.
            let with_greeting = !has_worked && call.repeatable;
            let exchanged = match has_worked {
                true => Ok(()),
                false => connection.greet(with_greeting.then_some(&frame), greeting, &self.path),
            };
            match exchanged.and_then(|()| connection.exchange(&frame, with_greeting, deadline)) {
                Ok(response) => {
                    self.connection = Some(connection);
                    return Ok(response);
                }
                // A connection we kept may have died since, as when the daemon was restarted.
                Err(Failure {
                    error: ClientError::Lost { .. },
                    sent,
                }) if has_worked && (call.repeatable || !sent) => {}
                Err(failure) => return Err(failure.error),
            }
        }
    }
}
