//! The socket clients connect to, and those systemd passes.
//!
//! Owns how it comes to be: inherited from systemd, or made here with its mode set before anybody can connect. Removes a socket that
//! a dead daemon left behind, never one somebody still listens on, and never anything that is no socket.

use std::fmt;
use std::fs::{DirBuilder, Metadata, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use interprocess::local_socket::traits::Listener as _;
use interprocess::local_socket::{GenericFilePath, Listener, ListenerOptions, ToFsName as _};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use listenfd::ListenFd;
use rustix::fs::{Access, AtFlags, CWD, FlockOperation, Mode, OFlags, flock, fstat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// A socket that listens, before the runtime has it.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) fd: OwnedFd,
    pub(crate) origin: Origin,
}

/// What systemd calls the socket on which metrics are read.
const METRICS: &str = "metrics";

/// The sockets systemd passed.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) clients: Option<Bound>,
    pub(crate) metrics: Option<TcpListener>,
}

/// Where a socket came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// systemd made it and keeps it over restarts.
    Inherited,
    /// Made here; removed at the end, as long as it is this one: device and inode tell it from another's at the same path.
    Made {
        path: PathBuf,
        file: Option<(u64, u64)>,
    },
}

/// What a socket is for, which tells how another is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Clients ask for tokens there.
    Clients,
    /// Metrics are read there.
    Metrics,
    /// A relay listens there, which has no configuration.
    Relay,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("{}: somebody listens there already; stop that {}, or use another socket ({})", path.display(), usage.who(), usage.option())]
    Taken { path: PathBuf, usage: Usage },
    #[error("{}: {}, and without it nobody makes the socket {}; {}, or use another socket ({})", lock.path.display(), lock.why(), path.display(), lock.way_out(), usage.option())]
    Locked {
        path: PathBuf,
        usage: Usage,
        lock: Locked,
    },
    #[error("{}: there is something that is no socket; remove it, or use another path ({})", path.display(), usage.option())]
    NotASocket { path: PathBuf, usage: Usage },
    #[error("{}: the path of a socket has at most 107 bytes, and this one has {}; use a shorter one ({})", path.display(), path.as_os_str().len(), usage.option())]
    TooLong { path: PathBuf, usage: Usage },
    // Not `source`, which whoever shows the causes of an error would show once more.
    #[error("{}: cannot {what}: {why}{}", path.display(), elsewhere(why, *usage))]
    Io {
        path: PathBuf,
        usage: Usage,
        what: &'static str,
        why: io::Error,
    },
    #[error("cannot create {}, the directory of the socket: {why}; {}", path.display(), usage.way_out())]
    NoDirectory {
        path: PathBuf,
        usage: Usage,
        why: io::Error,
    },
    #[error(
        "systemd passed {count} sockets for clients; tokend takes one: keep one ListenStream= in tokend.socket"
    )]
    TooMany { count: usize },
    #[error(
        "what systemd passed is no listening Unix stream socket: use ListenStream= with a path, and FileDescriptorName=metrics for the socket of metrics ({0})"
    )]
    NotOurs(io::Error),
    #[error(
        "what systemd passed for metrics is no listening TCP socket: use one ListenStream= with an address in tokend-metrics.socket, or say `listen = \"unix:…\"` in [metrics] ({0})"
    )]
    NotForMetrics(io::Error),
}

impl ListenError {
    /// Whether the machine is short of something that passes, such as descriptors.
    pub(crate) fn is_shortage(&self) -> bool {
        match self {
            Self::Io { why, .. } | Self::NoDirectory { why, .. } => tokend_config::is_shortage(why),
            // Whoever holds it lets go of it.
            Self::Locked { lock, .. } => lock.refused.is_none(),
            _ => false,
        }
    }
}

/// What to do where the system refuses the place.
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

    /// What to do where this place cannot be had.
    fn way_out(self) -> String {
        let moved = match self {
            Self::Clients => "set XDG_RUNTIME_DIR to a directory of your own, or ",
            // They have no place but the one that was named, or need not have.
            Self::Metrics | Self::Relay => "",
        };
        format!("{moved}use another socket ({})", self.option())
    }
}

/// Takes the sockets systemd passed, if it passed any. Call before threads start: it reads and clears the environment.
pub(crate) fn inherited() -> Result<Inherited, ListenError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    take(ListenFd::from_env(), &names)
}

fn take(mut passed: ListenFd, names: &str) -> Result<Inherited, ListenError> {
    let mut inherited = Inherited::default();
    let (mut names, mut count) = (names.split(':'), 0);
    for index in 0..passed.len() {
        let twice = || io::Error::other("taken twice");
        if names.next() == Some(METRICS) {
            let listener = passed
                .take_tcp_listener(index)
                .and_then(|listener| listener.ok_or_else(twice))
                .map_err(ListenError::NotForMetrics)?;
            let another = || io::Error::other("there are two");
            if inherited.metrics.replace(listener).is_some() {
                return Err(ListenError::NotForMetrics(another()));
            }
            continue;
        }
        count += 1;
        let listener = passed
            .take_unix_listener(index)
            .and_then(|listener| listener.ok_or_else(twice))
            .map_err(ListenError::NotOurs)?;
        inherited.clients = Some(Bound {
            fd: listener.into(),
            origin: Origin::Inherited,
        });
    }
    match count {
        0 | 1 => Ok(inherited),
        count => Err(ListenError::TooMany { count }),
    }
}

/// Whether the path of a socket is short enough for the kernel.
///
/// # Errors
/// When it is not.
pub(crate) fn must_fit(path: &Path, usage: Usage) -> Result<(), ListenError> {
    if path.as_os_str().len() <= 107 {
        return Ok(());
    }
    Err(ListenError::TooLong {
        path: path.to_path_buf(),
        usage,
    })
}

/// What is at the place of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A socket can be made there.
    Free,
    /// Somebody listens there.
    Listened,
}

/// Whether [`bind`] could make a socket at `path`, as far as that shows without making or connecting to anything. `is_made` tells which
/// directories will be there, and this user's, by then.
///
/// # Errors
/// What `bind` would be refused for.
pub(crate) fn look(
    path: &Path,
    usage: Usage,
    is_made: impl Fn(&Path) -> bool,
) -> Result<Seen, ListenError> {
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
        true => Seen::Listened,
        false => Seen::Free,
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

/// Makes a socket at `path` that peers may connect to as `mode` allows.
pub(crate) fn bind(path: &Path, mode: u32, usage: Usage) -> Result<Bound, ListenError> {
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
    let _alone = Alone::at(path).map_err(|refused| refused.of(path, usage))?;
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
        origin: Origin::Made {
            path: path.to_path_buf(),
            file: file_at(path),
        },
    })
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inherited => f.write_str("inherited from systemd"),
            Self::Made { path, .. } => path.display().fmt(f),
        }
    }
}

impl Origin {
    /// Removes the socket's name, if it was made here and still is this socket's. Where another begins to listen at this moment it is left
    /// to them.
    pub(crate) fn clean_up(&self) {
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

/// Which file is at a path.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Peers must be able to reach the socket: what they may have is decided by `allow`, not by the directory.
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

/// Makes room for a new socket where a dead daemon left its own. Call while nobody else does, see [`Alone`].
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

/// Whether somebody listens on the socket at `path`, also one that is stopped and whose queue of connections is full: waiting for that one
/// might never end.
fn is_alive(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whoever has this is alone in making or removing a socket at a path: of two that begin to listen there at once, one would remove what
/// the other has just made, and leave it listening without a name. A locked file beside the socket, which is gone afterwards.
#[derive(Debug)]
struct Alone {
    file: OwnedFd,
    path: PathBuf,
}

/// How often a lock is tried whose file somebody removes at that moment.
const TRIES: usize = 16;

/// Why somebody is not alone.
#[derive(Debug)]
enum NotAlone {
    /// Somebody of the same user is about to listen there.
    Beginning,
    /// The file is in the way.
    Locked(Locked),
    /// The system does not make the file.
    Io(io::Error),
}

/// A file beside a socket that is another's, or none that can be locked.
#[derive(Debug)]
pub(crate) struct Locked {
    path: PathBuf,
    /// Whose it is.
    uid: u32,
    /// Why it cannot be opened; else somebody holds it.
    refused: Option<io::Error>,
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

impl NotAlone {
    fn of(self, path: &Path, usage: Usage) -> ListenError {
        let path = path.to_path_buf();
        match self {
            Self::Beginning => ListenError::Taken { path, usage },
            Self::Locked(lock) => ListenError::Locked { path, usage, lock },
            Self::Io(why) => ListenError::Io {
                path,
                usage,
                what: "listen on the socket",
                why,
            },
        }
    }
}

impl Alone {
    /// At this path.
    ///
    /// # Errors
    /// While somebody else is, or what keeps everybody from it.
    fn at(socket: &Path) -> Result<Self, NotAlone> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        for _ in 0..TRIES {
            let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
                .map_err(|errno| NotAlone::not_opened(&path, errno))?;
            let failed = |errno: Errno| NotAlone::Io(errno.into());
            let found = fstat(&file).map_err(failed)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(NotAlone::held(path, found.st_uid)),
                Err(errno) => return Err(failed(errno)),
            }
            // Whoever was alone before may have removed the file meanwhile, and then it keeps nobody out.
            if file_at(&path) == Some((found.st_dev, found.st_ino)) {
                return Ok(Self { file, path });
            }
        }
        Err(NotAlone::Beginning)
    }
}

impl NotAlone {
    /// One user's lock is held by a start of theirs. In a directory in which everybody may make files, anybody may hold one.
    fn held(path: PathBuf, uid: u32) -> Self {
        match uid == rustix::process::geteuid().as_raw() {
            true => Self::Beginning,
            false => Self::Locked(Locked {
                path,
                uid,
                refused: None,
            }),
        }
    }

    /// What is there already is in the way; else nothing can be made there.
    fn not_opened(path: &Path, errno: Errno) -> Self {
        let is_of_the_file = matches!(
            errno,
            Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::ISDIR | Errno::NXIO
        );
        match std::fs::symlink_metadata(path) {
            Ok(found) if is_of_the_file => Self::Locked(Locked {
                path: path.to_path_buf(),
                uid: found.uid(),
                refused: Some(errno.into()),
            }),
            _ => Self::Io(errno.into()),
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // What is left locks nothing. The lock itself ends with the descriptor.
        let _left = std::fs::remove_file(&self.path);
        let _ended = flock(&self.file, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests;
