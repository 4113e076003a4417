//! The blocking client: one connection, one request at a time, no runtime.
//!
//! Owns the connection and its deadlines. A connection on which anything went wrong is closed and never used
//! again, so that a late answer cannot be taken for that of another request.

mod watch;

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokend_proto::{
    AccountLine, AccountName, AccountStatus, ClientFrame, DiagnosisPage, FrameBuffer, LoginSecret,
    MetricsCursor, MetricsPage, RequestId, Response, SecretText, ServerFrame, Token, Whoami,
    decode_server, encode,
};
use zeroize::Zeroizing;

use crate::error::QUEUE_IS_FULL;
use crate::exchange::{self, Call, HELLO, Pages};
use crate::{ClientError, Deadlines, GetOptions, Patience, SocketPath, clock};

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

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    received: FrameBuffer,
    greeted: bool,
}

/// Why an exchange failed, and whether the daemon may have seen the request.
struct Failure {
    error: ClientError,
    sent: bool,
}

impl Connection {
    fn open(path: &SocketPath, limit: Duration) -> Result<Self, ClientError> {
        let stream = open(path, limit).map_err(|error| ClientError::NotReachable {
            path: path.as_path().to_owned(),
            source: Arc::new(error),
        })?;
        Ok(Self {
            stream,
            received: FrameBuffer::new(),
            greeted: false,
        })
    }

    /// Greets, and sends the first request with it where there is one, so that it costs no round trip.
    fn greet(
        &mut self,
        frame: Option<&ClientFrame>,
        deadline: Deadline,
        path: &SocketPath,
    ) -> Result<(), Failure> {
        let silent = |failure: Failure| match failure.error {
            ClientError::TimedOut { limit } => Failure {
                error: ClientError::Silent {
                    path: path.as_path().to_owned(),
                    limit,
                },
                ..failure
            },
            _ => failure,
        };
        self.request(frame, true, deadline).map_err(silent)?;
        let welcomed = self.receive(deadline).and_then(exchange::welcomed);
        welcomed.map_err(|error| silent(Failure { error, sent: true }))?;
        self.greeted = true;
        Ok(())
    }

    /// Sends a request, behind a greeting where there was none.
    fn request(
        &mut self,
        frame: Option<&ClientFrame>,
        with_greeting: bool,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        let unsent = |error| Failure { error, sent: false };
        let mut bytes = Zeroizing::new(Vec::new());
        if with_greeting {
            encode(&exchange::hello(), &mut bytes).map_err(|error| unsent(error.into()))?;
        }
        if let Some(frame) = frame {
            encode(frame, &mut bytes).map_err(|error| unsent(error.into()))?;
        }
        self.send(&bytes, deadline).map_err(|error| {
            // A daemon that refuses a connection says why and closes it, perhaps before we wrote.
            let refused = self.receive(deadline).and_then(exchange::welcomed);
            unsent(match refused {
                Err(fault @ ClientError::Fault(_)) => fault,
                _ => error,
            })
        })
    }

    fn exchange(
        &mut self,
        frame: &ClientFrame,
        is_sent: bool,
        deadline: Deadline,
    ) -> Result<Response, Failure> {
        if !is_sent {
            self.request(Some(frame), false, deadline)?;
        }
        let maybe_sent = |error| Failure { error, sent: true };
        match self.receive(deadline).map_err(maybe_sent)? {
            ServerFrame { id, response } if id == frame.id => Ok(response),
            ServerFrame {
                id: HELLO,
                response: Response::Fault(fault),
            } => Err(maybe_sent(fault.into())),
            ServerFrame { id, .. } => {
                let reason = format!("it answers request {}, which was not asked", id.0);
                Err(maybe_sent(ClientError::protocol(reason)))
            }
        }
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> Result<(), ClientError> {
        while !bytes.is_empty() {
            self.stream
                .set_write_timeout(Some(deadline.left()?))
                .map_err(|error| ClientError::broken(&error))?;
            match self.stream.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) => deadline.forgive(&error)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self, deadline: Deadline) -> Result<ServerFrame, ClientError> {
        loop {
            if let Some(payload) = self.received.next_frame()? {
                return Ok(decode_server(payload)?);
            }
            self.stream
                .set_read_timeout(Some(deadline.left()?))
                .map_err(|error| ClientError::broken(&error))?;
            match self.stream.read(self.received.spare()) {
                Ok(0) if self.received.is_empty() => {
                    return Err(ClientError::lost("the daemon closed it"));
                }
                Ok(0) => return Err(ClientError::lost("it ended in the middle of an answer")),
                Ok(count) => self.received.filled(count),
                Err(error) => deadline.forgive(&error)?,
            }
        }
    }
}

/// The time by which a call must end; `None` is later than the clock can express.
#[derive(Clone, Copy)]
struct Deadline {
    until: Option<Instant>,
    limit: Duration,
}

impl Deadline {
    fn of(begun: Instant, limit: Duration) -> Self {
        Self {
            until: begun.checked_add(limit),
            limit,
        }
    }

    /// How long a read or write may still take; never zero, which the system takes for no limit.
    fn left(&self) -> Result<Duration, ClientError> {
        const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
        let left = self.until.map_or(LONGEST, |until| {
            until.saturating_duration_since(clock::now())
        });
        match left {
            Duration::ZERO => Err(ClientError::TimedOut { limit: self.limit }),
            left => Ok(left.min(LONGEST)),
        }
    }

    /// Ignores errors that only mean that it is time to look at the clock again.
    fn forgive(&self, error: &io::Error) -> Result<(), ClientError> {
        match error.kind() {
            ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
            _ => Err(ClientError::broken(error)),
        }
    }
}

/// Connects with a deadline. `UnixStream::connect` has none, and a daemon whose queue is full makes it wait.
fn open(path: &SocketPath, limit: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path.as_path())?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let deadline = Deadline::of(clock::now(), limit.max(Duration::from_millis(1)));
    loop {
        let left = deadline.left().map_err(|_late| queue_is_full())?;
        set_socket_timeout(&socket, Timeout::Send, Some(left))?;
        match connect(&socket, &address).map_err(io::Error::from) {
            Ok(()) => return Ok(socket.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(queue_is_full()),
            // A wait with a time limit ends with a signal, also when a stopped process goes on.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The daemon did not accept the connection in time.
fn queue_is_full() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, QUEUE_IS_FULL)
}
