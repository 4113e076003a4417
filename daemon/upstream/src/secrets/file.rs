//! Reads a secret from a private file, or from one that the configuration declares as mounted by a container runtime.
//!
//! Must never follow a link that other users can redirect, or read before the open file was checked.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::error::FileError;
use super::limits::MAX_SECRET;
use super::steps;
use super::trust::{Trust, is_read_only};

/// NOFOLLOW so that no link is followed unseen, NONBLOCK so that opening a FIFO does not block, NOCTTY so that a terminal does not become
/// our controlling terminal.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

pub(super) fn read(path: &Path, trust: Trust) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = open(path, trust)?;
    inspect(&file, trust)?;
    Ok(contents(file)?)
}

fn open(path: &Path, trust: Trust) -> Result<File, FileError> {
    match rustix::fs::open(path, FLAGS, Mode::empty()) {
        // Kubernetes mounts a link to a file in a directory that is itself reached by a link.
        Err(Errno::LOOP) => steps::open(path, trust, FLAGS),
        opened => Ok(opened?.into()),
    }
}

fn inspect(file: &File, trust: Trust) -> Result<(), FileError> {
    let stat = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileError::NotAFile);
    }
    let mode = stat.st_mode & 0o7777;
    // The required owner, and the permissions that are not allowed.
    let (owner, others) = match trust {
        Trust::Owner(owner) => (Some(owner), 0o077),
        Trust::Mount(_) if is_read_only(file) => (None, 0),
        Trust::Mount(owner) => (Some(owner), 0o022),
        Trust::Manager => (None, 0o007),
    };
    let as_mounted = !matches!(trust, Trust::Owner(_));
    if let Some(wanted) = owner.filter(|wanted| ![*wanted, 0].contains(&stat.st_uid)) {
        return Err(FileError::WrongOwner {
            found: stat.st_uid,
            wanted,
            as_mounted,
        });
    }
    if mode & others != 0 {
        return Err(FileError::Exposed { mode, as_mounted });
    }
    Ok(())
}

fn contents(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    // Two bytes more than the longest secret: one for its newline, and one to notice that there is more. The buffer never grows, so it
    // leaves no copy.
    let limit = MAX_SECRET + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    file.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
