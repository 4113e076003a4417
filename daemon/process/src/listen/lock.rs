//! A lock beside a socket, held while the socket is made or removed.
//!
//! Owns the file of the lock, from its making to its removal. Never waits, and never removes a lock that another holds.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat};
use rustix::io::Errno;

use super::error::{Locked, Obstacle};

/// The holder alone may make or remove a socket at a path. Without it, of two processes that begin to listen
/// there at once, one would remove the socket that the other has just made, and leave it listening without a
/// name. A locked file beside the socket, which is gone afterwards.
#[derive(Debug)]
pub(super) struct Alone {
    file: OwnedFd,
    path: PathBuf,
}

/// How often to try again when another process removes the lock's file at that moment.
const TRIES: usize = 16;

impl Alone {
    /// At this path.
    ///
    /// # Errors
    /// Another process is about to listen there, or something keeps everybody from it.
    pub(super) fn at(socket: &Path) -> Result<Self, Obstacle> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        for _ in 0..TRIES {
            let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
                .map_err(|errno| not_opened(&path, errno))?;
            let found = fstat(&file).map_err(refused)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(held(path, found.st_uid)),
                Err(errno) => return Err(refused(errno)),
            }
            // The process that held the lock before may have removed the file meanwhile, and then a lock on it
            // keeps nobody out.
            if file_at(&path) == Some((found.st_dev, found.st_ino)) {
                return Ok(Self { file, path });
            }
        }
        Err(Obstacle::Taken)
    }
}

/// One user's lock is held by a start of theirs. In a directory in which everybody may make files, anybody may hold one.
pub(super) fn held(path: PathBuf, uid: u32) -> Obstacle {
    match uid == rustix::process::geteuid().as_raw() {
        true => Obstacle::Taken,
        false => Obstacle::Locked(Locked {
            path,
            uid,
            refused: None,
        }),
    }
}

/// What is there already is in the way; else nothing can be made there.
pub(super) fn not_opened(path: &Path, errno: Errno) -> Obstacle {
    let is_of_the_file = matches!(
        errno,
        Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::ISDIR | Errno::NXIO
    );
    match std::fs::symlink_metadata(path) {
        Ok(found) if is_of_the_file => Obstacle::Locked(Locked {
            path: path.to_path_buf(),
            uid: found.uid(),
            refused: Some(errno.into()),
        }),
        _ => refused(errno),
    }
}

fn refused(errno: Errno) -> Obstacle {
    Obstacle::Io("listen on the socket", errno.into())
}

impl Drop for Alone {
    fn drop(&mut self) {
        // A file that is left over locks nothing. The lock itself ends with the descriptor.
        let _left = std::fs::remove_file(&self.path);
        let _ended = flock(&self.file, FlockOperation::Unlock);
    }
}

pub(super) fn file_at(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}
