//! A connection from which nothing more is read for a while.
//!
//! Owns why and how long: as many requests wait as may, or its user has asked too much in vain. Must never hold what was decided back,
//! which is on its way before, nor an answer that was asked for before and is ready.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokend_proto::RequestId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, sleep_until, timeout};

use super::{Ended, Rest, Session, Waiting};
use crate::requests::Answered;
use crate::requests::budget::Wait;
use tokend_peer::Connection;

/// How often it is looked whether the peer of a connection from which nothing is read is still there.
const LOOK: Duration = Duration::from_secs(1);

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    /// Waits where the user has asked too much in vain, for an answer that was asked for before at most: that one is not held back.
    /// Whoever has gone is not waited for; what it left unread is dropped.
    pub(super) async fn rest(&mut self, waiting: &mut Waiting) -> Result<(), Ended> {
        let Some(Rest { until, tell }) = &mut self.rest else {
            return Ok(());
        };
        if std::mem::take(tell) {
            let peer = &self.peer;
            tracing::warn!(peer = %peer, "a user sends requests without end, for what it may not have or for the same again and again: its \
            answers are delayed");
        }
        let until = *until;
        while !self.stream.has_gone() {
            tokio::select! {
                Some(late) = waiting.next() => {
                    self.late = Some(late);
                    return Ok(());
                }
                () = sleep_until(until) => {
                    self.rest = None;
                    return Ok(());
                }
                () = sleep(LOOK) => {}
            }
        }
        Err(Ended::Closed)
    }

    /// Notes what was asked in vain. Nothing more is taken until that is paid off.
    pub(super) fn spend(&mut self, cost: u64) {
        if cost == 0 {
            return;
        }
        let now_ms = self.requests.clock.boot_ms();
        if let Some(Wait { length, tell }) =
            self.requests.budgets.spend(now_ms, self.peer.uid, cost)
        {
            let until = sleep(length).deadline();
            let before = self.rest.take();
            self.rest = Some(Rest {
                until: before.as_ref().map_or(until, |it| it.until.max(until)),
                tell: tell || before.is_some_and(|it| it.tell),
            });
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
