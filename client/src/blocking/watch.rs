//! A watch on a connection of its own.
//!
//! Owns that connection until the watch ends. It is never used for anything else but what a sink reports of itself, and it is not made
//! again when it is lost.

use std::time::Duration;

use tokend_proto::{ClientFrame, RequestId, Response, ServerFrame, encode};

use super::connection::{Connection, Deadline};
use crate::watch::{ID, SinkReport, WatchEvent, WatchOptions};
use crate::{ClientError, Deadlines, SocketPath, clock};

/// A stream of an account's tokens; see [`BlockingClient::watch`](crate::BlockingClient::watch). Dropping it ends the watch.
#[derive(Debug)]
pub struct BlockingWatch {
    connection: Connection,
    /// What a sink has to say of itself, under the id of its request.
    report: Option<(RequestId, SinkReport)>,
    last_id: RequestId,
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
            report: None,
            last_id: ID,
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
            Ok(frame) if frame.id > ID => return self.answered(&frame).map(|()| None),
            received => received.and_then(WatchEvent::of),
        };
        event
            .map(Some)
            .inspect_err(|error| self.ended = Some(error.clone()))
    }

    /// Reports what becomes of a file that holds the tokens of this watch, in place of what was reported before. It is told to
    /// whoever asks for the account's status, until the watch ends. A daemon that does not know such reports ignores it.
    ///
    /// # Errors
    /// When the connection is lost, which ends the watch.
    pub fn report(&mut self, report: SinkReport) -> Result<(), ClientError> {
        let sent = self.send_report(&report);
        self.report = Some((self.last_id, report));
        sent.inspect_err(|error| self.ended = Some(error.clone()))
    }

    fn send_report(&mut self, report: &SinkReport) -> Result<(), ClientError> {
        self.last_id = RequestId(self.last_id.0.saturating_add(1));
        let frame = ClientFrame {
            id: self.last_id,
            request: report.request(),
        };
        let mut bytes = Vec::new();
        encode(&frame, &mut bytes)?;
        let limit = Deadlines::default().answer;
        self.connection
            .send(&bytes, Deadline::of(clock::now(), limit))
    }

    /// A report is over. The daemon wants the newest one anew when another configuration is in force.
    fn answered(&mut self, frame: &ServerFrame) -> Result<(), ClientError> {
        let is_newest = |(id, _): &mut (RequestId, SinkReport)| *id == frame.id;
        let Some((_, report)) = self.report.take_if(is_newest) else {
            return Ok(());
        };
        match frame.response {
            Response::Done { .. } => self.report(report),
            _ => Ok(()),
        }
    }
}
