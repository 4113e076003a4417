//! A watch on a connection of its own.
//!
//! Owns that connection until the watch ends. It is never used for anything else, and it is not made again when it is lost.

use std::time::Duration;

use interprocess::os::unix::uds_local_socket::tokio::Stream;
use tokend_proto::{ClientFrame, FrameBuffer, encode};
use tokio::time::timeout;

use super::link::{greeted, late, next_frame};
use crate::watch::{ID, WatchEvent, WatchOptions};
use crate::{ClientError, SocketPath};

/// A stream of an account's tokens; see [`Client::watch`](crate::Client::watch). Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    stream: Stream,
    received: FrameBuffer,
    /// Why it ended, once it has.
    ended: Option<ClientError>,
}

impl Watch {
    /// Connects, and begins a watch.
    pub(super) async fn open(
        path: &SocketPath,
        limit: Duration,
        options: &WatchOptions,
    ) -> Result<Self, ClientError> {
        let mut connected = false;
        let opened = timeout(limit, greeted(path, &mut connected)).await;
        let (stream, received) = opened.map_err(|_elapsed| late(path, limit, connected))??;
        let frame = ClientFrame {
            id: ID,
            request: options.request(),
        };
        let mut bytes = Vec::new();
        encode(&frame, &mut bytes)?;
        // A connection that has carried a greeting and nothing else has room for one request.
        match stream.inner().try_write(&bytes) {
            Ok(count) if count == bytes.len() => Ok(Self {
                stream,
                received,
                ended: None,
            }),
            Ok(_) => Err(ClientError::lost("the daemon reads nothing")),
            Err(error) => Err(ClientError::broken(&error)),
        }
    }

    /// Waits for what happens next. Dropping the future is safe: nothing is lost.
    ///
    /// # Errors
    /// The watch is over: [`ClientError::Fault`] carries the daemon's reason, such as a right that was taken away;
    /// [`ClientError::Lost`] means that the connection ended. Then every further call gives the same error.
    pub async fn next(&mut self) -> Result<WatchEvent, ClientError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let received = next_frame(&self.stream, &mut self.received).await;
        let event = received.and_then(WatchEvent::of);
        event.inspect_err(|error| self.ended = Some(error.clone()))
    }
}
