//! Connections through a relay that listens on a Unix socket.
//!
//! Owns tunnels that the HTTP library cannot make itself: it sends CONNECT to a TCP address only, and its connector cannot be replaced,
//! only wrapped. So the library connects to a Unix socket of this process, which no other process can reach, and each incoming connection
//! is joined to a tunnel that was requested before. Must never join two that do not belong together, and never keep or log the bytes that
//! pass.

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

use http::header::{HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustix::fs::{Mode, OFlags};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{geteuid, getpid};
use tokio::io::{AsyncWriteExt as _, copy, split};
use tokio::net::UnixStream;
use tower::{BoxError, Service};
use url::Url;

use super::hop::Hop;
use super::relay_words::{absent, full, target, text_of};
use tokend_egress::causes::{causes, chain};
use tokend_egress::{Egress, FailureKind, proxy};

tokio::task_local! {
    /// The target of the connection that the task is about to make: the library does not pass it to wrappers of its connector.
    static DESTINATION: Destination;
}

#[derive(Debug, Clone)]
pub(super) struct Destination {
    target: Box<str>,
    /// Whether the bytes can be read on the way.
    is_plain: bool,
}

impl Destination {
    pub(super) fn of(url: &Url) -> Option<Self> {
        Some(Self {
            target: target(url)?.into(),
            is_plain: url.scheme() == "http",
        })
    }

    /// Connections that `what` makes lead to this target.
    pub(super) async fn during<F: Future>(self, what: F) -> F::Output {
        DESTINATION.scope(self, what).await
    }
}

/// Why there is no tunnel, in words for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoTunnel(Box<str>);

/// This reason, if it is the cause of an error of the library.
pub(super) fn no_tunnel<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e str> {
    let no_tunnel = chain(error).find_map(|error| error.downcast_ref());
    no_tunnel.map(|NoTunnel(words)| &**words)
}

/// The way to a relay.
#[derive(Debug)]
pub(super) struct Bridge {
    relay: &'static Path,
    settings: HeaderMap,
    hop: Option<Hop>,
    socket: PrivateSocket,
}

/// A connector that goes through the relay.
#[derive(Debug, Clone)]
pub(super) struct Bridged<S> {
    pub(super) bridge: Arc<Bridge>,
    pub(super) next: S,
}

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
        // The future does nothing before it is polled.
        let connecting = self.next.call(to);
        let bridge = Arc::clone(&self.bridge);
        Box::pin(async move {
            let destination = DESTINATION.try_with(Destination::clone)?;
            let tunnel = bridge
                .tunnel(&destination)
                .await
                .map_err(|words| NoTunnel(words.into()))?;
            let mut connecting = pin!(connecting);
            let (first, end) =
                poll_fn(|context| Poll::Ready(bridge.socket.hold(connecting.as_mut(), context)))
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

impl Bridge {
    /// A bridge to the relay at `relay`, with the headers and the proxy credentials that the relay gets.
    pub(super) fn new(
        relay: &'static Path,
        settings: HeaderMap,
        hop: Option<Hop>,
    ) -> io::Result<Self> {
        Ok(Self {
            relay,
            settings,
            hop,
            socket: PrivateSocket::new()?,
        })
    }

    /// The path that the library connects to.
    pub(super) fn path(&self) -> PathBuf {
        self.socket.path()
    }

    async fn tunnel(&self, destination: &Destination) -> Result<TokioIo<Upgraded>, String> {
        let at = Egress::Unix(self.relay);
        let stream = UnixStream::connect(self.relay).await;
        let stream = stream.map_err(|error| absent(at, "cannot be reached", &error.to_string()))?;
        self.may_read(&stream, destination)?;
        let tunnel = proxy::tunnel(stream, &destination.target, self.headers()?).await;
        let answer = match tunnel.map_err(|error| absent(at, "failed", &causes(&*error)))? {
            Ok(tunnel) => return Ok(tunnel),
            Err(answer) => answer,
        };
        let kind = FailureKind::from_headers(answer.headers());
        let text = text_of(answer.into_body()).await;
        Err(match kind {
            Some(FailureKind::Full) => full(&at, &text),
            Some(FailureKind::Denied) if self.hop.is_none() => {
                format!("the egress relay at {at} refused a tunnel: {text}")
            }
            _ => text,
        })
    }

    /// Whether the relay may see the bytes: it runs as root or as our own user, or the bytes are encrypted.
    fn may_read(&self, stream: &UnixStream, destination: &Destination) -> Result<(), String> {
        let peer = socket_peercred(stream).map_err(|error| error.to_string())?;
        let (user, own) = (peer.uid, geteuid());
        let knows_password = self
            .hop
            .as_ref()
            .is_some_and(|hop| hop.authorization().is_some());
        if user.is_root() || user == own || !(destination.is_plain || knows_password) {
            return Ok(());
        }
        Err(format!(
            "the egress relay at {} is run by user {}, who could read what is sent unencrypted, so it was not sent; have it run as root or as user {}",
            self.relay.display(),
            user.as_raw(),
            own.as_raw()
        ))
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = self.settings.clone();
        if let Some(value) = self.hop.as_ref().and_then(Hop::authorization) {
            let mut value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

/// Copies bytes both ways, until either side ends.
async fn join(end: UnixStream, tunnel: TokioIo<Upgraded>) {
    let (mut from_end, mut to_end) = split(end);
    let (mut from_tunnel, mut to_tunnel) = split(tunnel);
    // The reader sees who ended the connection and how, with one exception: a Unix socket has no reset. So for an answer whose end is the
    // end of the connection, the relay is asked who ended it.
    tokio::select! {
        // The library closes a connection when it is done, and never only half of one.
        _ended = copy(&mut from_end, &mut to_tunnel) => {}
        _ended = copy(&mut from_tunnel, &mut to_end) => {
            let _gone = to_end.shutdown().await;
        }
    }
}

/// A socket of this process whose path was removed: only a holder of the descriptor can connect to it.
#[derive(Debug)]
struct PrivateSocket {
    listener: UnixListener,
    handle: OwnedFd,
    /// One connection at a time, so that each can be matched to its request.
    one: Mutex<()>,
}

impl PrivateSocket {
    fn new() -> io::Result<Self> {
        let directory = PrivateDirectory::new()?;
        let path = directory.0.join("s");
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let handle = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Self {
            listener,
            handle,
            one: Mutex::default(),
        })
    }

    fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.handle.as_raw_fd()).into()
    }

    /// Lets `connecting` connect, and returns the other end. A connection to a Unix socket is established when the system call returns,
    /// and that call is the first thing `connecting` does.
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

/// A private directory that exists only while it is needed.
struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    fn new() -> io::Result<Self> {
        let mut name = [0; 16];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| io::Error::other("no random bytes"))?;
        let name = format!("tokend-{:032x}", u128::from_ne_bytes(name));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // At worst an empty directory is left, or a socket that no process can connect to.
        let _left = std::fs::remove_file(self.0.join("s"));
        let _left = std::fs::remove_dir(&self.0);
    }
}
