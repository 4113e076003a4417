//! The errors of a call.
//!
//! Owns the closed list of failures and the advice for each. Never carries a secret.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokend_proto::{AccountName, Fault, FaultCode, NameError, WireError};

use crate::start::{self, Units};

/// The reason when the daemon accepts no connection.
pub(crate) const QUEUE_IS_FULL: &str = "its queue of connections stays full";

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No socket was named and none exists where sockets are expected.
    #[error("no socket of tokend found; looked at {}", list(tried))]
    NoSocket {
        /// Where it was looked for, in order.
        tried: Vec<PathBuf>,
    },
    /// The caller may not look at a place where a socket may be, so the client cannot know whether one is
    /// there.
    #[error("cannot look at {}, where a daemon's socket may be: {}", path.display(), plain(source))]
    KeptOut {
        /// The place.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No process listens at the socket, or its permissions keep the caller out.
    #[error("cannot reach tokend at {}: {}", path.display(), plain(source))]
    NotReachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The daemon answered with a fault.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The peer does not speak the protocol, or another version of it.
    #[error("the answer is not one of tokend's: {reason}")]
    Protocol {
        /// What was wrong with it.
        reason: String,
    },
    /// The connection ended before the answer came; the request may have been processed.
    #[error("the connection to tokend was lost: {reason}")]
    Lost {
        /// How it ended.
        reason: String,
    },
    /// The connection was made, but the daemon did not greet: it is stopped, hangs, or does not come up behind
    /// systemd's socket. No request that must not be sent twice was sent: no `login`, `forget`, `reload`,
    /// `refresh` or `reject`.
    #[error("tokend at {} says nothing: no greeting came within {}", path.display(), seconds(*limit))]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
    /// There was no answer in time. An attempt that has begun goes on at the daemon.
    #[error("no answer from tokend within {}", seconds(*limit))]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The daemon reads too slowly for what this client sends; nothing was sent.
    #[error("too many requests wait to be sent to tokend")]
    Congested,
    /// A subscription has no token at present, and none was refused to it.
    #[error("there is no token of {account} at present: {reason}")]
    NoToken {
        /// The account.
        account: AccountName,
        /// What it is between.
        reason: &'static str,
    },
    /// What was given as the name of an account can be none.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl ClientError {
    /// What to do about it, as a lower-case fragment for people.
    pub fn advice(&self) -> Option<&str> {
        Some(match self {
            Self::NoSocket { .. } => {
                return Some(match start::units() {
                    Units::System => {
                        "start the daemon (systemctl start tokend), or name its socket with --socket or TOKEND_SOCKET"
                    }
                    Units::User => {
                        "start the daemon (systemctl --user start tokend), or name its socket with --socket or TOKEND_SOCKET"
                    }
                    Units::None => {
                        "start the daemon (run tokend), or name its socket with --socket or TOKEND_SOCKET"
                    }
                });
            }
            Self::KeptOut { .. } => {
                "say which daemon is meant with --socket or TOKEND_SOCKET (the system's: /run/tokend/tokend.sock); \
                 XDG_RUNTIME_DIR is another user's directory, as su leaves it: unset it"
            }
            Self::NotReachable { path, source } => match source.kind() {
                _ if is_no_socket(path) => {
                    "that is not a socket: give tokend's with --socket or TOKEND_SOCKET (the system's: /run/tokend/tokend.sock)"
                }
                io::ErrorKind::PermissionDenied if is_out_of_sight(path) => {
                    "you may not enter a directory that leads to the socket, whatever the socket's own mode is; ask its owner for access, or give \
                     another socket with --socket or TOKEND_SOCKET (the system's: /run/tokend/tokend.sock)"
                }
                io::ErrorKind::PermissionDenied => {
                    "the socket's mode keeps you out; join the group it belongs to (ls -l shows it)"
                }
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => how_to_be_reached(),
                io::ErrorKind::TimedOut => return Some(start::how_to_look()),
                _ => "check the path and whether the daemon runs (systemctl status tokend)",
            },
            Self::Fault(fault) => return fault.advice.as_deref(),
            Self::Protocol { .. } => {
                "check that the path is tokend's socket, and that client and daemon are of the same release"
            }
            Self::Lost { .. } => {
                "try again; if it happens again, check the daemon's log (journalctl -u tokend) and run tokenctl doctor"
            }
            Self::Silent { .. } => return Some(start::how_to_look()),
            Self::TimedOut { .. } => {
                "try again or allow more time; the daemon may be overloaded or stopped: tokenctl doctor looks"
            }
            Self::Congested => "send fewer requests at once",
            Self::NoToken { .. } => "wait for it; tokenctl status says what it takes",
            Self::Name(_) => "name an account as the daemon's configuration does",
        })
    }

    /// How long to wait before trying again, where the daemon said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fault(fault) => fault.retry_after_ms.map(Duration::from_millis),
            _ => None,
        }
    }

    /// Whether it is over in a moment if all is well.
    #[cfg(feature = "async")]
    pub(crate) fn passes_soon(&self) -> bool {
        matches!(self, Self::NoToken { .. }) || self.passes_with_a_start()
    }

    /// Whether it is over as soon as a daemon is there: nobody listens, or the one that did stops.
    pub(crate) fn passes_with_a_start(&self) -> bool {
        match self {
            Self::NoSocket { .. } | Self::Lost { .. } => true,
            Self::NotReachable { path, source } => {
                let is_absent = matches!(
                    source.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                );
                is_absent && !is_no_socket(path)
            }
            Self::Fault(fault) => fault.code == FaultCode::Draining,
            _ => false,
        }
    }

    pub(crate) fn protocol(reason: impl Into<String>) -> Self {
        Self::Protocol {
            reason: reason.into(),
        }
    }

    pub(crate) fn lost(reason: impl Into<String>) -> Self {
        Self::Lost {
            reason: reason.into(),
        }
    }

    /// The meaning of an error on an established connection.
    pub(crate) fn broken(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Self::lost("the daemon closed it")
            }
            _ => Self::lost(plain(error)),
        }
    }
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        Self::protocol(error.to_string())
    }
}

/// What to do where nobody listens.
fn how_to_be_reached() -> &'static str {
    match start::units() {
        Units::System => {
            "start the daemon (systemctl start tokend), or check --socket and TOKEND_SOCKET; \
             if it does not start, tokenctl doctor says why"
        }
        Units::User => {
            "start the daemon (systemctl --user start tokend), or check --socket and TOKEND_SOCKET; \
             if it does not start, tokenctl doctor says why"
        }
        Units::None => "start the daemon (run tokend), or check --socket and TOKEND_SOCKET",
    }
}

/// Whether something else is at the path of a socket.
fn is_no_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.file_type().is_socket())
}

/// Whether a directory on the way to a socket, and not the socket itself, keeps the caller out.
fn is_out_of_sight(path: &Path) -> bool {
    std::fs::symlink_metadata(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(" and ")
}

/// A limit as people write it: to a tenth of a second.
fn seconds(limit: Duration) -> String {
    match limit.as_millis() {
        ms @ ..1000 => format!("{ms} ms"),
        ms => format!("{} s", ((ms + 50) / 100) as f64 / 10.0),
    }
}

/// The system's sentence in lower case and without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_socket_is_not_a_daemon_that_has_to_be_started() {
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ConnectionRefused,
        ] {
            let at = |path: &str| ClientError::NotReachable {
                path: path.into(),
                source: Arc::new(kind.into()),
            };
            let is_told = |error: ClientError| {
                error
                    .advice()
                    .is_some_and(|it| it.contains("that is not a socket"))
            };
            assert!(is_told(at("/etc/passwd")) && is_told(at("/")));
            assert!(!is_told(at("/nowhere/tokend.sock")));
        }
    }
}
