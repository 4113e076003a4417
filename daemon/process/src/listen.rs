//! Unix sockets that this process listens on.
//!
//! Owns how one comes to be: made here, with its mode set before anybody can connect, or checked without making
//! it. Removes a socket that a dead daemon left behind, never one on which a process still listens, and never
//! anything that is not a socket.

mod error;
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

pub use self::error::{ListenError, Locked, Obstacle, Usage};
use self::lock::{Alone, file_at};

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

/// Whether the path of a socket is short enough for the kernel.
pub fn must_fit(path: &Path, usage: Usage) -> Result<(), ListenError> {
    match path.as_os_str().len() {
        ..=107 => Ok(()),
        _ => Err(at(path, usage)(Obstacle::TooLong)),
    }
}

fn at(path: &Path, usage: Usage) -> impl Fn(Obstacle) -> ListenError {
    move |obstacle| ListenError {
        path: path.to_path_buf(),
        usage,
        obstacle,
    }
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
    let found = found_at(path).map_err(at(path, usage))?;
    let parent = directory_of(path);
    if !is_made(parent) {
        let above = parent.ancestors().find(|above| above.exists());
        let above = above.unwrap_or(Path::new("."));
        let allowed = rustix::fs::accessat(
            CWD,
            above,
            Access::WRITE_OK | Access::EXEC_OK,
            AtFlags::EACCESS,
        );
        let obstacle = |errno: Errno| match above == parent {
            true => Obstacle::Io("listen on the socket", errno.into()),
            false => Obstacle::NoDirectory(errno.into()),
        };
        allowed.map_err(obstacle).map_err(at(path, usage))?;
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
    must_fit(path, usage)?;
    make(path, mode).map_err(at(path, usage))
}

fn make(path: &Path, mode: u32) -> Result<Bound, Obstacle> {
    let parent = directory_of(path);
    if !parent.exists() {
        make_directory(parent).map_err(Obstacle::NoDirectory)?;
    }
    found_at(path)?;
    let _alone = Alone::at(path)?;
    clear(path)?;
    let name = path
        .to_fs_name::<GenericFilePath>()
        .map_err(|error| Obstacle::Io("name the socket", error))?;
    // The kernel subtracts the umask from the mode the socket was given before bind, so for this moment there is none.
    let before = rustix::process::umask(Mode::empty());
    let made = ListenerOptions::new().name(name).mode(mode).create_sync();
    rustix::process::umask(before);
    let mut listener = made.map_err(|error| Obstacle::Io("listen on the socket", error))?;
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
    /// The path at which there was a socket of this process, and at which there is none or another now.
    pub fn lost(&self) -> Option<&Path> {
        match self {
            Self::Made { path, file } if *file != file_at(path) => Some(path),
            _ => None,
        }
    }

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

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
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
fn found_at(path: &Path) -> Result<Option<Metadata>, Obstacle> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(Obstacle::Io("look at the socket", why)),
        Ok(found) if !found.file_type().is_socket() => Err(Obstacle::NotASocket),
        Ok(found) => Ok(Some(found)),
    }
}

/// Removes the socket of a dead daemon to make room for a new one. Call with the lock held, see [`Alone`].
fn clear(path: &Path) -> Result<(), Obstacle> {
    if found_at(path)?.is_none() {
        return Ok(());
    }
    match is_alive(path) {
        Ok(false) => std::fs::remove_file(path)
            .map_err(|why| Obstacle::Io("remove the socket a dead daemon left", why)),
        Err(why) => Err(Obstacle::Io(
            "see whether somebody listens on the socket",
            why,
        )),
        Ok(true) => Err(Obstacle::Taken),
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

#[cfg(test)]
mod tests;
