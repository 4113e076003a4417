//! One connection of the blocking clients, and its deadlines.
//!
//! Owns the socket. A connection on which anything went wrong is never used again, so that a late answer cannot be taken for that of
//! another request.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokend_proto::{ClientFrame, FrameBuffer, Response, ServerFrame, decode_server, encode};
use zeroize::Zeroizing;

use crate::error::QUEUE_IS_FULL;
use crate::exchange::{self, HELLO};
use crate::{ClientError, SocketPath, clock};

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    received: FrameBuffer,
    pub(super) greeted: bool,
}

/// Why an exchange failed, and whether the daemon may have seen the request.
pub(super) struct Failure {
    pub(super) error: ClientError,
    pub(super) sent: bool,
}

impl Connection {
    pub(super) fn open(path: &SocketPath, limit: Duration) -> Result<Self, ClientError> {
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
    pub(super) fn greet(
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

    pub(super) fn exchange(
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

    pub(super) fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> Result<(), ClientError> {
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

    pub(super) fn receive(&mut self, deadline: Deadline) -> Result<ServerFrame, ClientError> {
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
pub(super) struct Deadline {
    until: Option<Instant>,
    limit: Duration,
}

impl Deadline {
    pub(super) fn of(begun: Instant, limit: Duration) -> Self {
        Self {
            until: begun.checked_add(limit),
            limit,
        }
    }

    /// How long a read or write may still take; never zero, which the system takes for no limit.
    pub(super) fn left(&self) -> Result<Duration, ClientError> {
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
