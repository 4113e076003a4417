//! One connection of the async client: requests in, answers out, paired by id.
//!
//! Owns the socket, the bytes that wait to be written and the calls that wait for an answer. A call that is dropped
//! never leaves half a frame behind. A link that has closed stays closed.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use interprocess::local_socket::{ConnectOptions, GenericFilePath, ToFsName};
use interprocess::os::unix::uds_local_socket::tokio::Stream;
use tokend_proto::{
    ClientFrame, FrameBuffer, Request, RequestId, Response, ServerFrame, decode_server, encode,
};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::error::QUEUE_IS_FULL;
use crate::exchange::{self, HELLO};
use crate::{ClientError, SocketPath};

/// How many requests of one [`Client`](crate::Client) and its clones are under way at once; more wait for their turn.
pub const MAX_IN_FLIGHT: usize = 64;

/// A daemon that takes no bytes for this long is given up.
const WRITE_STALL: Duration = Duration::from_secs(10);

/// How often to try again to connect to a daemon whose queue of connections is full.
const KNOCK: Duration = Duration::from_millis(5);

/// A greeted connection and the task that serves it; dropping it closes both.
#[derive(Debug)]
pub(super) struct Link {
    wires: Arc<Wires>,
    task: AbortHandle,
    /// It let a deadline pass: what it was asked may still be answered, but it is asked nothing more.
    retired: AtomicBool,
}

/// Why a call failed, and whether the daemon may have seen the request.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ClientError,
    pub(super) sent: bool,
}

impl Link {
    /// Connects and greets.
    pub(super) async fn open(path: &SocketPath, limit: Duration) -> Result<Self, ClientError> {
        let mut connected = false;
        let opened = timeout(limit, greeted(path, &mut connected)).await;
        let (stream, received) = opened.map_err(|_elapsed| late(path, limit, connected))??;
        let wires = Arc::new(Wires {
            stream,
            unwritten: Mutex::default(),
            more: Notify::new(),
            calls: Mutex::new(Calls {
                waiting: HashMap::new(),
                last: HELLO,
                closed: None,
            }),
        });
        let task = tokio::spawn(serve(Arc::clone(&wires), received)).abort_handle();
        Ok(Self {
            wires,
            task,
            retired: AtomicBool::new(false),
        })
    }

    /// Whether it takes new requests.
    pub(super) fn is_open(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && self.wires.calls().closed.is_none()
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Sends a request and waits for its answer without a limit.
    pub(super) async fn call(&self, request: &Request) -> Result<Response, Failure> {
        let unsent = |error| Failure { error, sent: false };
        let (id, answer) = self.wires.register().map_err(unsent)?;
        let _registered = Registered {
            wires: &self.wires,
            id,
        };
        let mut bytes = Zeroizing::new(Vec::new());
        let frame = ClientFrame {
            id,
            request: request.clone(),
        };
        encode(&frame, &mut bytes).map_err(|error| unsent(error.into()))?;
        drop(frame);
        self.wires.write(bytes).map_err(unsent)?;
        match answer.await {
            Ok(answered) => answered.map_err(|error| Failure { error, sent: true }),
            Err(_) => Err(Failure {
                error: ClientError::lost("it was shut down"),
                sent: true,
            }),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forgets a call whose caller has stopped waiting.
struct Registered<'a> {
    wires: &'a Wires,
    id: RequestId,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.wires.calls().waiting.remove(&self.id);
    }
}

#[derive(Debug)]
struct Wires {
    stream: Stream,
    unwritten: Mutex<Unwritten>,
    more: Notify,
    calls: Mutex<Calls>,
}

/// Whole frames that the socket had no room for, the first of them perhaps begun.
#[derive(Default)]
struct Unwritten {
    frames: VecDeque<Zeroizing<Vec<u8>>>,
    written: usize,
}

#[derive(Debug)]
struct Calls {
    waiting: HashMap<RequestId, oneshot::Sender<Result<Response, ClientError>>>,
    last: RequestId,
    closed: Option<ClientError>,
}

impl Wires {
    fn register(
        &self,
    ) -> Result<(RequestId, oneshot::Receiver<Result<Response, ClientError>>), ClientError> {
        let mut calls = self.calls();
        if let Some(reason) = &calls.closed {
            return Err(reason.clone());
        }
        calls.last = RequestId(calls.last.0 + 1);
        let id = calls.last;
        let (sender, answer) = oneshot::channel();
        calls.waiting.insert(id, sender);
        Ok((id, answer))
    }

    /// Writes a frame now if the socket has room, which it nearly always has; else leaves it to the task.
    fn write(&self, frame: Zeroizing<Vec<u8>>) -> Result<(), ClientError> {
        let mut unwritten = self.unwritten();
        if unwritten.frames.len() >= MAX_IN_FLIGHT {
            return Err(ClientError::Congested);
        }
        unwritten.frames.push_back(frame);
        let flushed = match unwritten.frames.len() {
            1 => unwritten.flush(&self.stream),
            // It follows those before it.
            _ => Ok(()),
        };
        if let Err(error) = flushed {
            // Answers that arrived before the end are still read; only new calls must go elsewhere.
            let reason = ClientError::broken(&error);
            self.calls().closed.get_or_insert_with(|| reason.clone());
            return Err(reason);
        }
        if !unwritten.frames.is_empty() {
            self.more.notify_one();
        }
        Ok(())
    }

    fn answer(&self, frame: ServerFrame) -> Result<(), ClientError> {
        let ServerFrame { id, response } = frame;
        let mut calls = self.calls();
        match calls.waiting.remove(&id) {
            Some(sender) => {
                // The call may have been dropped a moment ago; then so is its answer.
                drop(sender.send(Ok(response)));
                Ok(())
            }
            None if id == HELLO => match response {
                Response::Fault(fault) => Err(fault.into()),
                _ => Err(ClientError::protocol("it greets twice")),
            },
            None if id <= calls.last => Ok(()),
            None => Err(ClientError::protocol(format!(
                "it answers request {}, which was not asked",
                id.0
            ))),
        }
    }

    fn close(&self, reason: &ClientError) {
        let mut calls = self.calls();
        calls.closed.get_or_insert_with(|| reason.clone());
        for (_, sender) in calls.waiting.drain() {
            drop(sender.send(Err(reason.clone())));
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unwritten {
    /// Writes as much as the socket takes without waiting.
    fn flush(&mut self, stream: &Stream) -> io::Result<()> {
        while let Some(frame) = self.frames.front() {
            let rest = frame.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.frames.pop_front();
                self.written = 0;
                continue;
            }
            match stream.inner().try_write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Unwritten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unwritten")
            .field("frames", &self.frames.len())
            .finish()
    }
}

/// Serves a link until it ends, and then fails every call that still waits.
async fn serve(wires: Arc<Wires>, received: FrameBuffer) {
    let ended = tokio::select! {
        ended = read(&wires, received) => ended,
        ended = flush(&wires) => ended,
    };
    let Err(reason) = ended;
    wires.close(&reason);
}

async fn read(
    wires: &Wires,
    mut received: FrameBuffer,
) -> Result<std::convert::Infallible, ClientError> {
    loop {
        wires.answer(next_frame(&wires.stream, &mut received).await?)?;
    }
}

async fn flush(wires: &Wires) -> Result<std::convert::Infallible, ClientError> {
    loop {
        wires.more.notified().await;
        while !wires.unwritten().frames.is_empty() {
            let writable = timeout(WRITE_STALL, wires.stream.inner().writable()).await;
            writable
                .map_err(|_elapsed| ClientError::lost("the daemon reads nothing"))?
                .and_then(|()| wires.unwritten().flush(&wires.stream))
                .map_err(|error| ClientError::broken(&error))?;
        }
    }
}

/// The daemon did not accept the connection in time, or accepted it and did not greet.
pub(super) fn late(path: &SocketPath, limit: Duration, connected: bool) -> ClientError {
    let path = path.as_path().to_owned();
    match connected {
        true => ClientError::Silent { path, limit },
        false => ClientError::NotReachable {
            path,
            source: Arc::new(io::Error::new(ErrorKind::TimedOut, QUEUE_IS_FULL)),
        },
    }
}

/// Connects and greets; sets `connected` once the connection is made.
pub(super) async fn greeted(
    path: &SocketPath,
    connected: &mut bool,
) -> Result<(Stream, FrameBuffer), ClientError> {
    let stream = connect(path)
        .await
        .map_err(|error| ClientError::NotReachable {
            path: path.as_path().to_owned(),
            source: Arc::new(error),
        })?;
    *connected = true;
    let mut bytes = Vec::new();
    encode(&exchange::hello(), &mut bytes)?;
    stream
        .inner()
        .writable()
        .await
        .map_err(|error| ClientError::broken(&error))?;
    // A fresh socket has room for a greeting. If the daemon has turned us down already, its answer can still be
    // read.
    let greeting = stream.inner().try_write(&bytes);
    let mut received = FrameBuffer::new();
    match (
        next_frame(&stream, &mut received)
            .await
            .and_then(exchange::welcomed),
        greeting,
    ) {
        (Ok(()), Ok(_)) => Ok((stream, received)),
        (Ok(()), Err(error)) => Err(ClientError::broken(&error)),
        (Err(error), _) => Err(error),
    }
}

async fn connect(path: &SocketPath) -> io::Result<Stream> {
    loop {
        let name = path.as_path().to_fs_name::<GenericFilePath>()?;
        let stream = ConnectOptions::new()
            .name(name)
            .connect_tokio_as::<Stream>()
            .await?;
        // On Linux a full queue of connections yields a socket that is not connected, and nothing to wait for.
        match stream.inner().peer_addr() {
            Err(error) if error.kind() == ErrorKind::NotConnected => sleep(KNOCK).await,
            _ => return Ok(stream),
        }
    }
}

pub(super) async fn next_frame(
    stream: &Stream,
    received: &mut FrameBuffer,
) -> Result<ServerFrame, ClientError> {
    loop {
        if let Some(payload) = received.next_frame()? {
            return Ok(decode_server(payload)?);
        }
        stream
            .inner()
            .readable()
            .await
            .map_err(|error| ClientError::broken(&error))?;
        match stream.inner().try_read(received.spare()) {
            Ok(0) if received.is_empty() => return Err(ClientError::lost("the daemon closed it")),
            Ok(0) => return Err(ClientError::lost("it ended in the middle of an answer")),
            Ok(count) => received.filled(count),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(ClientError::broken(&error)),
        }
    }
}
