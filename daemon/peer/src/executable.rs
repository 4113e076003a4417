//! The program a process runs: which file, and its digest.
//!
//! Owns opening it and the digests of files already seen. The kernel names the file, not a path, so that
//! swapping the path meanwhile changes nothing. Reading a file may take long and must never happen on the
//! runtime's threads.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use rustix::fs::{Mode, OFlags};
use tokend_policy::{Digest, Executable};

/// The largest executable whose digest is computed, in bytes.
const LARGEST: u64 = 512 << 20;
/// How many digests are kept.
const MOST: usize = 256;
/// How old the last change of a file must be for its digest to be kept, in milliseconds: a second change within
/// one tick of the file system's clock leaves no trace.
const SETTLED_MS: i64 = 2_000;

/// Opens the executable of a process. The descriptor only names the file; it takes no permission to read it.
pub(crate) fn open(pid: u32) -> io::Result<(Executable, OwnedFd)> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let fd = rustix::fs::open(format!("/proc/{pid}/exe"), flags, Mode::empty())?;
    let path = std::fs::read_link(name_of(&fd))?;
    let runs = rustix::fs::fstat(&fd)?;
    // A process with a mount namespace of its own can have any file at any path: only the file we find there ourselves counts.
    let is_there = std::fs::metadata(&path)
        .is_ok_and(|there| (there.dev(), there.ino()) == (runs.st_dev, runs.st_ino));
    Ok((
        Executable {
            path: path.into(),
            is_there,
        },
        fd,
    ))
}

/// Digests of executables that were read before.
#[derive(Debug, Default)]
pub(crate) struct Digests(Mutex<HashMap<Identity, Digest>>);

/// A state of a file. Every change of its content changes its ctime, which only the kernel sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Digests {
    /// The digest of a file named by `fd`, if it was read before and the file has not changed since.
    pub(crate) fn known(&self, fd: BorrowedFd<'_>) -> Option<Digest> {
        let identity = Identity::of(&File::open(name_of(&fd)).ok()?).ok()?;
        self.lock().get(&identity).copied()
    }

    /// The digest of a file named by `fd`. `now_ms` is the wall clock's time.
    pub(crate) fn of(&self, fd: BorrowedFd<'_>, now_ms: i64) -> io::Result<Digest> {
        // Opened by its descriptor, so that it is the same file.
        let mut file = File::open(name_of(&fd))?;
        let before = Identity::of(&file)?;
        if let Some(known) = self.lock().get(&before) {
            return Ok(*known);
        }
        if before.size > LARGEST {
            return Err(io::Error::other(format!(
                "it is larger than {} MiB",
                LARGEST >> 20
            )));
        }
        let digest = digest(&mut file)?;
        if Identity::of(&file)? != before {
            return Err(io::Error::other("it was changed while it was read"));
        }
        if before.is_settled(now_ms) {
            let mut kept = self.lock();
            if kept.len() >= MOST {
                kept.clear();
            }
            kept.insert(before, digest);
        }
        Ok(digest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Identity, Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    fn of(file: &File) -> io::Result<Self> {
        let is = file.metadata()?;
        Ok(Self {
            device: is.dev(),
            inode: is.ino(),
            size: is.size(),
            modified: (is.mtime(), is.mtime_nsec()),
            changed: (is.ctime(), is.ctime_nsec()),
        })
    }

    fn is_settled(&self, now_ms: i64) -> bool {
        let (seconds, nanos) = self.changed;
        let changed_ms = seconds
            .saturating_mul(1000)
            .saturating_add(nanos / 1_000_000);
        now_ms.saturating_sub(changed_ms) > SETTLED_MS
    }
}

fn digest(file: &mut File) -> io::Result<Digest> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    let mut left = LARGEST;
    loop {
        let count = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else {
            break;
        };
        context.update(part);
        // The file may grow while it is read; its digest is not used then, but the reading must end.
        left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
        if left == 0 {
            break;
        }
    }
    let digest = context.finish();
    let bytes = digest.as_ref().try_into().map_err(io::Error::other)?;
    Ok(Digest(bytes))
}

/// The path in `/proc` of the file that a descriptor of ours names.
fn name_of(fd: &impl std::os::fd::AsFd) -> impl AsRef<Path> {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    const LATER: i64 = i64::MAX;
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_are_those_of_sha256sum_and_follow_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let digests = Digests::default();
        let of = |now| {
            let file = File::open(&path).unwrap();
            digests.of(file.as_fd(), now).unwrap().to_string()
        };
        std::fs::write(&path, "").unwrap();
        assert_eq!(of(LATER), EMPTY);
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(of(LATER), ABC);
        assert_eq!(of(LATER), ABC, "from memory");
    }

    #[test]
    fn a_file_that_was_just_changed_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "abc").unwrap();
        let digests = Digests::default();
        let file = File::open(&path).unwrap();
        let (seconds, nanos) = Identity::of(&file).unwrap().changed;
        let changed_ms = seconds * 1000 + nanos / 1_000_000;
        digests.of(file.as_fd(), changed_ms + SETTLED_MS).unwrap();
        assert!(digests.lock().is_empty());
        digests
            .of(file.as_fd(), changed_ms + SETTLED_MS + 1)
            .unwrap();
        assert_eq!(digests.lock().len(), 1);
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(LARGEST + 1).unwrap();
        let error = Digests::default().of(file.as_fd(), LATER).unwrap_err();
        assert!(error.to_string().contains("larger than 512 MiB"), "{error}");
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let digests = Digests::default();
        let dir = tempfile::tempdir().unwrap();
        for n in 0..=MOST {
            let path = dir.path().join(n.to_string());
            std::fs::write(&path, "").unwrap();
            digests
                .of(File::open(&path).unwrap().as_fd(), LATER)
                .unwrap();
        }
        assert!(digests.lock().len() <= MOST);
    }
}
