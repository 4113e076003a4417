//! The blocking client: one connection, one request at a time, no runtime.
//!
//! Owns the connection and its deadlines. A connection on which anything went wrong is closed and never used
//! again, so that a late answer cannot be taken for that of another request.

mod connection;
mod watch;

use rustix::net::sockopt::socket_peercred;
use tokend_proto::{
    AccountLine, AccountName, ApiLine, ClientFrame, RequestId, Response, SecretText, Whoami,
};

use crate::exchange::{self, Call, HELLO, Pages};
use crate::place::Place;
use crate::restart::Restart;
use crate::{ClientError, Deadlines, GetOptions, Patience, SocketPath, Token, WatchOptions, clock};

use connection::{Connection, Deadline, Failure};
pub use watch::BlockingWatch;

/// A client that blocks the calling thread.
///
/// It connects at once, or with its first request if made by [`lazy`](Self::lazy), and again by itself after the
/// connection was lost. It greets together with its first request, unless that request must not be sent twice.
#[derive(Debug)]
pub struct BlockingClient {
    place: Place,
    /// Where `place` was when it was looked at last.
    path: SocketPath,
    waits_for_start: bool,
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
            connection,
            ..Self::unconnected(Place::Fixed(path.clone()), path.clone(), deadlines)
        })
    }

    /// A client for a daemon that need not be there yet: it is looked for, as [`SocketPath::find`] does, and waited for
    /// when a request needs it.
    ///
    /// Where a request finds no daemon, or one that is being restarted, it tries again until its own deadline.
    pub fn lazy() -> Self {
        Self::lazy_with(None, Deadlines::default())
    }

    /// The same, with a socket and deadlines of the caller's choice.
    pub fn lazy_with(path: Option<SocketPath>, deadlines: Deadlines) -> Self {
        let place = Place::of(path);
        let path = place.path().unwrap_or_else(|_| SocketPath::of_system());
        Self {
            waits_for_start: true,
            ..Self::unconnected(place, path, deadlines)
        }
    }

    fn unconnected(place: Place, path: SocketPath, deadlines: Deadlines) -> Self {
        Self {
            place,
            path,
            waits_for_start: false,
            deadlines,
            connection: None,
            last_id: HELLO.0,
        }
    }

    /// Where the daemon's socket is; of a client that looks for it, where it was last.
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
            None => self.open(deadline)?,
        };
        if !connection.greeted {
            let greeted = connection.greet(None, deadline, &self.path);
            greeted.map_err(|failure| failure.error)?;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// An access token of the account of this name, as [`GetOptions::new`] asks for it.
    ///
    /// # Errors
    /// Any [`ClientError`]; a [`ClientError::Fault`] carries the daemon's reason.
    pub fn token(&mut self, account: &str) -> Result<Token, ClientError> {
        self.get(&GetOptions::new(account.parse()?))
    }

    /// An access token that is good for what `options` demand.
    ///
    /// # Errors
    /// Any [`ClientError`]; a [`ClientError::Fault`] carries the daemon's reason.
    pub fn get(&mut self, options: &GetOptions) -> Result<Token, ClientError> {
        self.call(Call::get(options, &self.deadlines))
            .and_then(exchange::token)
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

    /// What the daemon sees of this process, and what it may do.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub fn whoami(&mut self) -> Result<Whoami, ClientError> {
        self.call(Call::whoami(&self.deadlines))
            .and_then(exchange::whoami)
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
        BlockingWatch::open(&self.place.path()?, &self.deadlines, options)
    }

    pub(crate) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    pub(crate) fn call(&mut self, call: Call) -> Result<Response, ClientError> {
        self.last_id += 1;
        let frame = ClientFrame {
            id: RequestId(self.last_id),
            request: call.request,
        };
        let begun = clock::now();
        let deadline = Deadline::of(begun, call.limit);
        let greeting = Deadline::of(begun, call.greeting.min(call.limit));
        let mut restart = Restart::new(self.waits_for_start, call.greeting.min(call.limit));
        loop {
            let had_worked = self.connection.as_ref().is_some_and(|it| it.greeted);
            let answered = self.attempt(&frame, call.repeatable, greeting, deadline);
            let Failure { error, sent } = match answered.map(|answer| restart.refused(answer)) {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => Failure { error, sent: false },
                Err(failure) => failure,
            };
            if sent && !call.repeatable {
                return Err(error);
            }
            // A connection we kept may have died since, as when the daemon was restarted.
            if had_worked && matches!(error, ClientError::Lost { .. }) {
                continue;
            }
            match restart.pause(&error) {
                Some(pause) => std::thread::sleep(pause),
                None => return Err(error),
            }
        }
    }

    /// Sends a request once, over the connection that is there or a new one.
    fn attempt(
        &mut self,
        frame: &ClientFrame,
        repeatable: bool,
        greeting: Deadline,
        deadline: Deadline,
    ) -> Result<Response, Failure> {
        let unsent = |error| Failure { error, sent: false };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.open(greeting).map_err(unsent)?,
        };
        // A request that must not be sent twice is not left in the socket of a daemon that may come up
        // after we gave up.
        let with_greeting = !connection.greeted && repeatable;
        if !connection.greeted {
            connection.greet(with_greeting.then_some(frame), greeting, &self.path)?;
        }
        let response = connection.exchange(frame, with_greeting, deadline)?;
        self.connection = Some(connection);
        Ok(response)
    }

    fn open(&mut self, deadline: Deadline) -> Result<Connection, ClientError> {
        if let Place::Found = self.place {
            self.path = self.place.path()?;
        }
        Connection::open(&self.path, self.deadlines.connect.min(deadline.left()?))
    }
}
