//! Accepts connections: which peers get one, and how many.
//!
//! Owns the slots in total and per user. A peer without a free slot is told so and disconnected at once. Open sessions are never disturbed,
//! and a user who takes all of their slots takes none from another user.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::os::unix::uds_local_socket::tokio::Listener;
use rustix::net::sockopt;
use tokend_config::{AuditEvent, Limits};
use tokend_policy::{Outlet, Peer};
use tokend_proto::{Fault, FaultCode, OLDEST, RequestId, Response, ServerFrame, encode};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::requests::Requests;
use crate::server::connection::{self, Bounds, Ended};
use crate::server::parting::part;
use tokend_audit::{Event, Outcome};
use tokend_process::accepting::accept_until;
use tokend_process::shutdown::{Shutdown, reached};

/// The name of this module in log lines.
#[cfg(test)]
pub(crate) const LOG_TARGET: &str = module_path!();

/// How long a refused peer may take to read the reason.
const REFUSING: Duration = Duration::from_millis(100);
/// How many refused peers read the reason at once, and how many of one user: each holds a file of ours, of which there are 65,536. As many
/// as may be connected by default; the others are disconnected without a word.
const REFUSED: (usize, usize) = (4_096, 1_024);
/// How long the end of the daemon waits for connections that are not closed, but answered.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// How often that is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long connections are kept after all requests were answered, so that the answers are written.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Slots {
    total: usize,
    per_user: usize,
    taken: Mutex<HashMap<u32, usize>>,
}

/// A taken slot. Dropping it frees it.
#[derive(Debug)]
struct Slot {
    slots: Arc<Slots>,
    uid: u32,
}

/// What is spoken on a listener.
pub(crate) trait Protocol: 'static {
    /// The outlet, in records and log lines; none for the native protocol.
    const OUTLET: Option<Outlet>;

    /// How long a refused peer may take to read the reason.
    const REFUSING: Duration = REFUSING;

    /// How many bytes the kernel holds for a peer that does not read, if that should be less than it would be.
    const SEND_BUFFER: Option<usize> = None;

    /// Serves one connection of a peer until it ends, or the daemon does: most close it then ([`until_closing`]). It was accepted this many
    /// milliseconds after boot.
    fn serve(
        stream: Stream,
        caller: (Peer, u64),
        requests: Arc<Requests>,
        bounds: Bounds,
        stage: watch::Receiver<Shutdown>,
    ) -> impl Future<Output = Ended> + Send;

    /// The bytes that tell a peer why it gets no connection.
    fn refusal(fault: Fault) -> Cow<'static, [u8]>;
}

/// The protocol of `tokend-proto`.
pub(crate) struct Native;

/// What all listeners share: their requests, and the places of connections.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    requests: Arc<Requests>,
    slots: Arc<Slots>,
    /// Those of peers that have no place.
    refused: Arc<Slots>,
    bounds: Bounds,
}

impl Places {
    pub(crate) fn new(requests: Arc<Requests>, limits: Limits) -> Self {
        Self {
            requests,
            slots: Arc::new(Slots {
                total: count(limits.connections),
                per_user: count(limits.connections_per_user),
                taken: Mutex::default(),
            }),
            refused: Arc::new(Slots {
                total: REFUSED.0,
                per_user: REFUSED.1,
                taken: Mutex::default(),
            }),
            bounds: Bounds {
                pending: count(limits.requests_per_connection),
                idle: limits.idle_timeout,
                frame: limits.frame_timeout,
            },
        }
    }

    /// Ends when no connection is left.
    async fn emptied(&self) {
        while !self.slots.lock().is_empty() {
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Accepts connections on one listener until the daemon drains, and ends once all connections have.
pub(crate) async fn run<P: Protocol>(
    fd: OwnedFd,
    places: Places,
    stage: watch::Receiver<Shutdown>,
) -> io::Result<()> {
    let listener = Listener::try_from(fd)?;
    let mut draining = stage.clone();
    accept_until(
        reached(&mut draining, Shutdown::Draining),
        || listener.accept(),
        |stream| welcome::<P>(stream.into(), &places, stage.clone()),
        |error| tracing::warn!("a connection could not be accepted: {error}"),
    )
    .await;
    // Who comes now is refused by the kernel at once, and does not wait for an answer that cannot come.
    drop(listener);
    reached(&mut draining, Shutdown::Closing).await;
    let _some_are_left = timeout(LAST_ANSWERS, places.emptied()).await;
    Ok(())
}

/// Serves a connection as if it had just been accepted.
pub(crate) fn welcome<P: Protocol>(
    stream: Stream,
    places: &Places,
    stage: watch::Receiver<Shutdown>,
) {
    let Places {
        requests,
        slots,
        refused,
        bounds,
    } = places;
    let Stream::UdSocket(socket) = &stream;
    if let Some(size) = P::SEND_BUFFER
        && let Err(error) = sockopt::set_socket_send_buffer_size(socket.inner(), size)
    {
        tracing::debug!("a connection keeps its large buffer: {error}");
    }
    let accepted_ms = requests.clock.boot_ms();
    let peer = match tokend_peer::of(&stream) {
        Ok(peer) => peer.over(P::OUTLET),
        Err(error) => {
            requests.metrics.counters().refused();
            return tracing::warn!("a connection was refused: {error}");
        }
    };
    if tokend_peer::is_nobody(&peer) {
        requests.metrics.counters().refused();
        requests.audit.note(Event {
            peer: Some(peer.clone()),
            ..Event::new(AuditEvent::Denial, Outcome::Fault(FaultCode::NotAllowed))
        });
        return turn_away::<P>(stream, &peer, nobody(), refused);
    }
    let slot = match Slots::take(slots, peer.uid) {
        Ok(slot) => slot,
        Err(fault) => {
            requests.metrics.counters().refused();
            return turn_away::<P>(stream, &peer, fault, refused);
        }
    };
    let connected = requests.metrics.counters().connected();
    let (requests, bounds) = (Arc::clone(requests), *bounds);
    let caller = peer.clone();
    drop(tokio::spawn(async move {
        let ended = P::serve(stream, (caller, accepted_ms), requests, bounds, stage).await;
        drop((slot, connected));
        match ended {
            Ended::Closed => tracing::trace!(peer = %peer, "connection ended: {ended}"),
            Ended::Idle | Ended::CutOff | Ended::Broken(_) => {
                tracing::debug!(peer = %peer, "connection ended: {ended}")
            }
            Ended::Unfinished | Ended::NotTaken | Ended::Protocol(_) => {
                tracing::warn!(peer = %peer, "connection ended: {ended}");
            }
        }
    }));
}

/// The answer to a peer whose user the kernel does not name. No rule could tell such peers apart.
fn nobody() -> Fault {
    let message =
        "tokend cannot tell who you are: its user namespace has no number for your user or group";
    Fault::new(FaultCode::NotAllowed, message).advise(
        "run tokend outside of user namespaces (PrivateUsers= must be off), or with all ids mapped",
    )
}

/// Serves a connection until all waiting clients have been answered, and the answers have had a moment to be written.
pub(crate) async fn until_closing(
    served: impl Future<Output = Ended>,
    mut stage: watch::Receiver<Shutdown>,
) -> Ended {
    let closing = async {
        reached(&mut stage, Shutdown::Closing).await;
        sleep(GRACE / 2).await;
    };
    tokio::select! {
        ended = served => ended,
        () = closing => Ended::Closed,
    }
}

/// Sends the reason, if the peer takes it at once, and disconnects.
fn turn_away<P: Protocol>(mut stream: Stream, peer: &Peer, fault: Fault, refused: &Arc<Slots>) {
    tracing::warn!(peer = %peer, "a connection was refused: {fault}");
    let Some(place) = Slots::to_refuse(refused, peer.uid) else {
        return;
    };
    let bytes = P::refusal(fault);
    drop(tokio::spawn(async move {
        let _until_read = place;
        if let Ok(Ok(())) = timeout(P::REFUSING, stream.write_all(&bytes)).await {
            part(stream).await;
        }
    }));
}

impl Protocol for Native {
    const OUTLET: Option<Outlet> = None;

    fn serve(
        stream: Stream,
        caller: (Peer, u64),
        requests: Arc<Requests>,
        bounds: Bounds,
        stage: watch::Receiver<Shutdown>,
    ) -> impl Future<Output = Ended> + Send {
        until_closing(connection::serve(stream, caller, requests, bounds), stage)
    }

    fn refusal(fault: Fault) -> Cow<'static, [u8]> {
        let mut bytes = Vec::new();
        let frame = ServerFrame {
            id: RequestId(0),
            response: Response::Fault(fault),
        };
        // No version has been agreed on yet.
        match encode(&frame.for_version(OLDEST), &mut bytes) {
            Ok(()) => bytes.into(),
            Err(_) => Cow::default(),
        }
    }
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(slots: &Arc<Self>, uid: u32) -> Result<Slot, Fault> {
        let mut taken = slots.lock();
        let all: usize = taken.values().sum();
        let own = taken.get(&uid).copied().unwrap_or(0);
        let (message, key) = if own >= slots.per_user {
            let message = format!("user {uid} has {own} connections open");
            (message, "connections_per_user")
        } else if all >= slots.total {
            (format!("{all} connections are open"), "connections")
        } else {
            *taken.entry(uid).or_insert(0) += 1;
            let slots = Arc::clone(slots);
            return Ok(Slot { slots, uid });
        };
        Err(Fault::new(FaultCode::TooBusy, message)
            .advise(format!("`{key}` below [limits] sets the bound"))
            .retry_after(1_000))
    }

    /// A place in which a peer of this user is told why it is refused; none where too many are. Root is always told: it could do worse, and
    /// its units would take silence for an empty credential.
    fn to_refuse(refused: &Arc<Self>, uid: u32) -> Option<Option<Slot>> {
        match Self::take(refused, uid) {
            Ok(slot) => Some(Some(slot)),
            Err(_) => (uid == 0).then_some(None),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        if let Entry::Occupied(mut own) = taken.entry(self.uid) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_who_takes_all_of_theirs_takes_nothing_from_others() {
        let slots = Arc::new(Slots {
            total: 3,
            per_user: 2,
            taken: Mutex::default(),
        });
        let first = Slots::take(&slots, 1).unwrap();
        let _second = Slots::take(&slots, 1).unwrap();
        let fault = Slots::take(&slots, 1).unwrap_err();
        assert_eq!(fault.code, FaultCode::TooBusy);
        // When to try again is said by the time alone.
        assert_eq!(fault.retry_after_ms, Some(1_000));
        assert!(!fault.advice.unwrap().contains("again"));
        let _other = Slots::take(&slots, 2).unwrap();
        assert!(Slots::take(&slots, 3).is_err(), "three in all");
        drop(first);
        assert!(Slots::take(&slots, 3).is_ok());
    }

    #[test]
    fn no_user_holds_our_files_with_connections_that_are_refused() {
        let refused = Arc::new(Slots {
            total: 4,
            per_user: 2,
            taken: Mutex::default(),
        });
        let _own = [0, 1].map(|_| Slots::to_refuse(&refused, 1).unwrap().unwrap());
        assert!(Slots::to_refuse(&refused, 1).is_none());
        let _other = Slots::to_refuse(&refused, 2).unwrap().unwrap();
        let _root = [0, 1, 2].map(|_| Slots::to_refuse(&refused, 0).unwrap());
        assert!(Slots::to_refuse(&refused, 3).is_none(), "four in all");
    }
}
