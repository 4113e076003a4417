//! A pause in which a connection reads no more requests.
//!
//! Owns the reason and the length: the maximum number of requests waits, or the user made too many requests without a token. Must never
//! hold back an answer that is ready, nor one that was decided before the pause.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokend_proto::RequestId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, sleep_until, timeout};

use super::{Ended, Rest, Session, Waiting};
use crate::broker::budget::Wait;
use crate::requests::Waited;
use tokend_peer::Connection;

/// How often a paused connection checks whether its peer is still there.
const PRESENCE_CHECK: Duration = Duration::from_secs(1);

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    /// Pauses because the user made too many requests without a token; ends early for an answer to an earlier request, which is not held
    /// back. A peer that has left is not waited for, and its unread requests are dropped.
    pub(super) async fn rest(&mut self, waiting: &mut Waiting) -> Result<(), Ended> {
        let Some(Rest { until, log }) = &mut self.rest else {
            return Ok(());
        };
        if std::mem::take(log) {
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
                () = sleep(PRESENCE_CHECK) => {}
            }
        }
        Err(Ended::Closed)
    }

    /// Whether there is a reason to look at what the user owes. Most of the time nobody owes anything.
    pub(super) fn may_owe(&self, now: Duration) -> bool {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        !self.has_paid && self.requests.budgets.are_owed(now_ms)
    }

    /// Whether a connection's first request that is not for a held token has to wait for what its user asked for in vain on other ones.
    pub(super) fn owes(&mut self) -> bool {
        let now_ms = self.requests.clock.boot_ms();
        let has_paid = std::mem::replace(&mut self.has_paid, true);
        if has_paid || self.rest.is_some() {
            return false;
        }
        let Some(owed) = self.requests.budgets.owed(now_ms, self.peer.uid) else {
            return false;
        };
        let until = sleep(owed).deadline();
        self.rest = Some(Rest { until, log: false });
        true
    }

    /// Counts requests without a token. No request is taken until they are paid off.
    pub(super) fn spend(&mut self, cost: u64) {
        if cost == 0 {
            return;
        }
        let now_ms = self.requests.clock.boot_ms();
        if let Some(Wait { length, log }) = self.requests.budgets.spend(now_ms, self.peer.uid, cost)
        {
            let until = sleep(length).deadline();
            let before = self.rest.take();
            self.rest = Some(Rest {
                until: before.as_ref().map_or(until, |it| it.until.max(until)),
                log: log || before.is_some_and(|it| it.log),
            });
        }
    }

    /// Waits for an answer while nothing is read. A disconnect is not read either, so the socket is checked for it.
    pub(super) async fn next_or_gone(
        &mut self,
        waiting: &mut Waiting,
    ) -> Result<Option<(RequestId, Waited)>, Ended> {
        loop {
            match timeout(PRESENCE_CHECK, waiting.next()).await {
                Ok(late) => return Ok(late),
                Err(_) if self.stream.has_gone() => return Err(Ended::Closed),
                Err(_) => {}
            }
        }
    }
}
