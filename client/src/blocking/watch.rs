//! A watch on a connection of its own.
//!
//! Owns that connection until the watch ends. It is never used for anything else, and it is not made again when it is lost.

use std::time::Duration;

use tokend_proto::ClientFrame;

use super::connection::{Connection, Deadline};
use crate::watch::{ID, WatchEvent, WatchOptions};
use crate::{ClientError, Deadlines, SocketPath, clock};

/// A stream of an account's tokens; see [`BlockingClient::watch`](crate::BlockingClient::watch). Dropping it ends the watch.
#[derive(Debug)]
pub struct BlockingWatch {
    connection: Connection,
    /// Why it ended, once it has.
    ended: Option<ClientError>,
}

impl BlockingWatch {
    /// Connects, and begins a watch.
    pub(super) fn open(
        path: &SocketPath,
        deadlines: &Deadlines,
        options: &WatchOptions,
    ) -> Result<Self, ClientError> {
        let deadline = Deadline::of(clock::now(), deadlines.answer);
        let mut connection = Connection::open(path, deadlines.connect.min(deadline.left()?))?;
        let frame = ClientFrame {
            id: ID,
            request: options.request(),
        };
        connection
            .greet(Some(&frame), deadline, path)
            .map_err(|failure| failure.error)?;
        Ok(Self {
            connection,
            ended: None,
        })
    }

    /// Waits for what happens next, without a limit.
    ///
    /// # Errors
    /// The watch is over: [`ClientError::Fault`] carries the daemon's reason, such as a right that was taken away;
    /// [`ClientError::Lost`] means that the connection ended. Then every further call gives the same error.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not tell the end from an error"
    )]
    pub fn next(&mut self) -> Result<WatchEvent, ClientError> {
        loop {
            if let Some(event) = self.next_within(Duration::MAX)? {
                return Ok(event);
            }
        }
    }

    /// The same, within this time; `None` when nothing happened.
    ///
    /// # Errors
    /// As [`BlockingWatch::next`].
    pub fn next_within(&mut self, limit: Duration) -> Result<Option<WatchEvent>, ClientError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let event = match self.connection.receive(Deadline::of(clock::now(), limit)) {
            Err(ClientError::TimedOut { .. }) => return Ok(None),
            received => received.and_then(WatchEvent::of),
        };
        event
            .map(Some)
            .inspect_err(|error| self.ended = Some(error.clone()))
    }
}
