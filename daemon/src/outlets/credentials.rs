//! The outlet for units: systemd's `LoadCredential=ID:/path.sock`.
//!
//! Owns one connection from its proof to its answer, which is the credential or an overflow, and the log line that says why there is no
//! credential: the unit's own log cannot. Must never read from the connection, and never end one whose client still waits before its
//! answer is whole: to systemd, what came until then would be the credential, even if that is nothing.

mod kept;
mod wording;

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use interprocess::os::unix::uds_local_socket::tokio::Stream as UnixStream;
use tokend_outlets::credentials::{CredentialRequest, Format, OVERFLOW, proved};
use tokend_peer::Connection;
use tokend_policy::{Needs, Outlet, Peer};
use tokend_process::shutdown::{Shutdown, reached};
use tokend_process::systemd::Manager;
use tokend_proto::{AccountName, Fault, Request, Response};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use self::kept::Kept;
use self::wording::Missing;
use crate::requests::{Admission, Release, Reply, Requests, Waited};
use crate::server::accept::{self, Places, Protocol};
use crate::server::connection::{Bounds, Ended};

/// How long a unit waits for its token. systemd gives most units 90 seconds to start, of which some are left for the unit itself.
const PATIENCE_MS: u64 = 60_000;
/// How often a connection that waits checks whether its client is still there.
const PRESENCE_CHECK: Duration = Duration::from_secs(1);
static BLANKS: [u8; OVERFLOW] = [b' '; OVERFLOW];

/// What systemd speaks when it loads a credential from a socket.
pub(super) struct Credentials;

impl Protocol for Credentials {
    const OUTLET: Option<Outlet> = Some(Outlet::Credentials);
    /// Time for all of it, since a part would be a credential.
    const REFUSING: Duration = Duration::from_secs(2);

    async fn serve(
        stream: Stream,
        (peer, accepted_ms): (Peer, u64),
        requests: Arc<Requests>,
        bounds: Bounds,
        stage: watch::Receiver<Shutdown>,
    ) -> Ended {
        let address = tokend_peer::abstract_address(&stream);
        let Stream::UdSocket(socket) = &stream;
        let connected = Connected {
            asked: address.and_then(|address| CredentialRequest::read(&address)),
            copy: socket.inner().as_fd().try_clone_to_owned().ok(),
            kept: None,
            stream,
            peer,
            accepted_ms,
        };
        connected.serve(&requests, stage, bounds.frame).await;
        Ended::Closed
    }

    fn refusal(_: Fault) -> Cow<'static, [u8]> {
        BLANKS.as_slice().into()
    }
}

/// Serves a connection that systemd kept under this name when the daemon before died.
pub(super) fn take_over(
    name: &str,
    connection: OwnedFd,
    places: &Places,
    stage: &watch::Receiver<Shutdown>,
) {
    match UnixStream::try_from(connection) {
        Ok(stream) => accept::welcome::<Credentials>(stream.into(), places, stage.clone()),
        Err(error) => tracing::debug!("a connection that was handed on is none: {error}"),
    }
    Manager::of_this_process().keep_no_longer(name);
}

/// A connection of systemd, or of a process that says so.
struct Connected<S> {
    stream: S,
    peer: Peer,
    /// When it was accepted, in milliseconds after boot.
    accepted_ms: u64,
    /// What the address of its other end says.
    asked: Option<CredentialRequest>,
    /// A copy of the connection for the service manager, and what that keeps.
    copy: Option<OwnedFd>,
    kept: Option<Kept>,
}

/// Why a connection ends without a credential.
enum End {
    /// The client left before its answer.
    Gone,
    Broken(io::Error),
    Refused(Missing),
}

/// The request on its way to its answer.
enum Step {
    Asked(Request),
    Waited(Waited),
}

/// What follows a step.
enum Next {
    NeedFacts(Needs, Step),
    Wait(Pin<Box<dyn Future<Output = Waited> + Send>>),
    Again(Step),
    Refuse(Missing),
    /// The credential is on its way: so many bytes of it have been taken.
    Sent(Zeroizing<Vec<u8>>, io::Result<usize>),
}

impl<S: AsyncWrite + Connection + Unpin> Connected<S> {
    /// Serves the connection until its end. A client that is not systemd may take this long to read its refusal.
    async fn serve(
        mut self,
        requests: &Requests,
        mut stage: watch::Receiver<Shutdown>,
        patience: Duration,
    ) {
        let ended = tokio::select! {
            biased;
            answered = self.answer(requests) => answered,
            () = reached(&mut stage, Shutdown::Closing) => Err(End::Refused(Missing::stopping())),
        };
        match ended {
            Ok(()) => {}
            Err(End::Gone) => {
                tracing::debug!(peer = %self.peer, "a unit did not wait for its credential");
            }
            Err(End::Broken(error)) => {
                tracing::debug!(peer = %self.peer, "a credential was not taken: {error}");
            }
            Err(End::Refused(missing)) => {
                if let Some(event) = missing.event(&self.peer, self.asked.as_ref()) {
                    requests.audit.note(event);
                }
                let now_ms = requests.clock.boot_ms();
                // Whoever asks without end, for what it may not have, waits for each refusal.
                if let Some(wait) = requests.budgets.spend(now_ms, self.peer.uid, 1) {
                    sleep(wait.length).await;
                }
                self.refuse(missing, patience).await;
            }
        }
    }

    /// Refuses the connection, with the reason in the log. A unit reads its refusal to the end, whenever it does: a part of it would be a
    /// credential. So only a client that is not systemd has to read it in time.
    async fn refuse(mut self, missing: Missing, patience: Duration) {
        wording::log(&self.peer, self.asked.as_ref(), &missing);
        let overflow = async {
            self.stream.write_all(&BLANKS).await?;
            self.stream.shutdown().await
        };
        let written = match missing.is_by_a_stranger() {
            true => timeout(patience, overflow).await.unwrap_or(Ok(())),
            false => overflow.await,
        };
        if let Err(error) = written {
            // As intended: systemd reads one byte too many and hangs up.
            tracing::trace!(peer = %self.peer, "the rest of a refusal was not taken: {error}");
        }
    }

    async fn answer(&mut self, requests: &Requests) -> Result<(), End> {
        let refused = |missing| Err(End::Refused(missing));
        let Some(asked) = self.asked.clone() else {
            return refused(Missing::NoAddress);
        };
        if let Err(fault) = self.learn(requests, Needs::UNITS).await {
            return refused(Missing::Fault(fault));
        }
        match proved(self.peer.clone(), asked.unit()) {
            Ok(peer) => self.peer = peer,
            Err(unproved) => return refused(Missing::Unproved(unproved)),
        }
        let Some((account, format)) = meaning(requests, &asked) else {
            return refused(Missing::NoName);
        };
        let mut step = Step::Asked(Request::Get {
            account: account.clone(),
            min_validity_ms: None,
            wait_ms: PATIENCE_MS,
            timeout_ms: PATIENCE_MS,
        });
        loop {
            step = match self.take_still(requests, step, format).await {
                Next::NeedFacts(needs, step) => match (self.learn(requests, needs).await, step) {
                    (Ok(()), step) => step,
                    (Err(fault), Step::Waited(waited)) => Step::Waited(waited.put_off(fault)),
                    (Err(fault), Step::Asked(_)) => return refused(Missing::Fault(fault)),
                },
                Next::Wait(pending) => {
                    self.keep();
                    Step::Waited(self.unless_gone(pending).await?)
                }
                Next::Again(step) => step,
                Next::Refuse(Missing::Fault(fault)) => return refused(Missing::of(account, fault)),
                Next::Refuse(missing) => return refused(missing),
                Next::Sent(content, taken) => {
                    let taken = taken.map_err(End::Broken)?;
                    let rest = content.get(taken..).unwrap_or_default();
                    self.stream.write_all(rest).await.map_err(End::Broken)?;
                    return self.stream.shutdown().await.map_err(End::Broken);
                }
            };
        }
    }

    /// Decides, and begins to send the credential, under one configuration: a reload that takes the right away is not answered in between.
    async fn take_still(&mut self, requests: &Requests, step: Step, format: Format) -> Next {
        let mut step = Some(step);
        let take = poll_fn(|context| {
            let _still = requests.registry.hold_still();
            let Some(step) = step.take() else {
                return Poll::Pending;
            };
            Poll::Ready(self.take(requests, step, format, context))
        });
        // Nothing interrupts it between the decision and the first write.
        unconstrained(take).await
    }

    fn take(
        &mut self,
        requests: &Requests,
        step: Step,
        format: Format,
        context: &mut Context<'_>,
    ) -> Next {
        let response = match step {
            Step::Asked(request) => {
                let began = requests.clock.since_boot();
                let snapshot = requests.registry.snapshot();
                let decided = match requests.admit(&snapshot, &self.peer, &request) {
                    Admission::NeedFacts(needs) => {
                        return Next::NeedFacts(needs, Step::Asked(request));
                    }
                    Admission::Refused(refused) => Err(refused),
                    Admission::Admitted(admitted) => Ok(admitted),
                };
                match requests.answer(&self.peer, request, decided, began) {
                    Reply::Ready(response) => response,
                    Reply::Pending(pending) => return Next::Wait(pending),
                }
            }
            Step::Waited(waited) => match requests.release(&self.peer, waited) {
                Release::NeedFacts(needs, waited) => {
                    return Next::NeedFacts(needs, Step::Waited(*waited));
                }
                Release::Answer(response) => response,
                Release::Again(request) => return Next::Again(Step::Asked(*request)),
                Release::Part(..) => return Next::Refuse(Missing::unexpected()),
            },
        };
        self.begin_to_send(response, format, context)
    }

    fn begin_to_send(
        &mut self,
        response: Response,
        format: Format,
        context: &mut Context<'_>,
    ) -> Next {
        let token = match response {
            Response::Token(token) => token,
            Response::Fault(fault) => return Next::Refuse(Missing::Fault(fault)),
            _ => return Next::Refuse(Missing::unexpected()),
        };
        let content = match format.content(&token) {
            Ok(content) => content,
            Err(unfit) => return Next::Refuse(Missing::Unfit(unfit)),
        };
        let taken = match Pin::new(&mut self.stream).poll_write(context, &content) {
            Poll::Ready(taken) => taken,
            Poll::Pending => Ok(0),
        };
        Next::Sent(content, taken)
    }

    /// Has systemd keep the connection, from now on until its end.
    fn keep(&mut self) {
        if let Some(copy) = self.copy.take() {
            self.kept = Some(Kept::new(Manager::of_this_process(), &copy));
        }
    }

    /// Reads missing facts about the peer.
    async fn learn(&mut self, requests: &Requests, needs: Needs) -> Result<(), Fault> {
        let pin = self.stream.pin(&self.peer, self.accepted_ms);
        match requests.facts.learn(self.peer.clone(), needs, pin).await {
            Ok(peer) => {
                self.peer = peer;
                Ok(())
            }
            Err(busy) => Err(busy.fault(self.peer.uid, needs)),
        }
    }

    /// Waits for the answer. A client that has left is not waited for.
    async fn unless_gone(
        &mut self,
        mut pending: Pin<Box<dyn Future<Output = Waited> + Send>>,
    ) -> Result<Waited, End> {
        loop {
            match timeout(PRESENCE_CHECK, &mut pending).await {
                Ok(waited) => return Ok(waited),
                Err(_) if self.stream.has_gone() => return Err(End::Gone),
                Err(_) => {}
            }
        }
    }
}

/// The account and the format that the credential's name means. An account of exactly this name comes first, then one of the name before
/// a suffix; if there is neither, the name is refused like that of any other account.
fn meaning(requests: &Requests, asked: &CredentialRequest) -> Option<(AccountName, Format)> {
    let snapshot = requests.registry.snapshot();
    let exists = |name: &AccountName| snapshot.find(name).is_some_and(|found| found.exists);
    let mut all = asked.meanings();
    let mut last = all.next()?;
    while !exists(&last.0)
        && let Some(next) = all.next()
    {
        last = next;
    }
    Some(last)
}

#[cfg(test)]
mod tests;
