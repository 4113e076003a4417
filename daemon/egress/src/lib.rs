//! The egress relay: the route to the providers for a daemon without a network of its own.
//!
//! Owns one listening socket and the life of its process. An HTTP proxy without configuration, state or secrets: TLS passes through it end
//! to end. Bounded in connections, heads and time; must never log the traffic, and never repeat it.

mod address;
mod body;
pub mod causes;
mod connect;
mod failure;
mod forward;
mod listening;
mod options;
mod places;
mod protocol;
pub mod proxy;
mod recent_failures;
mod service;
pub mod silence;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod tunnel;
mod watched;

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::{Request, Response};
use hyper::body::Incoming as Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokend_config::{Environment, Format, Level};
use tokio::sync::Semaphore;

use self::body::Relayed;
use self::connect::Stream;
use self::listening::{Accepted, ListenError, Listening, Users};
use self::places::{Bounds, Place, Places};
use self::service::{Promised, Service};
use tokend_process::accepting::accept_until;
use tokend_process::clock::Clock;
use tokend_process::descriptors;
use tokend_process::hardening::{self, Swap};
use tokend_process::logging::Logging;
use tokend_process::signals::Incoming;
use tokend_process::systemd::Manager;

pub use self::address::{Egress, NoEgress};
pub use self::failure::FailureKind;
pub use self::options::Options;
pub use self::protocol::{CONNECT_TIMEOUT, ENDED, FAILURE, ORDERLY, PROXY, REACH, TARGET, TIMEOUT};

/// The log target of refused connections.
pub const LOG_TARGET: &str = module_path!();

/// The most connections. Beyond them a peer gets an answer that the relay is full.
const MOST: usize = 4096;
/// The divisor for one user's share, if the kernel identifies users: after three users with full shares there is room for a fourth.
const USERS: usize = 4;
/// Descriptors kept for anything other than the two of each connection.
const RESERVED: u64 = 128;
/// How many refused peers get an answer at a time, and how long that may take. Further ones are disconnected.
const REFUSALS: usize = 64;
const REFUSING: Duration = Duration::from_secs(2);
/// How long the head of a request may take, and how large it may be: tokens may be in it.
const HEAD: Duration = Duration::from_secs(10);
const LARGEST_HEAD: usize = 128 * 1024;
/// How long a connection may last: twice the longest time an attempt or a command may be given.
const LIFETIME: Duration = Duration::from_secs(2 * 3600);
/// How long connections may last after the relay was asked to stop. The unit's TimeoutStopSec= is longer.
const DRAIN: Duration = Duration::from_secs(80);

/// How the relay ended. The reason was already logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The relay was asked to stop.
    Stopped,
    /// Its arguments are invalid.
    Usage,
    /// It cannot listen on the socket that systemd passed.
    Config,
    /// It cannot run now; a restart may help.
    NotNow,
}

/// Runs the relay until it is asked to stop.
#[must_use]
pub fn run(options: &Options) -> Ended {
    // Done first, while there is one thread: it clears the environment.
    let usual = Environment::of_this_process().socket();
    let socket = listening::socket(options, &usual.with_file_name("egress.sock"));
    let level = Level::from_environment();
    let chosen = level.as_ref().map_or_else(|_| None, Clone::clone);
    let logging = Logging::start(Format::default(), &chosen.unwrap_or_default());
    logging.take_panics();
    let _last_lines = logging.last_lines();
    let ready = socket.and_then(|socket| Ok((socket, Users::of(&options.users)?)));
    let outcome = match (level, ready) {
        (Err(error), _) => Err((error.into(), Ended::Usage)),
        (_, Err(error)) => {
            let ended = match error {
                ListenError::Open(_) | ListenError::NoUser(_) => Ended::Usage,
                ListenError::Taken(..) | ListenError::Socket(_) => Ended::NotNow,
                ListenError::TooMany(_) | ListenError::NotOurs(_) => Ended::Config,
            };
            Err((error.into(), ended))
        }
        (Ok(_), Ok((socket, users))) => {
            relay(socket, users, &logging).map_err(|error| (error, Ended::NotNow))
        }
    };
    match outcome {
        Ok(()) => Ended::Stopped,
        Err((error, ended)) => {
            tracing::error!("tokend ended: {error:#}");
            ended
        }
    }
}

fn relay(socket: listening::Socket, users: Users, logging: &Logging) -> anyhow::Result<()> {
    for refused in hardening::harden() {
        tracing::warn!("a protection is missing: {refused}");
    }
    logging.write();
    // Secrets for providers on a loopback address pass through unencrypted.
    match hardening::keep_out_of_swap() {
        swap @ Swap::Never => tracing::debug!("{swap}"),
        swap => tracing::info!("{swap}"),
    }
    let descriptors = descriptors::raise();
    descriptors::must_have_room(descriptors::TO_SERVE)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("tokend-egress")
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        let listening = socket
            .listening(users)
            .context("the socket cannot be used")?;
        let mut signals = Incoming::register().context("signals cannot be listened to")?;
        let manager = Manager::of_this_process();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %listening, "relaying");
        manager.ready();
        let relay = Relay::new(bounds(descriptors));
        relay.serve(&listening, signals.stop()).await;
        listening.clean_up();
        tracing::info!("stopping: open connections are being finished");
        manager.stopping();
        tokio::select! {
            ended = tokio::time::timeout(DRAIN, relay.places.empty()) => match ended {
                Ok(()) => tracing::info!("stopped"),
                Err(_) => tracing::warn!("stopped although not all connections had ended"),
            },
            () = signals.stop() => tracing::warn!("stopped at once, as requested twice"),
        }
        Ok(())
    })
}

/// The bounds that the descriptors allow: without a descriptor a peer could not even be refused with an answer.
fn bounds(descriptors: Option<u64>) -> Bounds {
    let pairs = descriptors.map_or(MOST, |count| {
        usize::try_from(count.saturating_sub(RESERVED) / 2).unwrap_or(MOST)
    });
    let all = pairs.clamp(USERS, MOST);
    Bounds {
        all,
        each: all / USERS,
    }
}

/// Serves connections.
struct Relay {
    service: Arc<Service>,
    places: Arc<Places>,
    refusals: Arc<Semaphore>,
}

impl Relay {
    fn new(bounds: Bounds) -> Self {
        Self {
            service: Arc::new(Service::new(Clock::system())),
            places: Places::new(bounds, Clock::system()),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
        }
    }

    /// Serves connections until `end` completes. Open connections go on.
    async fn serve(&self, listening: &Listening, end: impl Future<Output = ()>) {
        accept_until(
            end,
            || listening.accept(),
            |accepted| match accepted {
                Accepted::Allowed(stream, user) => self.welcome(stream, user),
                Accepted::Denied(stream, user) => self.turn_away(stream, user),
            },
            |error| tracing::warn!("a connection could not be accepted: {error}"),
        )
        .await;
    }

    fn turn_away(&self, stream: Box<dyn Stream>, user: u32) {
        let why =
            format!("user {user} may not use it; if that is meant, start it with --user {user}");
        tracing::warn!(peer = %peer(user), "a connection to the relay was refused: {why}");
        self.refuse(stream, FailureKind::Denied, why);
    }

    fn welcome(&self, stream: Box<dyn Stream>, user: Option<u32>) {
        match self.places.take(user) {
            Ok(place) => drop(tokio::spawn(attend(
                stream,
                Arc::clone(&self.service),
                place,
            ))),
            Err(full) => {
                let peer = user.map(peer).map(tracing::field::display);
                tracing::warn!(peer, "no free place for a connection: {full}");
                self.refuse(stream, FailureKind::Full, full.to_string());
            }
        }
    }

    /// Tells a refused peer the reason, whatever it asks.
    fn refuse(&self, stream: Box<dyn Stream>, kind: FailureKind, why: String) {
        let Ok(turn) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        let service = Arc::clone(&self.service);
        drop(tokio::spawn(async move {
            let answering = converse(stream, |request| service.refuse(request, kind, &why));
            let _sent = tokio::time::timeout(REFUSING, answering).await;
            drop(turn);
        }));
    }
}

/// The peer's name in the log.
fn peer(user: u32) -> String {
    format!("uid {user}")
}

/// Serves one connection from its request to its end.
async fn attend(stream: Box<dyn Stream>, service: Arc<Service>, place: Place) {
    let promised = Promised::default();
    let conversation = async {
        let (service, promised, place) = (&*service, &promised, &place);
        let answer = |request| service.answer(request, promised, place);
        converse(place.watch(stream), answer).await;
        let tunnel = promised
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(tunnel) = tunnel {
            tunnel.carry().await;
        }
    };
    tokio::select! {
        () = conversation => {}
        over = place.over() => tracing::warn!("a connection was ended: {over}"),
        () = tokio::time::sleep(LIFETIME) => tracing::warn!("a connection lasted too long and was ended"),
    }
}

/// Reads one request and answers it.
async fn converse<S: Stream + 'static, F: Future<Output = Response<Relayed>>>(
    stream: S,
    answer: impl Fn(Request<Body>) -> F,
) {
    let service = service_fn(|request| {
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
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
}
