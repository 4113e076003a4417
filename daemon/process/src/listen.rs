//! Unix sockets that this process listens on.
//!
//! Owns how one comes to be: made here, with its mode set before anybody can connect, or checked without making
//! it. Removes a socket that a dead daemon left behind, never one on which a process still listens, and never
//! anything that is not a socket.

mod lock;

use std::fmt;
use std::fs::{DirBuilder, Metadata, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use interprocess::local_socket::traits::Listener as _;
use interprocess::local_socket::{GenericFilePath, Listener, ListenerOptions, ToFsName as _};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use rustix::fs::{Access, AtFlags, CWD, Mode};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

pub use self::lock::Locked;
use self::lock::{Alone, NotAlone, file_at};

/// A socket that listens, before the runtime has it.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub fd: OwnedFd,
    /// Where it came from.
    pub origin: SocketOrigin,
}

/// How a socket came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketOrigin {
    /// systemd made it and keeps it over restarts.
    Inherited,
    /// Made here. Removed at the end if it is still the same socket, by device and inode.
    Made {
        /// Where.
        path: PathBuf,
        /// Its device and inode.
        file: Option<(u64, u64)>,
    },
}

/// What a socket is for, which tells how another is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Clients ask for tokens there.
    Clients,
    /// Metrics are read there.
    Metrics,
    /// A relay listens there, which has no configuration.
    Relay,
}

/// Why the socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error("{}: somebody listens there already; stop that {}, or use another socket ({})", path.display(), usage.who(), usage.option())]
    Taken {
        /// Where.
        path: PathBuf,
        /// What it is for.
        usage: Usage,
    },
    /// A lock keeps everybody from making the socket.
    #[error("{}: {}, and without it nobody makes the socket {}; {}, or use another socket ({})", lock.path.display(), lock.why(), path.display(), lock.way_out(), usage.option())]
    Locked {
        /// Where.
        path: PathBuf,
        /// What it is for.
        usage: Usage,
        /// The file that is in the way.
        lock: Locked,
    },
    /// The path exists but is not a socket.
    #[error("{} exists but is not a socket; remove it, or use another path ({})", path.display(), usage.option())]
    NotASocket {
        /// Where.
        path: PathBuf,
        /// What it is for.
        usage: Usage,
    },
    /// The kernel takes no path of that length.
    #[error("{}: the path of a socket has at most 107 bytes, and this one has {}; use a shorter one ({})", path.display(), path.as_os_str().len(), usage.option())]
    TooLong {
        /// Where.
        path: PathBuf,
        /// What it is for.
        usage: Usage,
    },
    // Not `source`: code that prints the causes of an error would print it twice.
    /// The system refuses the place.
    #[error("{}: cannot {what}: {why}{}", path.display(), elsewhere(why, *usage))]
    Io {
        /// Where.
        path: PathBuf,
        /// What it is for.
        usage: Usage,
        /// What was tried.
        what: &'static str,
        /// The system's error.
        why: io::Error,
    },
    /// The directory of the socket cannot be made.
    #[error("cannot create {}, the directory of the socket: {why}; {}", path.display(), usage.way_out())]
    NoDirectory {
        /// Where.
        path: PathBuf,
        /// What it is for.
        usage: Usage,
        /// The system's error.
        why: io::Error,
    },
}

impl ListenError {
    /// Whether the machine is short of a resource that may become free, such as descriptors.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Io { why, .. } | Self::NoDirectory { why, .. } => tokend_config::is_shortage(why),
            // The holder will release it.
            Self::Locked { lock, .. } => lock.is_held(),
            _ => false,
        }
    }
}

/// The advice if the system refuses the place.
fn elsewhere(why: &io::Error, usage: Usage) -> String {
    match why.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("; {}", usage.way_out())
        }
        _ => String::new(),
    }
}

impl Usage {
    /// How another socket is named.
    fn option(self) -> &'static str {
        match self {
            Self::Clients => "--socket PATH, or `socket` of the configuration",
            Self::Metrics => "`listen` in [metrics] of the configuration",
            Self::Relay => "--listen PATH",
        }
    }

    /// Who listens on such a socket.
    fn who(self) -> &'static str {
        match self {
            Self::Clients | Self::Metrics => "daemon",
            Self::Relay => "relay",
        }
    }

    /// The advice if this place cannot be used.
    fn way_out(self) -> String {
        let moved = match self {
            Self::Clients => "set XDG_RUNTIME_DIR to a directory of your own, or ",
            // These sockets have only the path that was given, or can do without one.
            Self::Metrics | Self::Relay => "",
        };
        format!("{moved}use another socket ({})", self.option())
    }
}

/// Whether the path of a socket is short enough for the kernel.
///
/// # Errors
/// When it is not.
pub fn must_fit(path: &Path, usage: Usage) -> Result<(), ListenError> {
    if path.as_os_str().len() <= 107 {
        return Ok(());
    }
    Err(ListenError::TooLong {
        path: path.to_path_buf(),
        usage,
    })
}

/// The state of a socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathState {
    /// A socket can be made there.
    Free,
    /// A process listens there.
    InUse,
}

/// Whether [`bind`] could make a socket at `path`, as far as that shows without making or connecting to anything. `is_made` tells which
/// directories will be there, and this user's, by then.
///
/// # Errors
/// The error that `bind` would give.
pub fn check(
    path: &Path,
    usage: Usage,
    is_made: impl Fn(&Path) -> bool,
) -> Result<PathState, ListenError> {
    must_fit(path, usage)?;
    let found = found_at(path, usage)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !is_made(parent) {
        let above = parent.ancestors().find(|above| above.exists());
        let above = above.unwrap_or(Path::new("."));
        let allowed = rustix::fs::accessat(
            CWD,
            above,
            Access::WRITE_OK | Access::EXEC_OK,
            AtFlags::EACCESS,
        );
        allowed.map_err(|errno| match above == parent {
            true => ListenError::Io {
                path: path.to_path_buf(),
                usage,
                what: "listen on the socket",
                why: errno.into(),
            },
            false => ListenError::NoDirectory {
                path: parent.to_path_buf(),
                usage,
                why: errno.into(),
            },
        })?;
    }
    Ok(match found.is_some() && is_listened_on(path) {
        true => PathState::InUse,
        false => PathState::Free,
    })
}

/// Whether the kernel's list of sockets has one that listens at `path`.
fn is_listened_on(path: &Path) -> bool {
    /// `__SO_ACCEPTCON` in the column of flags.
    const LISTENS: &str = "00010000";
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let path = path.to_string_lossy();
    sockets.lines().any(|line| {
        line.split_whitespace().nth(3) == Some(LISTENS) && line.ends_with(&format!(" {path}"))
    })
}

/// Whether this process could listen at this address now. The address is bound and released without listening,
/// so no peer can connect meanwhile.
///
/// # Errors
/// Why not.
pub fn check_address(address: &SocketAddr) -> io::Result<()> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Set as the runtime sets it, so that connections of an earlier process in TIME_WAIT are no obstacle.
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, address)?;
    Ok(())
}

/// The error for an address that cannot be bound.
pub fn cannot_serve(address: &SocketAddr, error: &io::Error) -> String {
    format!(
        "metrics cannot be served at {address}: {error}; free it, or use another (`listen` of [metrics])"
    )
}

/// Makes a socket at `path` that peers may connect to as `mode` allows.
pub fn bind(path: &Path, mode: u32, usage: Usage) -> Result<Bound, ListenError> {
    let failed = |what, why| ListenError::Io {
        path: path.to_path_buf(),
        usage,
        what,
        why,
    };
    must_fit(path, usage)?;
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty() && !parent.exists())
    {
        make_directory(parent).map_err(|why| ListenError::NoDirectory {
            path: parent.to_path_buf(),
            usage,
            why,
        })?;
    }
    found_at(path, usage)?;
    let _alone = Alone::at(path).map_err(|why| refused(why, path, usage))?;
    clear(path, usage)?;
    let name = path
        .to_fs_name::<GenericFilePath>()
        .map_err(|error| failed("name the socket", error))?;
    // The kernel subtracts the umask from the mode the socket was given before bind, so for this moment there is none.
    let before = rustix::process::umask(Mode::empty());
    let made = ListenerOptions::new().name(name).mode(mode).create_sync();
    rustix::process::umask(before);
    let mut listener = made.map_err(|error| failed("listen on the socket", error))?;
    listener.do_not_reclaim_name_on_drop();
    let Listener::UdSocket(listener) = listener;
    Ok(Bound {
        fd: listener.into(),
        origin: SocketOrigin::Made {
            path: path.to_path_buf(),
            file: file_at(path),
        },
    })
}

impl fmt::Display for SocketOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inherited => f.write_str("inherited from systemd"),
            Self::Made { path, .. } => path.display().fmt(f),
        }
    }
}

impl SocketOrigin {
    /// Removes the socket's name, if it was made here and still is this socket's. If another process begins to
    /// listen at this moment, the name is left to that process.
    pub fn clean_up(&self) {
        if let Self::Made { path, file } = self
            && file.is_some()
            && let Ok(_alone) = Alone::at(path)
            && *file == file_at(path)
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(
                "the socket {} could not be removed: {error}",
                path.display()
            );
        }
    }
}

/// Peers must be able to reach the socket: `allow` decides about their rights, not the directory.
fn make_directory(parent: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(parent)?;
    std::fs::set_permissions(parent, Permissions::from_mode(0o755))
}

/// The socket that is at a path, if anything is.
fn found_at(path: &Path, usage: Usage) -> Result<Option<Metadata>, ListenError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(ListenError::Io {
            path: path.to_path_buf(),
            usage,
            what: "look at the socket",
            why,
        }),
        Ok(found) if !found.file_type().is_socket() => Err(ListenError::NotASocket {
            path: path.to_path_buf(),
            usage,
        }),
        Ok(found) => Ok(Some(found)),
    }
}

/// Removes the socket of a dead daemon to make room for a new one. Call with the lock held, see [`Alone`].
fn clear(path: &Path, usage: Usage) -> Result<(), ListenError> {
    let failed = |what, why| ListenError::Io {
        path: path.to_path_buf(),
        usage,
        what,
        why,
    };
    if found_at(path, usage)?.is_none() {
        return Ok(());
    }
    match is_alive(path) {
        Ok(false) => std::fs::remove_file(path)
            .map_err(|error| failed("remove the socket a dead daemon left", error)),
        Err(error) => Err(failed("see whether somebody listens on the socket", error)),
        Ok(true) => Err(ListenError::Taken {
            path: path.to_path_buf(),
            usage,
        }),
    }
}

/// Whether a process listens on the socket at `path`, even one that is stopped and whose queue of connections
/// is full: a connect to that one might wait for ever.
fn is_alive(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The error for a socket at `path` whose lock was not taken.
fn refused(why: NotAlone, path: &Path, usage: Usage) -> ListenError {
    let path = path.to_path_buf();
    match why {
        NotAlone::Beginning => ListenError::Taken { path, usage },
        NotAlone::Locked(lock) => ListenError::Locked { path, usage, lock },
        NotAlone::Io(why) => ListenError::Io {
            path,
            usage,
            what: "listen on the socket",
            why,
        },
    }
}

#[cfg(test)]
mod tests;
