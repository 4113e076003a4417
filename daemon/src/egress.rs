//! The egress relay: the way to the providers for a daemon that has no network of its own.
//!
//! Owns one listening socket and the life of its process. A proxy for HTTP without configuration, state or secrets: TLS goes through it
//! from end to end. Bounded in connections, heads and time; must never log what passes, and never repeat it.

mod body;
mod door;
mod failure;
mod forward;
mod memory;
mod target;
#[cfg(test)]
mod tests;
mod tunnel;
mod way;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use listenfd::ListenFd;
use tokend_config::{Format, Level};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::door::{Door, Promised};
use crate::cli::{EgressArgs, Exit};
use crate::clock::Clock;
use crate::harden::{self, Swap};
use crate::logging::Logging;
use crate::signals::Incoming;
use crate::systemd::Manager;

pub(crate) use self::door::{FAILURE, REACH, STATUS, TARGET};
pub(crate) use self::failure::Kind;
pub(crate) use self::way::{PATIENCE, PROXY};

/// How many connections there may be. More wait in the socket's queue.
const ROOM: u32 = 4096;
/// With this many places free it is told again when there are none: whoever takes and gives back the last one writes no lines.
const FEW: usize = 64;
/// How long the head of a request may take, and how large it may be: tokens may be in it.
const HEAD: Duration = Duration::from_secs(10);
const LARGEST_HEAD: usize = 128 * 1024;
/// How long a connection may last: twice the longest time an attempt or a command may be given.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);
/// How long connections may last after the relay was told to stop. The unit's TimeoutStopSec= is longer.
const DRAIN: Duration = Duration::from_secs(80);
/// How long accepting rests after the system refused it.
const REST: Duration = Duration::from_millis(100);

/// Why there is nothing to listen on.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error(
        "there is no socket: say where with --listen, or let systemd pass one (tokend-egress.socket)"
    )]
    Nowhere,
    #[error(
        "systemd passed {0} sockets; the relay takes one: keep one ListenStream= in tokend-egress.socket"
    )]
    TooMany(usize),
    #[error(
        "what systemd passed is no listening TCP socket: use ListenStream= with an address ({0})"
    )]
    NotOurs(io::Error),
    #[error("{0}: cannot listen there: {1}")]
    Taken(SocketAddr, io::Error),
}

/// Relays until it is told to stop.
pub(crate) fn run(args: &EgressArgs) -> Exit {
    // First of all, while there is one thread: it clears the environment.
    let listener = listener(args.listen);
    let level = Level::from_environment();
    let chosen = level.as_ref().map_or_else(|_| None, Clone::clone);
    let logging = Logging::start(Format::default(), &chosen.unwrap_or_default());
    let _last_lines = logging.last_lines();
    let outcome = match (level, listener) {
        (Err(error), _) => Err((error.into(), Exit::Usage)),
        (_, Err(error @ ListenError::Nowhere)) => Err((error.into(), Exit::Usage)),
        (_, Err(error @ ListenError::Taken(..))) => Err((error.into(), Exit::NotNow)),
        (_, Err(error)) => Err((error.into(), Exit::Config)),
        (Ok(_), Ok(listener)) => relay(listener, &logging).map_err(|error| (error, Exit::NotNow)),
    };
    match outcome {
        Ok(()) => Exit::Success,
        Err((error, exit)) => crate::fail(&error, exit),
    }
}

fn listener(at: Option<SocketAddr>) -> Result<std::net::TcpListener, ListenError> {
    let mut passed = ListenFd::from_env();
    match (passed.len(), at) {
        (1, _) => passed
            .take_tcp_listener(0)
            .and_then(|listener| listener.ok_or_else(|| io::Error::other("taken twice")))
            .map_err(ListenError::NotOurs),
        (0, Some(at)) => {
            std::net::TcpListener::bind(at).map_err(|error| ListenError::Taken(at, error))
        }
        (0, None) => Err(ListenError::Nowhere),
        (count, _) => Err(ListenError::TooMany(count)),
    }
}

fn relay(listener: std::net::TcpListener, logging: &Logging) -> anyhow::Result<()> {
    for refused in harden::harden() {
        tracing::warn!("a protection is missing: {refused}");
    }
    logging.write();
    // Secrets for providers on a loopback address pass through unencrypted.
    match harden::keep_out_of_swap() {
        swap @ Swap::Never => tracing::debug!("{swap}"),
        swap => tracing::info!("{swap}"),
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("tokend-egress")
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener).context("the socket cannot be used")?;
        let mut signals = Incoming::register().context("signals cannot be listened to")?;
        let manager = Manager::of_this_process();
        let at = listener.local_addr()?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %at, "relaying");
        manager.ready();
        let room = Arc::new(Semaphore::new(ROOM as usize));
        let door = Arc::new(Door::new(Clock::system()));
        tokio::select! {
            never = serve(&listener, &door, &room) => match never {},
            () = signals.stop() => {}
        }
        drop(listener);
        tracing::info!("stopping: what is connected is being finished");
        manager.stopping();
        tokio::select! {
            ended = tokio::time::timeout(DRAIN, room.acquire_many(ROOM)) => match ended {
                Ok(_) => tracing::info!("stopped"),
                Err(_) => tracing::warn!("stopped although not all connections had ended"),
            },
            () = signals.stop() => tracing::warn!("stopped at once, as asked twice"),
        }
        Ok(())
    })
}

/// A relay on a loopback address, with room for this many, until the test ends.
#[cfg(test)]
pub(crate) async fn start(room: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(tokio::spawn(async move {
        let (door, room) = (Door::new(Clock::system()), Semaphore::new(room));
        serve(&listener, &Arc::new(door), &Arc::new(room)).await
    }));
    address
}

async fn serve(listener: &TcpListener, door: &Arc<Door>, room: &Arc<Semaphore>) -> Infallible {
    let mut told = false;
    loop {
        told &= room.available_permits() < FEW;
        if room.available_permits() == 0 && !told {
            told = true;
            tracing::warn!(
                "all places for connections are taken, and no attempt gets through until one ends: see who connects to the relay"
            );
        }
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(room).acquire_owned().await else {
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(attend(stream, Arc::clone(door), place))),
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// One connection from its request to its end.
async fn attend(stream: TcpStream, door: Arc<Door>, place: OwnedSemaphorePermit) {
    let promised = Promised::default();
    let conversation = async {
        let service = service_fn(|request| {
            let (door, promised) = (Arc::clone(&door), Arc::clone(&promised));
            async move { Ok::<_, Infallible>(door.answer(request, &promised).await) }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(LARGEST_HEAD);
        let served = builder
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(error) = served {
            tracing::debug!("a connection ended: {error}");
        }
        let tunnel = promised
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(tunnel) = tunnel {
            tunnel.carry().await;
        }
    };
    if tokio::time::timeout(LIFETIME, conversation).await.is_err() {
        tracing::warn!("a connection lasted too long and was ended");
    }
    drop(place);
}
