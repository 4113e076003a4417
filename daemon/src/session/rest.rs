//! A connection from which nothing more is read for a while.
//!
//! Owns why and how long: as many requests wait as may, or its user has asked too much in vain. Must never hold what was decided back,
//! which is on its way before.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokend_proto::RequestId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use super::{Ended, Session, Waiting};
use crate::desk::Answered;
use crate::desk::thrift::Wait;
use crate::peer::Connection;

/// How often it is looked whether the peer of a connection from which nothing is read is still there.
const LOOK: Duration = Duration::from_secs(1);

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    /// Waits where the user has asked too much in vain. Nothing was decided that has yet to leave.
    pub(super) async fn rest(&mut self) {
        let Some(Wait { length, tell }) = self.wait.take() else {
            return;
        };
        if tell {
            let peer = &self.peer;
            tracing::warn!(peer = %peer, "a user asks without end for what it may not have, or looks at the same again and again: its answers are put off");
        }
        sleep(length).await;
    }

    /// Notes what was asked in vain. Nothing more is taken until that is paid off.
    pub(super) fn spend(&mut self, cost: u64) {
        if cost == 0 {
            return;
        }
        let now_ms = self.desk.clock.boot_ms();
        if let Some(wait) = self.desk.thrift.spend(now_ms, self.peer.uid, cost) {
            self.left = 0;
            let tell = wait.tell || self.wait.is_some_and(|before| before.tell);
            self.wait = Some(Wait { tell, ..wait });
        }
    }

    /// Waits for an answer while nothing more is read. That the peer has gone is not read either, so it is looked for.
    pub(super) async fn next_or_gone(
        &mut self,
        waiting: &mut Waiting,
    ) -> Result<Option<(RequestId, Answered)>, Ended> {
        loop {
            match timeout(LOOK, waiting.next()).await {
                Ok(late) => return Ok(late),
                Err(_) if self.stream.has_gone() => return Err(Ended::Closed),
                Err(_) => {}
            }
        }
    }
}
