//! Reads a secret from a file that nobody else can read. Must never follow a link or read before it has looked at the open file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{MAX_SECRET, SecretError};

/// Why a file's permissions can be believed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trust {
    /// It belongs to this user or to root, and nobody else has any permission.
    Owner(u32),
    /// systemd made it. It grants the service's user access by an ACL, which shows as group permissions, and a mode for others
    /// would be its own mistake; only that is looked at.
    Manager,
}

/// The bytes of the file at `path`.
pub(super) fn read(path: &Path, trust: Trust) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let file = open(path)?;
    inspect(&file, path, trust)?;
    contents(file, path)
}

/// NONBLOCK so that a FIFO does not hang the open, NOCTTY so that a terminal does not become ours.
fn open(path: &Path) -> Result<File, SecretError> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => Ok(fd.into()),
        Err(Errno::LOOP) if path.is_symlink() => Err(SecretError::Symlink { path: path.into() }),
        Err(errno) => Err(unreadable(path, errno.into())),
    }
}

fn inspect(file: &File, path: &Path, trust: Trust) -> Result<(), SecretError> {
    let stat = rustix::fs::fstat(file).map_err(|errno| unreadable(path, errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SecretError::NotAFile { path: path.into() });
    }
    let mode = stat.st_mode & 0o7777;
    let others = match trust {
        Trust::Owner(wanted) => {
            if stat.st_uid != wanted && stat.st_uid != 0 {
                return Err(SecretError::WrongOwner {
                    path: path.into(),
                    found: stat.st_uid,
                    wanted,
                });
            }
            0o077
        }
        Trust::Manager => 0o007,
    };
    if mode & others != 0 {
        return Err(SecretError::Exposed {
            path: path.into(),
            mode,
        });
    }
    Ok(())
}

fn contents(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    // Two more than the longest secret: for its newline, and to notice that there is more. Never grows, so leaves no copy.
    let limit = MAX_SECRET + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    file.take(limit as u64)
        .read_to_end(&mut bytes)
        .map_err(|source| unreadable(path, source))?;
    Ok(bytes)
}

fn unreadable(path: &Path, source: std::io::Error) -> SecretError {
    SecretError::Unreadable {
        path: path.into(),
        source,
    }
}
