//! Reads a secret from a file that nobody else can read, unless the configuration says that a container runtime mounted it.
//!
//! Must never follow a link that others can turn elsewhere, or read before it has looked at the open file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::error::SecretError;
use super::limits::MAX_SECRET;
use super::steps;
use super::trust::{Trust, is_read_only, unreadable};

/// NOFOLLOW so that no link is followed unseen, NONBLOCK so that a FIFO does not hang the open, NOCTTY so that a terminal does not become ours.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// The bytes of the file at `path`.
pub(super) fn read(path: &Path, trust: Trust) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let file = open(path, trust)?;
    inspect(&file, path, trust)?;
    contents(file, path)
}

fn open(path: &Path, trust: Trust) -> Result<File, SecretError> {
    match rustix::fs::open(path, FLAGS, Mode::empty()) {
        Ok(fd) => Ok(fd.into()),
        // What Kubernetes mounts is a link to a file in a directory that a link leads to.
        Err(Errno::LOOP) => steps::open(path, trust, FLAGS),
        Err(errno) => Err(unreadable(path, errno.into())),
    }
}

fn inspect(file: &File, path: &Path, trust: Trust) -> Result<(), SecretError> {
    let stat = rustix::fs::fstat(file).map_err(|errno| unreadable(path, errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SecretError::NotAFile { path: path.into() });
    }
    let mode = stat.st_mode & 0o7777;
    // Whose it must be, and which permissions nobody may have.
    let (owner, others) = match trust {
        Trust::Owner(owner) => (Some(owner), 0o077),
        Trust::Mount(_) if is_read_only(file) => (None, 0),
        Trust::Mount(owner) => (Some(owner), 0o022),
        Trust::Manager => (None, 0o007),
    };
    let as_mounted = !matches!(trust, Trust::Owner(_));
    if let Some(wanted) = owner.filter(|wanted| ![*wanted, 0].contains(&stat.st_uid)) {
        return Err(SecretError::WrongOwner {
            path: path.into(),
            found: stat.st_uid,
            wanted,
            as_mounted,
        });
    }
    if mode & others != 0 {
        return Err(SecretError::Exposed {
            path: path.into(),
            mode,
            as_mounted,
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
