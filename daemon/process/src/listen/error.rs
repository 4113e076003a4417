//! Why a socket cannot be made, in words that name the option of whoever asked for it.
//!
//! Owns the sentences and their advice. Decides nothing.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tokend_policy::Outlet;

/// What a socket is for, which tells how another is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Clients ask for tokens there.
    Clients,
    /// Metrics are read there.
    Metrics,
    /// An outlet for clients listens there.
    Outlet(Outlet),
    /// A relay listens there, which has no configuration.
    Relay,
}

/// Why there is no socket at a path.
#[derive(Debug)]
pub struct ListenError {
    /// The path of the socket.
    pub path: PathBuf,
    /// What the socket is for.
    pub usage: Usage,
    /// What is in the way.
    pub obstacle: Obstacle,
}

/// What keeps this process from making a socket.
#[derive(Debug)]
pub enum Obstacle {
    /// Another process listens there, or is about to.
    Taken,
    /// A lock keeps everybody from making the socket.
    Locked(Locked),
    /// The path exists but is not a socket.
    NotASocket,
    /// The kernel takes no path of that length.
    TooLong,
    /// The system refuses what was tried.
    Io(&'static str, io::Error),
    /// The directory of the socket cannot be made.
    NoDirectory(io::Error),
}

/// A file beside a socket that belongs to another user, or that cannot be locked.
#[derive(Debug)]
pub struct Locked {
    pub(super) path: PathBuf,
    pub(super) uid: u32,
    /// Why it cannot be opened; `None` if another process holds it.
    pub(super) refused: Option<io::Error>,
}

impl Locked {
    fn why(&self) -> String {
        let uid = self.uid;
        match &self.refused {
            None => format!("somebody else holds this lock, a file of user {uid}"),
            Some(why) => format!("this lock, a file of user {uid}, cannot be taken: {why}"),
        }
    }

    fn way_out(&self) -> &'static str {
        match self.refused {
            None => "see who holds it (lslocks), stop that, and start again",
            Some(_) => "remove it, as that user or root, if nobody else starts tokend there now",
        }
    }
}

impl ListenError {
    /// Whether the machine is short of a resource that may become free, such as descriptors.
    pub fn is_shortage(&self) -> bool {
        match &self.obstacle {
            Obstacle::Io(_, why) | Obstacle::NoDirectory(why) => tokend_config::is_shortage(why),
            // A process that holds the lock will release it.
            Obstacle::Locked(lock) => lock.refused.is_none(),
            _ => false,
        }
    }
}

impl Error for ListenError {}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, usage, option) = (self.path.display(), self.usage, self.usage.option());
        match &self.obstacle {
            Obstacle::Taken => write!(
                f,
                "{path}: somebody listens there already; stop that {}, or use another socket ({option})",
                usage.who()
            ),
            Obstacle::Locked(lock) => write!(
                f,
                "{}: {}, and without it nobody makes the socket {path}; {}, or use another socket ({option})",
                lock.path.display(),
                lock.why(),
                lock.way_out()
            ),
            Obstacle::NotASocket => write!(
                f,
                "{path} exists but is not a socket; remove it, or use another path ({option})"
            ),
            Obstacle::TooLong => write!(
                f,
                "{path}: the path of a socket has at most 107 bytes, and this one has {}; use a shorter one ({option})",
                self.path.as_os_str().len()
            ),
            Obstacle::Io(what, why) => {
                write!(f, "{path}: cannot {what}: {why}{}", elsewhere(why, usage))
            }
            Obstacle::NoDirectory(why) => write!(
                f,
                "cannot create {}, the directory of the socket: {why}; {}",
                self.path.parent().unwrap_or(Path::new(".")).display(),
                usage.way_out()
            ),
        }
    }
}

fn elsewhere(why: &io::Error, usage: Usage) -> String {
    match why.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("; {}", usage.way_out())
        }
        _ => String::new(),
    }
}

impl Usage {
    fn option(self) -> &'static str {
        match self {
            Self::Clients => "--socket PATH, or `socket` of the configuration",
            Self::Metrics => "`listen` in [metrics] of the configuration",
            Self::Outlet(outlet) => outlet.setting(),
            Self::Relay => "--listen PATH",
        }
    }

    fn who(self) -> &'static str {
        match self {
            Self::Clients | Self::Metrics | Self::Outlet(_) => "daemon",
            Self::Relay => "relay",
        }
    }

    fn way_out(self) -> String {
        let moved = match self {
            Self::Clients => "set XDG_RUNTIME_DIR to a directory of your own, or ",
            // These sockets have only the path that was given, or can do without one.
            Self::Metrics | Self::Outlet(_) | Self::Relay => "",
        };
        format!("{moved}use another socket ({})", self.option())
    }
}
