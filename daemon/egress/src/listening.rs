//! The relay's listening socket, and the users who may connect.
//!
//! Owns the socket: one that systemd passed; a Unix socket, where the kernel identifies the peers; or a TCP address. A TCP address is open
//! to every user of the machine, so it is used only if the operator confirmed that. The user at the other end of a TCP connection is not
//! looked up in `/proc/net/tcp`: a connection that is closing shows user 0 there. Knows nothing of the requests.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use tokend_policy::Directory;
use tokio::net::{TcpListener, UnixListener};

use super::address::Egress;
use super::connect::Stream;
use super::options::Options;
use tokend_process::listen::{self, SocketOrigin, Usage};

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenError {
    #[error(
        "{0}: every user of this machine can connect to a TCP address, and would go out as the user of the relay; listen on a Unix socket instead (--listen PATH), or say --any-local-user if that is meant"
    )]
    Open(SocketAddr),
    #[error("--user {0}: there is no such user; use a name that `id` knows, or a number")]
    NoUser(String),
    #[error(
        "systemd passed {0} sockets; the relay takes one: keep one ListenStream= in tokend-egress.socket"
    )]
    TooMany(usize),
    #[error(
        "what systemd passed is not a listening stream socket: use ListenStream= with an address or a path ({0})"
    )]
    NotOurs(io::Error),
    #[error("{0}: cannot listen there: {1}")]
    Taken(SocketAddr, io::Error),
    #[error(transparent)]
    Socket(#[from] listen::ListenError),
}

/// A socket, before the runtime exists.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpListener),
    Unix(OwnedFd, SocketOrigin),
}

#[derive(Debug, Clone)]
pub(super) struct Users(BTreeSet<u32>);

#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener, SocketOrigin, Users),
}

/// A process that connected.
pub(super) enum Accepted {
    /// Served; with the user if the kernel identifies it.
    Allowed(Box<dyn Stream>, Option<u32>),
    Denied(Box<dyn Stream>, u32),
}

/// Takes the socket that systemd passed, or listens at the given address, or else in the runtime directory. Call it while there is one
/// thread, since it clears the environment.
pub(super) fn socket(options: &Options, usual: &Path) -> Result<Socket, ListenError> {
    let passed = ListenFd::from_env();
    match passed.len() {
        0 => {}
        1 => return inherited(passed),
        count => return Err(ListenError::TooMany(count)),
    }
    let path = match options.listen {
        Some(Egress::Tcp(address)) if !options.any_local_user => {
            return Err(ListenError::Open(address));
        }
        Some(Egress::Tcp(address)) => {
            let bound = std::net::TcpListener::bind(address).map(Socket::Tcp);
            return bound.map_err(|error| ListenError::Taken(address, error));
        }
        Some(Egress::Unix(path)) => path,
        None => usual,
    };
    // The other users are checked by the kernel's peer credentials, for each connection.
    let mode = match options.users.is_empty() {
        true => 0o600,
        false => 0o666,
    };
    let bound = listen::bind(path, mode, Usage::Relay)?;
    Ok(Socket::Unix(bound.fd, bound.origin))
}

fn inherited(mut passed: ListenFd) -> Result<Socket, ListenError> {
    let tcp = match passed.take_tcp_listener(0) {
        Ok(Some(listener)) => return Ok(Socket::Tcp(listener)),
        Ok(None) => io::Error::other("taken twice"),
        Err(error) => error,
    };
    match passed.take_unix_listener(0) {
        Ok(Some(listener)) => Ok(Socket::Unix(listener.into(), SocketOrigin::Inherited)),
        Ok(None) | Err(_) => Err(ListenError::NotOurs(tcp)),
    }
}

impl Users {
    /// The relay's own user, root, and the named users.
    pub(super) fn of(names: &[String]) -> Result<Self, ListenError> {
        let mut users = BTreeSet::from([0, geteuid().as_raw()]);
        let mut directory = Directory::system();
        for name in names {
            let user = directory.user(name);
            users.insert(user.ok_or_else(|| ListenError::NoUser(name.clone()))?);
        }
        Ok(Self(users))
    }

    fn has(&self, user: u32) -> bool {
        self.0.contains(&user)
    }
}

impl Socket {
    /// Starts to listen. Needs a runtime.
    pub(super) fn listening(self, users: Users) -> io::Result<Listening> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Listening::Tcp(TcpListener::from_std(listener)?))
            }
            Self::Unix(fd, origin) => {
                let listener = std::os::unix::net::UnixListener::from(fd);
                listener.set_nonblocking(true)?;
                let listener = UnixListener::from_std(listener)?;
                Ok(Listening::Unix(listener, origin, users))
            }
        }
    }
}

impl Listening {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Allowed(Box::new(stream), None))
            }
            Self::Unix(listener, _, users) => {
                let (stream, _) = listener.accept().await?;
                let user = socket_peercred(&stream)?.uid.as_raw();
                Ok(match users.has(user) {
                    true => Accepted::Allowed(Box::new(stream), Some(user)),
                    false => Accepted::Denied(Box::new(stream), user),
                })
            }
        }
    }

    /// Removes the socket that this process created.
    pub(super) fn clean_up(self) {
        if let Self::Unix(_, origin, _) = self {
            origin.clean_up();
        }
    }
}

/// The address, for the log.
impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => error.fmt(f),
            },
            Self::Unix(listener, ..) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|it| it.as_pathname());
                path.unwrap_or(Path::new("unix")).display().fmt(f)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_relayed_for() {
        for address in ["127.0.0.1:3128", "[::1]:3128"] {
            let parsed = address.parse().map(Egress::Tcp).unwrap();
            assert_eq!(Egress::to_listen_at(address), Ok(parsed));
        }
        for path in ["/run/x.sock", "unix:/run/x.sock"] {
            assert_eq!(
                Egress::to_listen_at(path),
                Ok(Egress::Unix(Path::new("/run/x.sock")))
            );
        }
        for wrong in [
            "0.0.0.0:3128",
            "[::]:1",
            "192.0.2.1:1",
            "localhost:1",
            "3128",
            "x.sock",
            "unix:x",
            "",
        ] {
            assert!(Egress::to_listen_at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_that_every_user_can_connect_to_is_taken_only_when_that_is_meant() {
        let listen = Some(Egress::to_listen_at("127.0.0.1:0").unwrap());
        let mut options = Options {
            listen,
            ..Options::default()
        };
        let refused = socket(&options, Path::new("/nowhere"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("--any-local-user"), "{refused}");
        options.any_local_user = true;
        assert!(matches!(
            socket(&options, Path::new("/nowhere")),
            Ok(Socket::Tcp(_))
        ));
    }

    #[test]
    fn a_socket_is_for_its_user_alone_unless_others_were_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        for (user, mode) in [(vec![], 0o600), (vec!["1".to_owned()], 0o666)] {
            let path = dir.path().join(format!("sub/{mode:o}.sock"));
            let options = Options {
                users: user,
                ..Options::default()
            };
            let _made = socket(&options, &path).unwrap();
            let found = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
            let taken = socket(&options, &path).unwrap_err().to_string();
            assert!(
                taken.ends_with("stop that relay, or use another socket (--listen PATH)"),
                "{taken}"
            );
        }
        let named = Users::of(&["1".to_owned()]).unwrap();
        let own = geteuid().as_raw();
        assert!(named.has(0) && named.has(own) && named.has(1) && !named.has(own + 7));
        let unknown = Users::of(&["nobody-has-this-name".to_owned()]).unwrap_err();
        assert!(unknown.to_string().contains("--user nobody-has-this-name"));
    }
}
