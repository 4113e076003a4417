//! The outlet for units: systemd's `LoadCredential=ID:/path.sock`.
//!
//! Owns one connection from its proof to its answer, which is the credential or an overflow, and the log line that says why there is no
//! credential: the unit's own log cannot. Must never read from the connection, and never end one whose client still waits before its
//! answer is whole: to systemd, what came until then would be the credential, even if that is nothing.

mod wording;

use std::borrow::Cow;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
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
use tokio::time::timeout;

use self::wording::Missing;
use super::caller::{Answer, Caller, Gone, still};
use super::kept::{Handover, is_begun};
use super::shared::Shared;
use crate::broker::budget::DEAR;
use crate::requests::Requests;
use crate::server::accept::{self, Places, Protocol};
use crate::server::connection::{Bounds, Ended};

/// How long a unit waits for its token. systemd gives most units 90 seconds to start, of which some are left for the unit itself.
const PATIENCE_MS: u64 = 60_000;
static BLANKS: [u8; OVERFLOW] = [b' '; OVERFLOW];

/// What systemd speaks when it loads a credential from a socket.
pub(super) struct Credentials;

impl Protocol for Credentials {
    const OUTLET: Option<Outlet> = Some(Outlet::Credentials);
    /// Time for all of it, since a part would be a credential.
    const REFUSING: Duration = Duration::from_secs(2);
    /// A refusal is a megabyte, and any user may ask for as many as they have connections. The kernel doubles this; a token fits.
    const SEND_BUFFER: Option<usize> = Some(16 * 1024);

    async fn serve(
        stream: Stream,
        caller: (Peer, u64),
        requests: Arc<Requests>,
        bounds: Bounds,
        stage: watch::Receiver<Shutdown>,
    ) -> Ended {
        let address = tokend_peer::abstract_address(&stream);
        let Stream::UdSocket(socket) = &stream;
        let kept = Kept {
            is_begun: is_begun(socket.inner()),
            handover: Handover::new(
                Manager::of_this_process(),
                socket.inner().as_fd(),
                caller.0.uid == 0,
            ),
        };
        let asked = address.and_then(|address| CredentialRequest::read(&address));
        let connected = Connected::new(stream, caller, &requests, asked, kept);
        connected.serve(stage, bounds.frame).await;
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
    // Before it can be kept under another name: systemd keeps a file once.
    Manager::of_this_process().keep_no_longer(name);
    match UnixStream::try_from(connection) {
        Ok(stream) => accept::welcome::<Credentials>(stream.into(), places, stage.clone()),
        Err(error) => tracing::debug!("a connection that was handed on is none: {error}"),
    }
}

/// What a connection has been through, and will.
#[derive(Debug, Default)]
struct Kept {
    /// Whether a daemon died while it answered here.
    is_begun: bool,
    handover: Option<Handover>,
}

/// A connection of systemd, or of a process that says so.
struct Connected<S> {
    stream: Shared<S>,
    caller: Caller<S>,
    requests: Arc<Requests>,
    /// What the address of its other end says.
    asked: Option<CredentialRequest>,
    is_begun: bool,
}

/// Why a connection ends without a credential.
enum End {
    /// The client left before its answer.
    Gone,
    Broken(io::Error),
    Refused(Missing),
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl<S: AsyncWrite + Connection + Unpin> Connected<S> {
    fn new(
        stream: S,
        caller: (Peer, u64),
        requests: &Arc<Requests>,
        asked: Option<CredentialRequest>,
        Kept { is_begun, handover }: Kept,
    ) -> Self {
        let stream = Shared::new(stream);
        Self {
            stream: stream.clone(),
            caller: Caller::new(stream, caller, Arc::clone(requests)).kept_by(handover),
            requests: Arc::clone(requests),
            asked,
            is_begun,
        }
    }

    /// Serves the connection until its end. A client that is not systemd may take this long to read its refusal.
    async fn serve(self, stage: watch::Receiver<Shutdown>, patience: Duration) {
        let requests = Arc::clone(&self.requests);
        still(&requests, self.run(stage, patience)).await;
    }

    async fn run(mut self, mut stage: watch::Receiver<Shutdown>, patience: Duration) {
        let ended = tokio::select! {
            biased;
            answered = self.answer() => answered,
            () = reached(&mut stage, Shutdown::Closing) => Err(End::Refused(Missing::stopping())),
        };
        let peer = self.caller.peer();
        match ended {
            Ok(()) => {}
            Err(End::Gone) => {
                tracing::debug!(peer = %peer, "a unit did not wait for its credential");
            }
            Err(End::Broken(error)) => {
                tracing::debug!(peer = %peer, "a credential was not taken: {error}");
            }
            Err(End::Refused(missing)) => self.refuse(missing, patience).await,
        }
    }

    /// Refuses the connection, with the reason in the log. A unit reads its refusal to the end, whenever it does: a part of it would be a
    /// credential. So only a client that is not systemd has to read it in time.
    async fn refuse(mut self, missing: Missing, patience: Duration) {
        let peer = self.caller.peer();
        wording::log(peer, self.asked.as_ref(), &missing);
        if let Some(event) = missing.event(peer, self.asked.as_ref()) {
            self.requests.audit.note(event);
        }
        self.caller.answer_begins();
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
            tracing::trace!(peer = %self.caller.peer(), "the rest of a refusal was not taken: {error}");
        }
    }

    /// Answers with the credential.
    async fn answer(&mut self) -> Result<(), End> {
        let (account, format) = match self.prove().await {
            Ok(meant) => meant,
            Err(missing) => {
                self.caller.rest().await?;
                return Err(self.missing(missing));
            }
        };
        let request = Request::Get {
            account: account.clone(),
            min_validity_ms: None,
            wait_ms: PATIENCE_MS,
            timeout_ms: PATIENCE_MS,
        };
        let token = match self.caller.ask(request).await? {
            Answer::Now(Response::Token(token)) => token,
            Answer::Now(Response::Fault(fault)) => {
                return Err(End::Refused(Missing::of(account, fault)));
            }
            _ => return Err(self.missing(Missing::unexpected())),
        };
        let content = match format.content(&token) {
            Ok(content) => content,
            Err(unfit) => return Err(self.missing(Missing::Unfit(unfit))),
        };
        self.caller.answer_begins();
        // Nothing may come between the answer and its first write.
        let written = self.stream.write_all(&content).await;
        written.map_err(End::Broken)?;
        self.stream.shutdown().await.map_err(End::Broken)
    }

    /// What is asked for, by a process that may speak for the unit.
    async fn prove(&mut self) -> Result<(AccountName, Format), Missing> {
        if self.is_begun {
            return Err(Missing::Begun);
        }
        let asked = self.asked.as_ref().ok_or(Missing::NoAddress)?;
        let learned = self.caller.learn(Needs::UNITS).await;
        learned.map_err(Missing::Fault)?;
        let proved = proved(self.caller.peer().clone(), asked.unit());
        self.caller
            .is_proved_to_be(proved.map_err(Missing::Unproved)?);
        meaning(&self.requests, asked).ok_or(Missing::NoName)
    }

    /// A refusal that no request made. It costs a look at `/proc`, or a megabyte.
    fn missing(&self, missing: Missing) -> End {
        self.caller.spend(DEAR);
        End::Refused(missing)
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
