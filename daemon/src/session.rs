//! One connection: frames in, answers out.
//!
//! Owns the conversation with one peer, its deadlines and its bounds. What the registry can answer is answered on the spot;
//! everything else goes to the driver and is waited for beside the next frame. A peer that is silent, slow or gone costs nobody
//! else anything, and takes no attempt with it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokend_policy::{Needs, Peer};
use tokend_proto::{
    ClientFrame, Fault, FaultCode, FrameBuffer, Request, RequestId, Response, ServerFrame,
    decode_client, encode, negotiate,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use zeroize::{Zeroize as _, Zeroizing};

use crate::desk::{Desk, Handled};
use crate::peer::Connection;

/// The bounds of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many requests may wait at once; more are not read until one is answered.
    pub(crate) pending: usize,
    /// How long a connection may be silent while nothing is waited for.
    pub(crate) idle: Duration,
    /// How long a frame may take from its first byte to its last, and an answer to be taken.
    pub(crate) frame: Duration,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The peer hung up between frames.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer hung up in the middle of a frame.
    #[error("the peer closed the connection in the middle of a frame")]
    CutOff,
    /// Nothing came, and nothing was waited for.
    #[error("the connection was silent for too long")]
    Idle,
    /// A frame was begun and not finished.
    #[error("a frame was not completed in time")]
    Unfinished,
    /// The peer does not read.
    #[error("answers were not taken in time")]
    NotTaken,
    /// The bytes make no frame.
    #[error("what came is not the protocol of tokend: {0}")]
    Protocol(String),
    /// The socket failed.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

type Waiting = FuturesUnordered<Pin<Box<dyn Future<Output = (RequestId, Response)> + Send>>>;

/// Serves one connection until it ends: that of a peer, accepted so many milliseconds after boot.
pub(crate) async fn serve<S>(
    stream: S,
    (peer, accepted_ms): (Peer, u64),
    desk: Arc<Desk>,
    bounds: Bounds,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    let mut session = Session {
        stream,
        peer,
        accepted_ms,
        desk,
        bounds,
        greeted: false,
        input: FrameBuffer::new(),
        frame_by: None,
        output: Zeroizing::default(),
    };
    session.run().await
}

/// How many bytes of answers are gathered before they are written. A peer that sends more requests than it reads answers fills
/// this and its own socket, and no more memory.
const ENOUGH: usize = 64 * 1024;

struct Session<S> {
    stream: S,
    peer: Peer,
    accepted_ms: u64,
    desk: Arc<Desk>,
    bounds: Bounds,
    greeted: bool,
    input: FrameBuffer,
    /// By when the frame that was begun has to be complete.
    frame_by: Option<Instant>,
    /// Carries tokens, so it is wiped after each write.
    output: Zeroizing<Vec<u8>>,
}

/// How far taking frames went.
enum Taken {
    /// There is no whole frame left, or no room for another request.
    All,
    /// Answers have to be written first.
    Enough,
    /// This one needs to know more about the peer.
    Asks(RequestId, Box<Request>, Needs),
}

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Connection + Unpin,
{
    async fn run(&mut self) -> Ended {
        let mut waiting = Waiting::new();
        loop {
            if let Err(ended) = self.turn(&mut waiting).await {
                // A refusal may be left to say; whoever does not take it in time does not get it.
                return match self.flush().await {
                    Ok(()) => ended,
                    Err(_) => ended,
                };
            }
        }
    }

    async fn turn(&mut self, waiting: &mut Waiting) -> Result<(), Ended> {
        loop {
            let taken = self.take_frames(waiting)?;
            self.flush().await?;
            match taken {
                Taken::All => break,
                Taken::Enough => {}
                Taken::Asks(id, request, needs) => {
                    self.learn(&request, needs).await;
                    self.handle(id, *request, waiting)?;
                }
            }
        }
        let full = waiting.len() >= self.bounds.pending;
        let answered = if full {
            waiting.next().await
        } else {
            let by = self.read_by(waiting.is_empty());
            tokio::select! {
                answered = waiting.next(), if !waiting.is_empty() => answered,
                read = read(&mut self.stream, &mut self.input, by) => {
                    read?;
                    None
                }
            }
        };
        if let Some((id, response)) = answered {
            self.answer(id, response)?;
        }
        Ok(())
    }

    /// By when something has to come. A frame that was begun has one deadline, however its bytes trickle in, and even while something
    /// else is waited for.
    fn read_by(&mut self, idle: bool) -> Option<Instant> {
        if self.input.is_empty() && self.greeted {
            self.frame_by = None;
            return idle.then(|| sleep(self.bounds.idle).deadline());
        }
        Some(
            *self
                .frame_by
                .get_or_insert_with(|| sleep(self.bounds.frame).deadline()),
        )
    }

    /// Reads what has to be known about the peer, once for each connection and configuration. What follows on this connection waits;
    /// nobody else does.
    async fn learn(&mut self, request: &Request, mut needs: Needs) {
        while !needs.is_empty() {
            let pin = self.stream.pin(&self.peer, self.accepted_ms);
            let peer = self.peer.clone();
            self.peer = self.desk.facts.learn(peer, needs, pin).await;
            // Whoever turns out to be a stranger to the account is looked at as one to any.
            needs = self.desk.lacks(&self.peer, request);
        }
    }

    fn handle(
        &mut self,
        id: RequestId,
        request: Request,
        waiting: &mut Waiting,
    ) -> Result<(), Ended> {
        match self.desk.handle(&self.peer, request) {
            Handled::Now(response) => self.answer(id, response),
            Handled::Later(pending) => {
                waiting.push(Box::pin(async move { (id, pending.await) }));
                Ok(())
            }
        }
    }

    /// Answers every whole frame that has been read, or puts it among those that wait.
    fn take_frames(&mut self, waiting: &mut Waiting) -> Result<Taken, Ended> {
        while waiting.len() < self.bounds.pending {
            if self.output.len() >= ENOUGH {
                return Ok(Taken::Enough);
            }
            let frame = match self.input.next_frame() {
                Ok(Some(payload)) => decode_client(payload),
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
                    if self.greeted {
                        return Err(self.refuse(id, "hello was said twice on one connection"));
                    }
                    self.greet(id, magic, oldest, newest)?;
                }
                _ if !self.greeted => {
                    return Err(self.refuse(id, "a connection begins with hello"));
                }
                request => {
                    let needs = self.desk.lacks(&self.peer, &request);
                    if !needs.is_empty() {
                        return Ok(Taken::Asks(id, Box::new(request), needs));
                    }
                    self.handle(id, request, waiting)?;
                }
            }
        }
        Ok(Taken::All)
    }

    fn greet(
        &mut self,
        id: RequestId,
        magic: [u8; 6],
        oldest: u16,
        newest: u16,
    ) -> Result<(), Ended> {
        match negotiate(magic, oldest, newest) {
            Ok(version) => {
                self.greeted = true;
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
        let frame = ServerFrame { id, response };
        let before = self.output.len();
        let Err(error) = encode(&frame, &mut self.output) else {
            return Ok(());
        };
        // An answer that does not fit a frame is ours to explain, not a reason to hang up.
        self.output.truncate(before);
        let fault = Fault::new(
            FaultCode::Internal,
            format!("the answer cannot be sent: {error}"),
        );
        let frame = ServerFrame {
            id,
            response: Response::Fault(fault),
        };
        encode(&frame, &mut self.output).map_err(|error| Ended::Protocol(error.to_string()))
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = timeout(self.bounds.frame, self.stream.write_all(&self.output)).await;
        self.output.as_mut_slice().zeroize();
        self.output.clear();
        match written {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ended::NotTaken),
        }
    }
}

/// Reads what there is. Dropped without harm: what was read is in the buffer.
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
