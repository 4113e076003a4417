//! The sockets that systemd passes to the daemon.
//!
//! Owns which of them is for clients, which for metrics and which for outlets, which connections were handed on, and the errors about
//! sockets that are none of these.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use tokend_policy::Outlet;
use tokend_process::listen::{Bound, SocketOrigin};

/// systemd's name for the socket on which metrics are read.
const METRICS: &str = "metrics";

/// What the names of connections begin with that the daemon before gave into systemd's keeping.
pub(crate) const KEPT: &str = "credential-";

#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) clients: Option<Bound>,
    pub(crate) metrics: Option<TcpListener>,
    pub(crate) outlets: Vec<(Outlet, Bound)>,
    /// Connections of units that wait, with the names by which systemd keeps them.
    pub(crate) kept: Vec<(String, OwnedFd)>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritError {
    #[error(
        "systemd passed {count} sockets for clients; tokend takes one: keep one ListenStream= in tokend.socket"
    )]
    TooMany { count: usize },
    #[error(
        "what systemd passed is not a listening Unix stream socket: use ListenStream= with a path, and FileDescriptorName=metrics for the socket \
         of metrics ({0})"
    )]
    NotOurs(io::Error),
    #[error(
        "what systemd passed for {0} is not one listening Unix stream socket: keep one ListenStream= with a path in {unit} ({1})",
        unit = .0.unit()
    )]
    NotForOutlet(Outlet, io::Error),
    #[error(
        "what systemd passed for metrics is not a listening TCP socket: use one ListenStream= with an address in tokend-metrics.socket, or say `listen = \"unix:…\"` in [metrics] ({0})"
    )]
    NotForMetrics(io::Error),
}

/// Takes the sockets that systemd passed, if any. Must be called before threads start: it reads and clears the environment.
pub(crate) fn inherited() -> Result<Inherited, InheritError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    take(ListenFd::from_env(), &names)
}

fn take(mut passed: ListenFd, names: &str) -> Result<Inherited, InheritError> {
    let mut inherited = Inherited::default();
    let (mut names, mut count) = (names.split(':'), 0);
    for index in 0..passed.len() {
        let twice = || io::Error::other("taken twice");
        let another = || io::Error::other("there are two");
        let name = names.next();
        if name == Some(METRICS) {
            let listener = passed
                .take_tcp_listener(index)
                .and_then(|listener| listener.ok_or_else(twice))
                .map_err(InheritError::NotForMetrics)?;
            if inherited.metrics.replace(listener).is_some() {
                return Err(InheritError::NotForMetrics(another()));
            }
            continue;
        }
        let outlet = Outlet::ALL.into_iter().find(|it| name == Some(it.as_str()));
        if let Some(outlet) = outlet {
            let listener = passed
                .take_unix_listener(index)
                .and_then(|listener| listener.ok_or_else(twice))
                .map_err(|error| InheritError::NotForOutlet(outlet, error))?;
            if inherited.outlets.iter().any(|(own, _)| *own == outlet) {
                return Err(InheritError::NotForOutlet(outlet, another()));
            }
            inherited.outlets.push((outlet, bound(listener)));
            continue;
        }
        if let Some(name) = name.filter(|name| name.starts_with(KEPT)) {
            // A Unix stream socket like those, whether or not it listens.
            if let Ok(Some(connection)) = passed.take_unix_listener(index) {
                inherited.kept.push((name.to_owned(), connection.into()));
            }
            continue;
        }
        count += 1;
        let listener = passed
            .take_unix_listener(index)
            .and_then(|listener| listener.ok_or_else(twice))
            .map_err(InheritError::NotOurs)?;
        inherited.clients = Some(bound(listener));
    }
    match count {
        0 | 1 => Ok(inherited),
        count => Err(InheritError::TooMany { count }),
    }
}

fn bound(listener: UnixListener) -> Bound {
    Bound {
        fd: listener.into(),
        origin: SocketOrigin::Inherited,
    }
}
