//! Metrics over HTTP, for Prometheus: `GET /metrics` and nothing else.
//!
//! Owns the listener, which is on a loopback address or a Unix socket, and opens no connection of its own. Bounded: few readers, with a
//! share for each user where the kernel names the user, one request each, and a deadline for all of it. A body is written in parts, so that
//! the text of many accounts takes no memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use interprocess::local_socket::tokio::Stream as UnixStream;
use interprocess::local_socket::traits::tokio::Listener as _;
use interprocess::os::unix::uds_local_socket::tokio::Listener as UnixListener;
use tokend_config::MetricsListen;
use tokend_policy::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use crate::metrics::{Metrics, PART};
use tokend_egress::Egress;
use tokend_metrics::At;
use tokend_metrics::MetricsSnapshot;
use tokend_peer::{self, Full, Turn, Turns};
use tokend_process::accepting::accept_until;
use tokend_process::listen::{self, SocketOrigin, Usage};
use tokend_process::shutdown::{Shutdown, reached};

/// The name of this module in log lines.
#[cfg(test)]
pub(crate) const LOG_TARGET: &str = module_path!();

/// The number of readers at once, of one user's readers, and of one user's waiting readers.
const READERS: (usize, usize, usize) = (8, 2, 32);
/// How many connections may be without a whole request. Beyond that the oldest of them is closed: a reader that sends its request at once
/// is served, however many connections stay silent.
const HEADS: usize = 64;
/// Stands for all users at a TCP address, where the kernel names no user.
const ANYBODY: u32 = u32::MAX;
/// How long a reader may take for everything.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);

/// A socket metrics are served on.
pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, SocketOrigin),
}

/// Begins to listen at the configured address, or on a socket that systemd `passed`, which takes precedence. No request is answered before
/// [`Listening::serve`].
pub(crate) async fn listen(
    at: Option<&MetricsListen>,
    passed: Option<std::net::TcpListener>,
    egress: Option<Egress>,
) -> anyhow::Result<Vec<Listening>> {
    let mut all = Vec::new();
    let is_passed = passed.is_some();
    if let Some(listener) = passed {
        listener.set_nonblocking(true)?;
        all.push(Listening::Tcp(TcpListener::from_std(listener)?));
    }
    match at {
        None => {}
        Some(MetricsListen::Tcp(address)) if is_passed => {
            tracing::info!(
                "metrics are served on the socket systemd passed; {address} of [metrics] is left to it"
            );
        }
        Some(MetricsListen::Tcp(address)) => {
            let listener = TcpListener::bind(address).await;
            all.push(Listening::Tcp(listener.map_err(|error| {
                anyhow::anyhow!(listen::cannot_serve(address, &error))
            })?));
            if egress.is_some() {
                tracing::warn!(
                    "metrics are served in the daemon's own network, at {address}: where that is a private one nobody else can connect; let systemd listen (tokend-metrics.socket)"
                );
            }
        }
        Some(MetricsListen::Unix(path)) => {
            // Any user may connect: the kernel's facts about the peer decide who may read.
            let bound = listen::bind(path, 0o666, Usage::Metrics)?;
            all.push(Listening::Unix(
                UnixListener::try_from(bound.fd)?,
                bound.origin,
            ));
        }
    }
    Ok(all)
}

impl Listening {
    pub(crate) async fn serve(self, metrics: Metrics, mut stage: watch::Receiver<Shutdown>) {
        let (all, own, longest) = READERS;
        let readers = match &self {
            Self::Tcp(_) => Turns::new(all, all, longest),
            Self::Unix(..) => Turns::new(all, own, longest),
        };
        let heads = Arc::new(Heads::default());
        accept_until(
            reached(&mut stage, Shutdown::Draining),
            || self.accept(),
            |(stream, peer)| {
                let reading = Reading {
                    metrics: metrics.clone(),
                    readers: readers.clone(),
                    allowed: peer.as_ref().is_none_or(|peer| metrics.may_read(peer)),
                    uid: peer.map_or(ANYBODY, |peer| peer.uid),
                };
                drop(tokio::spawn(answer(stream, reading, Heads::add(&heads))));
            },
            |error| tracing::warn!("a reader of metrics could not be accepted: {error}"),
        )
        .await;
        if let Self::Unix(_, origin) = self {
            origin.clean_up();
        }
    }

    /// The next connection, and its peer: at a TCP address the kernel names none.
    async fn accept(&self) -> io::Result<(Box<dyn Duplex>, Option<Peer>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), None))
            }
            Self::Unix(listener, _) => {
                let stream: UnixStream = listener.accept().await?.into();
                let peer = tokend_peer::of(&stream)?;
                Ok((Box::new(stream), Some(peer)))
            }
        }
    }
}

/// A connection of either kind.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// The reader, and the user whose share it takes.
#[derive(Clone)]
struct Reading {
    metrics: Metrics,
    readers: Turns,
    allowed: bool,
    uid: u32,
}

/// Connections without a whole request, the oldest first.
#[derive(Debug, Default)]
struct Heads(Mutex<VecDeque<Arc<Notify>>>);

/// A connection without a whole request, until dropped.
#[derive(Debug)]
struct Head {
    heads: Arc<Heads>,
    displaced: Arc<Notify>,
}

impl Heads {
    fn add(heads: &Arc<Self>) -> Head {
        let displaced = Arc::new(Notify::new());
        let mut all = heads.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= HEADS
            && let Some(oldest) = all.pop_front()
        {
            oldest.notify_one();
        }
        all.push_back(Arc::clone(&displaced));
        Head {
            heads: Arc::clone(heads),
            displaced,
        }
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        let mut all = self.heads.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| !Arc::ptr_eq(other, &self.displaced));
    }
}

async fn answer(stream: Box<dyn Duplex>, reading: Reading, head: Head) {
    let displaced = Arc::clone(&head.displaced);
    let head = Mutex::new(Some(head));
    let service = service_fn(|request| {
        // The request is whole by now.
        drop(head.lock().unwrap_or_else(PoisonError::into_inner).take());
        let reading = reading.clone();
        async move { Ok::<_, Infallible>(reply(&request, &reading).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    let served = tokio::select! {
        served = tokio::time::timeout(PATIENCE, served) => served,
        () = displaced.notified() => {
            return tracing::debug!("a reader of metrics that asked nothing made room for another");
        }
    };
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a reader of metrics went away: {error}"),
        Err(_) => tracing::warn!("a reader of metrics took too long and was disconnected"),
    }
}

async fn reply(request: &Request<Incoming>, reading: &Reading) -> Response<Text> {
    let (status, text) = match (request.uri().path(), request.method()) {
        _ if !reading.allowed => (
            StatusCode::FORBIDDEN,
            Text::of("you may not read metrics; see `allow` below [metrics]\n"),
        ),
        ("/metrics", &Method::GET) => match reading.readers.take(reading.uid).await {
            Ok(turn) => match reading.metrics.make().await {
                Some((_, snapshot)) => (
                    StatusCode::OK,
                    Text::MetricsSnapshot {
                        snapshot,
                        at: Some(At::default()),
                        _turn: turn,
                    },
                ),
                None => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    Text::of("tokend is stopping\n"),
                ),
            },
            Err(Full::Queue | Full::Threads) => (
                StatusCode::SERVICE_UNAVAILABLE,
                Text::of("too many read metrics; try again in a moment\n"),
            ),
        },
        ("/metrics", _) => (StatusCode::METHOD_NOT_ALLOWED, Text::of("only GET\n")),
        _ => (StatusCode::NOT_FOUND, Text::of("only /metrics is here\n")),
    };
    let kind = match status {
        StatusCode::OK => "text/plain; version=0.0.4; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, header::HeaderValue::from_static("GET"));
    }
    response
}

/// A body that is written in parts.
enum Text {
    Whole(Option<&'static str>),
    MetricsSnapshot {
        snapshot: Arc<MetricsSnapshot>,
        at: Option<At>,
        /// Kept until the whole body is written.
        _turn: Turn,
    },
}

impl Text {
    fn of(text: &'static str) -> Self {
        Self::Whole(Some(text))
    }

    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Whole(text) => text.take().map(|text| Bytes::from_static(text.as_bytes())),
            Self::MetricsSnapshot { snapshot, at, .. } => {
                let mut from = (*at)?;
                let mut text = String::with_capacity(PART);
                let more = snapshot.write(&mut from, PART, &mut text);
                *at = more.then_some(from);
                Some(Bytes::from(text))
            }
        }
    }
}

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|bytes| Ok(Frame::data(bytes))))
    }
}
