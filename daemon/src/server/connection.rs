//! One connection: frames in, answers out.
//!
//! Owns the conversation with one peer, its deadlines and its bounds. Requests that the registry can answer are answered immediately; all
//! others go to the driver, and the session waits for them while it reads the next frame. A peer that is silent, slow or gone delays no
//! other peer, and ends no attempt.

mod rest;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokend_policy::{Needs, Peer};
use tokend_proto::{
    AccountName, ClientFrame, Fault, FaultCode, FrameBuffer, OLDEST, Request, RequestId, Response,
    ServerFrame, WireError, decode_client, encode, negotiate,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::{unconstrained, yield_now};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use zeroize::{Zeroize as _, Zeroizing};

use crate::broker::budget::{cost_of, cost_of_answer};
use crate::broker::registry::VisibleAccounts;
use crate::requests::{Admission, Release, Reply, Requests, Waited, is_denial, watching};
use tokend_peer::Connection;
use tokend_process::stack;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The number of requests that may wait at once; no more are read until one is answered.
    pub(crate) pending: usize,
    /// How long a connection may be silent while no request waits.
    pub(crate) idle: Duration,
    /// How long a frame may take from its first byte to its last, and how long the peer may take to read an answer.
    pub(crate) frame: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer closed the connection in the middle of a frame")]
    CutOff,
    #[error("the connection was silent for too long")]
    Idle,
    #[error("a frame was not completed in time")]
    Unfinished,
    #[error("answers were not taken in time")]
    NotTaken,
    #[error("what came is not the protocol of tokend: {0}")]
    Protocol(String),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

type Waiting = FuturesUnordered<Pin<Box<dyn Future<Output = (RequestId, Waited)> + Send>>>;

/// Serves one connection of a peer until it ends. It was accepted this many milliseconds after boot.
pub(crate) async fn serve<S>(
    stream: S,
    (peer, accepted_ms): (Peer, u64),
    requests: Arc<Requests>,
    bounds: Bounds,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    let mut session = Session {
        stream,
        peer,
        accepted_ms,
        requests,
        bounds,
        version: None,
        input: FrameBuffer::new(),
        frame_by: None,
        output: Zeroizing::default(),
        written: 0,
        late: None,
        asked: None,
        hint: None,
        hints: HINTS,
        left: AT_ONCE,
        rest: None,
        has_paid: false,
        visible: None,
    };
    session.run().await
}

/// The number of bytes of answers that are gathered before they are written. A peer that sends more requests than it reads answers fills
/// this buffer and its own socket, and no more memory.
const ENOUGH: usize = 64 * 1024;
/// The number of requests that are answered before other tasks run: a peer that sends without end costs them some microseconds.
const AT_ONCE: usize = 8;
/// The weight of a request that shows more than one account, counted in such requests.
const HEAVY: usize = 4;
/// How often a connection is told the probable name. The search costs time; a person mistypes one or two names.
const HINTS: usize = 3;

struct Session<S> {
    stream: S,
    peer: Peer,
    accepted_ms: u64,
    requests: Arc<Requests>,
    bounds: Bounds,
    version: Option<u16>,
    input: FrameBuffer,
    /// The deadline for the rest of the current frame.
    frame_by: Option<Instant>,
    /// Carries tokens, so it is wiped after each write.
    output: Zeroizing<Vec<u8>>,
    /// How many of its bytes the peer has taken.
    written: usize,
    /// The answer that was waited for and is about to be sent.
    late: Option<(RequestId, Waited)>,
    asked: Option<(RequestId, Request)>,
    /// A refusal that is about to be sent with the probable name.
    hint: Option<(RequestId, Fault, AccountName)>,
    hints: usize,
    /// How much more work is done before other tasks run.
    left: usize,
    /// Until when no request is taken, because its user made too many without a token.
    rest: Option<Rest>,
    /// Whether what the user asked for in vain on other connections has been waited for.
    has_paid: bool,
    /// The peer's visible accounts, once they were needed.
    visible: Option<Arc<VisibleAccounts>>,
}

#[derive(Debug)]
struct Rest {
    until: Instant,
    log: bool,
}

/// The state after frames were taken.
enum Taken {
    /// No whole frame is left, or no room for another request.
    All,
    /// Answers have to be written first, and other tasks run.
    Enough,
    /// No request is taken for a while, because too many brought no token.
    Rest,
    /// The next request needs more facts about the peer.
    Lacks(Needs),
    /// The next request needs the peer's visible accounts, which have to be computed first.
    NeedsVisible,
}

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    async fn run(&mut self) -> Ended {
        let mut waiting = Waiting::new();
        loop {
            if let Err(ended) = self.turn(&mut waiting).await {
                // A refusal may still have to be written; a peer that does not read it in time does not get it.
                let _not_taken = self.flush().await;
                return ended;
            }
        }
    }

    async fn turn(&mut self, waiting: &mut Waiting) -> Result<(), Ended> {
        loop {
            let taken = self.serve_still(waiting).await?;
            self.flush().await?;
            match taken {
                Taken::All => break,
                // Other tasks run.
                Taken::Enough => yield_now().await,
                Taken::Rest => self.rest(waiting).await?,
                Taken::Lacks(needs) => self.learn(needs).await?,
                Taken::NeedsVisible => {
                    self.visible = Some(self.requests.compute_visible(&self.peer).await)
                }
            }
        }
        let full = waiting.len() >= self.bounds.pending;
        self.late = if full {
            self.next_or_gone(waiting).await?
        } else {
            let by = self.read_by(waiting.is_empty());
            tokio::select! {
                late = waiting.next(), if !waiting.is_empty() => late,
                read = read(&mut self.stream, &mut self.input, by) => {
                    read?;
                    None
                }
            }
        };
        Ok(())
    }

    /// Answers all requests that can be answered, and begins to send the answers, all under one configuration: a reload that removes a
    /// permission is not answered while a request is still decided by the configuration before.
    async fn serve_still(&mut self, waiting: &mut Waiting) -> Result<Taken, Ended> {
        let requests = Arc::clone(&self.requests);
        let serve = poll_fn(|context| {
            let _still = requests.registry.hold_still();
            let taken = self.serve(waiting);
            Poll::Ready(self.begin_to_send(context).and(taken))
        });
        // Every decided answer has to be on its way when this ends, so nothing interrupts it. The work taken at once limits a turn.
        unconstrained(serve).await
    }

    fn serve(&mut self, waiting: &mut Waiting) -> Result<Taken, Ended> {
        if let Some((id, late)) = self.late.take() {
            match self.requests.release(&self.peer, late) {
                Release::NeedFacts(needs, late) => {
                    self.late = Some((id, *late));
                    return Ok(Taken::Lacks(needs));
                }
                Release::Answer(response) => self.answer(id, response)?,
                Release::Part(response, watch) => {
                    response.map_or(Ok(()), |it| self.answer(id, it))?;
                    waiting.push(Box::pin(async move { (id, watching(watch).await) }));
                }
                Release::Again(request) => self.asked = Some((id, *request)),
            }
        }
        self.take_frames(waiting)
    }

    fn begin_to_send(&mut self, context: &mut Context<'_>) -> Result<(), Ended> {
        if self.output.is_empty() {
            return Ok(());
        }
        let stream = Pin::new(&mut self.stream);
        if let Poll::Ready(taken) = stream.poll_write(context, &self.output) {
            self.written = taken?;
        }
        Ok(())
    }

    /// The deadline for the next bytes. A frame has one deadline, however slowly its bytes arrive, and even while other requests wait.
    fn read_by(&mut self, idle: bool) -> Option<Instant> {
        if self.input.is_empty() && self.version.is_some() {
            self.frame_by = None;
            return idle.then(|| sleep(self.bounds.idle).deadline());
        }
        Some(
            *self
                .frame_by
                .get_or_insert_with(|| sleep(self.bounds.frame).deadline()),
        )
    }

    /// Reads the missing facts about the peer, once for each connection and configuration. Later requests of this connection wait; other
    /// connections do not.
    async fn learn(&mut self, needs: Needs) -> Result<(), Ended> {
        let pin = self.stream.pin(&self.peer, self.accepted_ms);
        let peer = self.peer.clone();
        match self.requests.facts.learn(peer, needs, pin).await {
            Ok(peer) => self.peer = peer,
            Err(why) => {
                let fault = why.fault(self.peer.uid, needs);
                tracing::debug!(peer = %self.peer, "a process was not looked at: {fault}");
                // Whether the facts were for a request or for an answer.
                if let Some((id, late)) = self.late.take() {
                    self.late = Some((id, late.put_off(fault)));
                } else if let Some((id, _)) = self.asked.take() {
                    return self.answer(id, Response::Fault(fault));
                }
            }
        }
        Ok(())
    }

    /// Handles the request, unless facts have to be read first.
    fn take_asked(&mut self, waiting: &mut Waiting) -> Result<Option<Taken>, Ended> {
        let Some((id, request)) = self.asked.take() else {
            return Ok(None);
        };
        let began = self.requests.clock.since_boot();
        let snapshot = self.requests.registry.snapshot();
        let decided = match self.requests.admit(&snapshot, &self.peer, &request) {
            Admission::NeedFacts(needs) => {
                self.asked = Some((id, request));
                return Ok(Some(Taken::Lacks(needs)));
            }
            Admission::Refused(refused) => Err(refused),
            Admission::Admitted(admitted) => Ok(admitted),
        };
        let is_at_hand = |it| self.requests.is_at_hand(it, &request);
        if self.may_owe(began) && !decided.as_ref().is_ok_and(is_at_hand) && self.owes() {
            self.asked = Some((id, request));
            return Ok(Some(Taken::Rest));
        }
        let own = self.visible.as_ref();
        if decided.is_ok()
            && self
                .requests
                .must_compute_visible(&self.peer, &request, own)
        {
            self.asked = Some((id, request));
            return Ok(Some(Taken::NeedsVisible));
        }
        self.left = self.left.saturating_sub(match request {
            Request::Get { .. } | Request::Watch { .. } | Request::Reject { .. } => 1,
            Request::Refresh { .. } => 1,
            _ => HEAVY,
        });
        self.spend(cost_of(&request));
        let is_stranger = decided.as_ref().is_err_and(|it| it.is_stranger) && self.hints > 0;
        let named = request.account().filter(|_| is_stranger).cloned();
        match (
            self.requests.answer(&self.peer, request, decided, began),
            named,
        ) {
            (Reply::Ready(Response::Fault(fault)), Some(account)) if is_denial(&fault) => {
                self.hints -= 1;
                self.hint = Some((id, fault, account));
            }
            (Reply::Ready(response), _) => self.answer(id, response)?,
            (Reply::Pending(pending), _) => {
                waiting.push(Box::pin(async move { (id, pending.await) }));
            }
        }
        Ok(None)
    }

    /// Answers that there is no such account, with the name that was probably meant.
    fn take_hint(&mut self) -> Result<Option<Taken>, Ended> {
        let Some((id, mut fault, account)) = self.hint.take() else {
            return Ok(None);
        };
        let visible = self.visible.as_ref();
        if !self
            .requests
            .suggest(&self.peer, visible, &account, &mut fault)
        {
            self.hint = Some((id, fault, account));
            return Ok(Some(Taken::NeedsVisible));
        }
        self.answer(id, Response::Fault(fault))?;
        Ok(None)
    }

    /// Answers every whole frame in the buffer, or adds it to the waiting requests.
    fn take_frames(&mut self, waiting: &mut Waiting) -> Result<Taken, Ended> {
        self.left = AT_ONCE;
        loop {
            if let Some(first) = self.take_asked(waiting)? {
                return Ok(first);
            }
            if let Some(first) = self.take_hint()? {
                return Ok(first);
            }
            if self.rest.is_some() {
                return Ok(Taken::Rest);
            }
            if waiting.len() >= self.bounds.pending {
                return Ok(Taken::All);
            }
            if self.left == 0 || self.output.len() >= ENOUGH {
                return Ok(Taken::Enough);
            }
            let frame = match self.input.next_frame() {
                Ok(Some(payload)) => stack::wiped_if(
                    || decode_client(payload),
                    |read| !matches!(read, Ok(frame) if !frame.request.has_secret()),
                ),
                Ok(None) => return Ok(Taken::All),
                Err(error) => Err(error),
            };
            self.frame_by = None;
            let ClientFrame { id, request } = match frame {
                Ok(frame) => frame,
                Err(error) => return Err(self.refuse(RequestId(0), &error.to_string())),
            };
            match request {
                Request::Hello {
                    magic,
                    oldest,
                    newest,
                    ..
                } => {
                    if self.version.is_some() {
                        return Err(self.refuse(id, "hello was said twice on one connection"));
                    }
                    self.greet(id, magic, oldest, newest)?;
                }
                _ if self.version.is_none() => {
                    return Err(self.refuse(id, "a connection begins with hello"));
                }
                request => self.asked = Some((id, request)),
            }
        }
    }

    /// Agrees on the version of the protocol.
    fn greet(
        &mut self,
        id: RequestId,
        magic: [u8; 6],
        oldest: u16,
        newest: u16,
    ) -> Result<(), Ended> {
        match negotiate(magic, oldest, newest) {
            Ok(version) => {
                self.version = Some(version);
                let daemon = concat!("tokend ", env!("CARGO_PKG_VERSION")).to_owned();
                self.answer(id, Response::Welcome { version, daemon })
            }
            Err(fault) => {
                let why = fault.message.clone();
                self.answer(id, Response::Fault(fault))?;
                Err(Ended::Protocol(why))
            }
        }
    }

    fn refuse(&mut self, id: RequestId, why: &str) -> Ended {
        let fault = Fault::new(FaultCode::BadRequest, why)
            .advise("talk to this socket with tokenctl or the tokend-client library");
        match self.answer(id, Response::Fault(fault)) {
            Ok(()) => Ended::Protocol(why.to_owned()),
            Err(ended) => ended,
        }
    }

    fn answer(&mut self, id: RequestId, response: Response) -> Result<(), Ended> {
        self.spend(cost_of_answer(&response));
        let before = self.output.len();
        let Err(error) = self.encode(id, response) else {
            return Ok(());
        };
        // An answer that does not fit a frame is the daemon's fault, and no reason to disconnect.
        self.output.truncate(before);
        let message = format!("the answer cannot be sent: {error}");
        let fault = Fault::new(FaultCode::Internal, message);
        let encoded = self.encode(id, Response::Fault(fault));
        encoded.map_err(|error| Ended::Protocol(error.to_string()))
    }

    fn encode(&mut self, id: RequestId, response: Response) -> Result<(), WireError> {
        encode(&frame_for(self.version, id, response), &mut self.output)
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if self.output.is_empty() {
            return Ok(());
        }
        let rest = self.output.get(self.written..).unwrap_or_default();
        let written = match rest.is_empty() {
            true => Ok(Ok(())),
            false => timeout(self.bounds.frame, self.stream.write_all(rest)).await,
        };
        self.written = 0;
        self.output.as_mut_slice().zeroize();
        self.output.clear();
        match written {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::NotTaken),
        }
    }
}

/// The only place that makes frames of answers, so that no peer gets a variant that is newer than the version it speaks.
fn frame_for(version: Option<u16>, id: RequestId, response: Response) -> ServerFrame {
    ServerFrame { id, response }.for_version(version.unwrap_or(OLDEST))
}

/// Reads available bytes. Can be dropped safely: the bytes are in the buffer.
async fn read<S>(stream: &mut S, input: &mut FrameBuffer, by: Option<Instant>) -> Result<(), Ended>
where
    S: AsyncRead + Unpin,
{
    let unfinished = !input.is_empty();
    let read = stream.read(input.spare());
    let count = match by {
        Some(by) => match timeout_at(by, read).await {
            Ok(count) => count?,
            Err(_) if unfinished => return Err(Ended::Unfinished),
            Err(_) => return Err(Ended::Idle),
        },
        None => read.await?,
    };
    match count {
        0 if unfinished => Err(Ended::CutOff),
        0 => Err(Ended::Closed),
        count => {
            input.filled(count);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
