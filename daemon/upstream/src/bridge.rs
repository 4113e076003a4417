//! Connections through a relay that listens on a Unix socket.
//!
//! Owns how the HTTP library comes by a tunnel that it cannot make: it takes CONNECT to a TCP address only, and what makes its connections
//! cannot be replaced, only wrapped. So it is given a Unix socket of this process to connect to, which no other process can reach, and what
//! comes in there is joined with a tunnel that was asked for before. Must never join two that do not belong together, and never keep or log
//! what passes.

use std::error::Error;
use std::fs::DirBuilder;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::fs::{Mode, OFlags};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{geteuid, getpid};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::net::UnixStream;
use tower::{Layer, Service};
use url::Url;

use super::hop::Hop;
use super::relay_words::{absent, full, target};
use tokend_egress::causes::causes;
use tokend_egress::{Egress, FailureKind, STATUS};

/// How much of what the relay says instead of a tunnel is read.
const LONGEST: usize = 4096;

tokio::task_local! {
    /// Where the connection leads that the task is about to make: the library does not show it to what wraps its connections.
    static HEADING: Heading;
}

/// Where a connection leads.
#[derive(Debug, Clone)]
pub(super) struct Heading {
    target: Box<str>,
    /// Whether what passes can be read on the way.
    is_plain: bool,
}

impl Heading {
    pub(super) fn to(url: &Url) -> Option<Self> {
        Some(Self {
            target: target(url)?.into(),
            is_plain: url.scheme() == "http",
        })
    }

    /// Whatever connection is made by `what` leads there.
    pub(super) async fn of<F: Future>(self, what: F) -> F::Output {
        HEADING.scope(self, what).await
    }
}

/// Why there is no tunnel, in words for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoTunnel(Box<str>);

/// The same, where that is what an error of the library comes from.
pub(super) fn told<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(NoTunnel(words)) = error.downcast_ref() {
            return Some(words);
        }
        cause = error.source();
    }
    None
}

/// Wraps what makes connections.
#[derive(Debug, Clone)]
pub(super) struct Bridge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    relay: &'static Path,
    told: HeaderMap,
    hop: Option<Hop>,
    meeting: Meeting,
}

impl Bridge {
    /// To the relay at `relay`, which is told this, and what the proxy behind it shall know.
    pub(super) fn new(relay: &'static Path, told: HeaderMap, hop: Option<Hop>) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            relay,
            told,
            hop,
            meeting: Meeting::new()?,
        })))
    }

    /// What the library has to connect to.
    pub(super) fn path(&self) -> PathBuf {
        self.0.meeting.path()
    }
}

impl<S> Layer<S> for Bridge {
    type Service = Bridged<S>;

    fn layer(&self, next: S) -> Bridged<S> {
        Bridged {
            bridge: Arc::clone(&self.0),
            next,
        }
    }
}

/// What makes connections, through the relay.
#[derive(Debug, Clone)]
pub(super) struct Bridged<S> {
    bridge: Arc<Inner>,
    next: S,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<S, To> Service<To> for Bridged<S>
where
    S: Service<To, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.next.poll_ready(context)
    }

    fn call(&mut self, to: To) -> Self::Future {
        // Does nothing before it is polled.
        let connecting = self.next.call(to);
        let bridge = Arc::clone(&self.bridge);
        Box::pin(async move {
            let heading = HEADING.try_with(Heading::clone)?;
            let tunnel = bridge
                .tunnel(&heading)
                .await
                .map_err(|words| NoTunnel(words.into()))?;
            let mut connecting = pin!(connecting);
            let (first, end) =
                poll_fn(|context| Poll::Ready(bridge.meeting.hold(connecting.as_mut(), context)))
                    .await;
            match (first, end) {
                (Poll::Ready(Err(error)), _) => Err(error),
                (_, Err(error)) => Err(error.into()),
                (first, Ok(end)) => {
                    drop(tokio::spawn(join(UnixStream::from_std(end)?, tunnel)));
                    match first {
                        Poll::Ready(done) => done,
                        Poll::Pending => connecting.await,
                    }
                }
            }
        })
    }
}

/// Bytes to and from a target.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Inner {
    /// A tunnel from the relay; or why there is none.
    async fn tunnel(&self, heading: &Heading) -> Result<impl Stream + 'static, String> {
        let at = Egress::Unix(self.relay);
        let stream = match UnixStream::connect(self.relay).await {
            Ok(stream) => stream,
            Err(error) => return Err(absent(at, "is not there", &error.to_string())),
        };
        self.may_be_told(&stream, heading)?;
        let broken = |error: hyper::Error| absent(at, "failed", &causes(&error));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        drop(tokio::spawn(connection.with_upgrades()));
        let answer = sender
            .send_request(self.request(heading)?)
            .await
            .map_err(broken)?;
        if answer.status() == StatusCode::OK {
            let tunnel = hyper::upgrade::on(answer).await.map_err(broken)?;
            return Ok(TokioIo::new(tunnel));
        }
        let kind = answer.headers().get(STATUS).and_then(FailureKind::told_by);
        let said = said(answer.into_body()).await;
        Err(match kind {
            Some(FailureKind::Full) => full(&at, &said),
            Some(FailureKind::Denied) if self.hop.is_none() => {
                format!("the egress relay at {at} refused a tunnel: {said}")
            }
            _ => said,
        })
    }

    /// Whether the relay may see what passes: it is nobody's but root's or our own, or what passes is encrypted.
    fn may_be_told(&self, stream: &UnixStream, heading: &Heading) -> Result<(), String> {
        let peer = socket_peercred(stream).map_err(|error| error.to_string())?;
        let (user, own) = (peer.uid, geteuid());
        let knows_password = self
            .hop
            .as_ref()
            .is_some_and(|hop| hop.authorization().is_some());
        if user.is_root() || user == own || !(heading.is_plain || knows_password) {
            return Ok(());
        }
        Err(format!(
            "the egress relay at {} is run by user {}, who could read what is sent unencrypted, so it was not sent; have it run as root or as user {}",
            self.relay.display(),
            user.as_raw(),
            own.as_raw()
        ))
    }

    fn request(&self, heading: &Heading) -> Result<Request<String>, String> {
        let target = &*heading.target;
        let mut request = Request::connect(target)
            .header(HOST, target)
            .body(String::new())
            .map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        headers.extend(self.told.clone());
        let known = self.hop.as_ref().and_then(Hop::authorization);
        if let Some(known) = known {
            let mut known = HeaderValue::from_str(&known).map_err(|error| error.to_string())?;
            known.set_sensitive(true);
            headers.insert(PROXY_AUTHORIZATION, known);
        }
        Ok(request)
    }
}

/// The sentence of an answer.
async fn said(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if bytes.len() > LONGEST {
            bytes.truncate(LONGEST);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// Carries bytes both ways, to the end of either.
async fn join(end: impl Stream, tunnel: impl Stream) {
    let (mut from_end, mut to_end) = split(end);
    let (mut from_tunnel, mut to_tunnel) = split(tunnel);
    // Who ends and how is seen where it is read, but for a cut: a Unix socket knows no reset, so of an answer that only ends with the
    // connection the relay is asked who ended that.
    tokio::select! {
        // The library closes a connection that it is done with, and never a half of one.
        _ended = copy(&mut from_end, &mut to_tunnel) => {}
        _ended = copy(&mut from_tunnel, &mut to_end) => {
            let _gone = to_end.shutdown().await;
        }
    }
}

/// A socket of this process that has no name any more: what holds the descriptor can connect to it, and nobody else.
#[derive(Debug)]
struct Meeting {
    listener: UnixListener,
    door: OwnedFd,
    /// One connection at a time comes in, so that it is known which one.
    one: Mutex<()>,
}

impl Meeting {
    fn new() -> io::Result<Self> {
        let room = Room::new()?;
        let path = room.0.join("s");
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let door = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self {
            listener,
            door,
            one: Mutex::default(),
        })
    }

    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.door.as_raw_fd()).into()
    }

    /// Has `connecting` connect, and gives the other end. A connection to a Unix socket stands when the call that asks for it returns, and
    /// that is the first thing `connecting` does.
    fn hold<F: Future>(
        &self,
        connecting: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> (Poll<F::Output>, io::Result<std::os::unix::net::UnixStream>) {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let first = connecting.poll(context);
        let end = loop {
            let end = match self.listener.accept() {
                Ok((end, _)) => end,
                Err(error) => break Err(error),
            };
            if socket_peercred(&end).is_ok_and(|peer| peer.pid == getpid()) {
                break end.set_nonblocking(true).map(|()| end);
            }
        };
        (first, end)
    }
}

/// A directory that is ours alone, while it is needed.
struct Room(PathBuf);

impl Room {
    fn new() -> io::Result<Self> {
        let mut name = [0; 16];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| io::Error::other("no random bytes"))?;
        let name = format!("tokend-{:032x}", u128::from_ne_bytes(name));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is left is an empty directory, or a socket nobody can enter.
        let _left = std::fs::remove_file(self.0.join("s"));
        let _left = std::fs::remove_dir(&self.0);
    }
}
